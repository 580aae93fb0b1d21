// The room `files` of the compiled library.
#include "sluice/impl/files/file_stream.hpp"
#include "sluice/impl/files/for_each_chunk.hpp"
#include "sluice/impl/files/matmul_file.hpp"
#include "sluice/impl/files/npy.hpp"
#include "sluice/impl/files/npy_convert.hpp"
#include "sluice/impl/files/npy_header.hpp"
#include "sluice/impl/files/npz.hpp"
#include "sluice/impl/files/rowsum_file.hpp"

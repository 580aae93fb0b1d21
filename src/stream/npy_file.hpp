// The header of an .npy file, its length held against the file's.
#pragma once

#include "file.hpp"
#include "sluice/npy.hpp"

namespace sluice::stream {

bool has_npy_magic(std::span<const std::byte> prefix) noexcept;

// Throws malformed, unsupported, io as read_npy does.
npy_header read_npy_header(const file& in);

}  // namespace sluice::stream

// The header of an .npy file, its length held against the file's.
#pragma once

#include <functional>

#include "file.hpp"
#include "sluice/npy.hpp"

namespace sluice::files {

bool has_npy_magic(std::span<const std::byte> prefix) noexcept;

// Of a file that begins at byte `begin` of `in`, as of what `data_offset` counts from. Throws malformed, unsupported, io as
// read_npy does.
npy_header read_npy_header(const file& in, std::int64_t begin = 0);
// Of bytes whose number is not known: `peek` gives the first `count`, or all there are.
npy_header read_npy_header(const std::function<std::span<const std::byte>(std::size_t count)>& peek,
                           const std::string& name);

}  // namespace sluice::files

// Unrounded sums, f64 or i64, as words of 8 bytes, and their rounding to the dtype of the result.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "sluice/dtype.hpp"
#include "sluice/impl/base/pairwise.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

using words = base::pairwise_accumulator::words;

// `count` sums at `sums`, which need not be aligned.
inline words words_at(const void* sums, std::size_t count) {
  words w(count);
  if (count > 0) std::memcpy(w.data(), sums, count * sizeof(std::uint64_t));
  return w;
}

// Rounded to the dtype of sums, with one bit pattern for what is not a number, as rowsum promises.
inline void append_rounded(std::span<const std::uint64_t> sums, dtype to, std::vector<std::byte>& out) {
  const auto keep = [&](auto value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  for (const std::uint64_t word : sums) {
    if (!is_floating(to)) {
      keep(word);
      continue;
    }
    // By bits: compilers with -ffast-math take comparisons of NaN for false.
    const bool nan = (word & 0x7fff'ffff'ffff'ffff) > 0x7ff0'0000'0000'0000;
    const double sum = std::bit_cast<double>(nan ? std::uint64_t{0x7ff8'0000'0000'0000} : word);
    if (to == dtype::f32)
      keep(static_cast<float>(sum));
    else
      keep(sum);
  }
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"

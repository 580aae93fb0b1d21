// Unrounded sums, f64 or i64, as words of 8 bytes, and their rounding to the dtype of the result.
#pragma once

#include <cstdint>
#include <cstring>

#include "sluice/impl/base/pairwise.hpp"
#include "sluice/tensor.hpp"

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

// Rounded to `to`, with one bit pattern for what is not a number, as rowsum promises.
inline tensor rounded(words sums, bool floating, dtype to) {
  if (floating)
    for (std::uint64_t& word : sums)  // by bits: compilers with -ffast-math take comparisons of NaN for false
      if ((word & 0x7fff'ffff'ffff'ffff) > 0x7ff0'0000'0000'0000) word = 0x7ff8'0000'0000'0000;
  tensor exact({static_cast<std::int64_t>(sums.size())}, floating ? dtype::f64 : dtype::i64);
  if (!sums.empty()) std::memcpy(exact.data(), sums.data(), exact.bytes());
  return exact.as(to);
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

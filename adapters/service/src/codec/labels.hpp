// Outputs whose integers have names: field::labels.
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/print_lists.hpp"

namespace sluice::serving {

// The name of element i of `t`, a contiguous result of `row`'s output `f`. Throws error (internal) where it has none.
std::string_view label_of(const endpoint& row, const field& f, const tensor& t, std::int64_t i);

// Nested lists of JSON strings.
body_piece print_labels(const endpoint& row, const field& f, const tensor& t);
// BYTES of the Open Inference Protocol: each label behind its length, in 4 bytes.
body_piece pack_labels(const endpoint& row, const field& f, const tensor& t);

// Memory that an output takes at most in JSON, with labels or without, and where it has labels as BYTES.
std::int64_t output_bytes(const field& f, const operand_spec& of, const service_limits& limits);
std::int64_t packed_bytes(const field& f, const operand_spec& of);

// print(i) for each element i in row-major order, with the brackets and commas of nested lists.
template <class F>
void append_nested(std::string& to, const shape& s, F print) {
  std::int64_t i = 0;
  const auto list = [&](const auto& self, int d) -> void {
    if (d == s.rank()) return print(i++);
    to += '[';
    for (std::int64_t k = 0; k < s[d]; ++k) {
      if (k > 0) to += ',';
      self(self, d + 1);
    }
    to += ']';
  };
  list(list, 0);
}

}  // namespace sluice::serving

// What all readers of JSON share: tokens, numbers, and the reasons why one is refused.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <simdjson.h>

#include "codec/read_number.hpp"
#include "http/text.hpp"
#include "sluice/dtype.hpp"

namespace sluice::serving {

namespace od = simdjson::ondemand;

// Bytes that a parser keeps for its next document: an index of four a byte, and a buffer for strings.
inline std::size_t parser_memory(const od::parser& p) noexcept { return p.capacity() * 5; }

// A token without the trailing blanks that simdjson leaves.
std::string_view trimmed_token(std::string_view token);

// "a list", "a string", "null", ... by how a value begins; empty for what is not JSON.
std::string_view kind_of(std::string_view token);

// Why a body is not a JSON object, where simdjson reports `e`.
std::string no_object(std::string_view body, simdjson::error_code e);

// Half-precision floats come in binary alone.
constexpr bool has_json(dtype t) { return t != dtype::f16 && t != dtype::bf16; }

// The number at `v`; false when there is none, or T cannot hold it.
template <class T>
bool read_number(od::value& v, T& out) {
  // The token first: reading the number moves past it.
  const std::string_view token = v.raw_json_token();
  if constexpr (std::is_integral_v<T>) {
    std::int64_t x = 0;
    if (v.get_int64().get(x) != simdjson::SUCCESS) {  // 1.0, 1e2
      const auto whole = whole_number(trimmed_token(token));
      if (!whole) return false;
      x = *whole;
    }
    if (!std::in_range<T>(x)) return false;
    out = static_cast<T>(x);
    return true;
  } else {
    const char* const at = token.data();
    double x = 0;
    if (v.get_double().get(x) != simdjson::SUCCESS) {  // its exponent may have too many digits
      const auto tiny = zero_number(trimmed_token(token));
      if (!tiny) return false;
      x = *tiny;
    }
    out = static_cast<T>(x);
    if constexpr (std::is_same_v<T, float>) {
      if (may_round_twice(x)) {
        const char* end = at;
        while (*end != '\0' && std::string_view("+-.0123456789eE").find(*end) != std::string_view::npos) ++end;
        if (std::from_chars(at, end, out).ec != std::errc{}) out = static_cast<float>(x);
      }
      if (std::isinf(out)) return false;
    }
    return true;
  }
}

// Why T cannot hold the number `token`.
template <class T>
std::string misfit(std::string_view token) {
  constexpr auto type = dtype_of<T>;
  if constexpr (std::is_integral_v<T>)
    return fmt::format("{}: no whole number between {} and {}, as {} needs", shown(token),
                       static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                       static_cast<std::int64_t>(std::numeric_limits<T>::max()), name_of(type));
  else
    return fmt::format("{}: it overflows {}, whose largest number is {}", shown(token), name_of(type),
                       std::numeric_limits<T>::max());
}

}  // namespace sluice::serving

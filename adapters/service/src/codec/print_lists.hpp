// Tensors as nested lists of JSON numbers.
#pragma once

#include <cmath>
#include <type_traits>

#include "openapi/document.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

// What is printed for NaN and the infinities, which JSON does not have.
enum class nonfinite {
  refuse,  // nothing: http_error (422)
  null,    // null
  string,  // "NaN", "Infinity", "-Infinity"
};

// An element of a tensor.
template <class T>
bool is_finite(T x) {
  if constexpr (std::is_integral_v<T>) return true;
  if constexpr (std::is_floating_point_v<T>)
    return std::isfinite(x);
  else
    return std::isfinite(static_cast<float>(x));
}

// By ?nonfinite=null|string; refuse without it. Throws http_error (400) for anything else.
nonfinite nonfinite_of(std::string_view query);
// For documents.
parameter nonfinite_parameter();

// A contiguous tensor on the CPU; all cores print large ones. Where numbers are refused, `otherwise` says what the client
// can do about them.
std::vector<body_piece> print_lists(const tensor& t, nonfinite numbers, std::string_view otherwise);

// Memory that print_lists takes at most for such a tensor. Throws error (limit_exceeded) for more empty lists than a result
// may have elements.
std::int64_t lists_bytes(const operand_spec& of, const service_limits& limits);
// The same for print_flat.
std::int64_t flat_bytes(const operand_spec& of);

// One element of a contiguous tensor, as print_lists prints it; where numbers are refused, check_finite comes before.
void append_element(std::string& to, dtype type, const void* data, std::int64_t i, nonfinite numbers);
// Throws http_error (422) for a contiguous tensor with NaN or infinities, as print_lists does.
void check_finite(const tensor& t, std::string_view otherwise);

// The same as one flat list. Throws http_error (422) for half-precision floats as well.
std::vector<body_piece> print_flat(const tensor& t, nonfinite numbers, const std::string& name);

// A piece of a tensor: `elements` from number `first` on, in row-major order, with their brackets and commas.
body_piece print_part(const shape& extents, dtype type, nonfinite numbers, std::int64_t first, std::string_view elements);

// Joins the pieces of a short body into one.
void join_small(std::vector<body_piece>& pieces);

}  // namespace sluice::serving

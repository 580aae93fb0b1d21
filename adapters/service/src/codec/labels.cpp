#include "codec/labels.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "http/text.hpp"

namespace sluice::serving {
namespace {

std::size_t longest(const field& f) {
  std::size_t most = 0;
  for (const auto& label : *f.labels) most = std::max(most, label.size());
  return most;
}

std::int64_t number_at(const endpoint& row, const field& f, const tensor& t, std::int64_t i) {
  return visit(t.dtype(), [&](auto tag) -> std::int64_t {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>) return static_cast<std::int64_t>(static_cast<const T*>(t.data())[i]);
    throw error(error_code::internal,
                fmt::format("[{}] {} is of {}: labels are of integers", row.name, f.name, name_of(t.dtype())));
  });
}

}  // namespace

std::string_view label_of(const endpoint& row, const field& f, const tensor& t, std::int64_t i) {
  const auto n = number_at(row, f, t, i);
  const auto count = static_cast<std::int64_t>(f.labels->size());
  if (n >= 0 && n < count) return (*f.labels)[static_cast<std::size_t>(n)];
  throw error(error_code::internal, fmt::format("[{}] element {} of {} is {}: there are {} labels, the first for 0",
                                                row.name, i, f.name, n, count));
}

body_piece print_labels(const endpoint& row, const field& f, const tensor& t) {
  std::string text;
  append_nested(text, t.shape(), [&](std::int64_t i) { append_json_string(text, label_of(row, f, t, i)); });
  return body_piece::of(std::move(text));
}

body_piece pack_labels(const endpoint& row, const field& f, const tensor& t) {
  std::string bytes;
  for (std::int64_t i = 0; i < t.count(); ++i) {
    const auto label = label_of(row, f, t, i);
    const auto size = static_cast<std::uint32_t>(label.size());
    char length[sizeof size];
    std::memcpy(length, &size, sizeof size);
    bytes.append(length, sizeof size).append(label);
  }
  return body_piece::of(std::move(bytes));
}

std::int64_t output_bytes(const field& f, const operand_spec& of, const service_limits& limits) {
  const auto lists = lists_bytes(of, limits);
  if (!f.labels) return lists;
  constexpr std::int64_t escaped = 6, quotes = 2, growth = 2;  // \u001f
  return growth * (lists + of.shape.count() * (escaped * static_cast<std::int64_t>(longest(f)) + quotes));
}

std::int64_t packed_bytes(const field& f, const operand_spec& of) {
  constexpr std::int64_t growth = 2;
  return growth * of.shape.count() * static_cast<std::int64_t>(sizeof(std::uint32_t) + longest(f));
}

}  // namespace sluice::serving

#include "codec/print_lists.hpp"

#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "codec/json_number.hpp"
#include "codec/print_number.hpp"
#include "http/http_error.hpp"
#include "http/query.hpp"
#include "http/text.hpp"
#include "sluice/parallel.hpp"

namespace sluice::serving {
namespace {

// Elements of one piece, which one thread prints.
constexpr std::int64_t block_elements = 1 << 14;

// What print_block takes for `elements` of rows of `columns`.
template <class T>
std::int64_t block_bytes(int rank, std::int64_t columns, std::int64_t elements) {
  return elements * (print_width<T>() + 1) + 2 * rank * (elements / columns + 3) + print_slack;
}

// `numbers` is not refuse.
template <class T>
char* print_any(char* out, T x, nonfinite numbers) {
  if constexpr (!std::is_integral_v<T>)
    if (!is_finite(x)) {
      const auto value = static_cast<std::conditional_t<std::is_floating_point_v<T>, T, float>>(x);
      const std::string_view text = numbers == nonfinite::null ? "null"
                                    : std::isnan(value)        ? R"("NaN")"
                                    : value > 0                ? R"("Infinity")"
                                                               : R"("-Infinity")";
      static_assert(print_width<T>() >= 11);
      std::memcpy(out, text.data(), text.size());
      return out + text.size();
    }
  return print_number(out, x);
}

template <class T>
void check_finite(const T* data, const shape& extents, std::string_view otherwise) {
  const std::int64_t count = extents.count();
  std::int64_t bad = 0;
  for (std::int64_t i = 0; i < count; ++i) bad += is_finite(data[i]) ? 0 : 1;
  if (bad == 0) return;
  std::int64_t first = 0;
  while (is_finite(data[first])) ++first;
  std::string where;
  const strides steps = row_major(extents);
  for (int d = 0; d < extents.rank(); ++d) where += fmt::format("[{}]", first / steps[d] % extents[d]);
  throw http_error{422, "not_finite",
                   fmt::format("[json] {} of the result's {} numbers are NaN or infinite, the first at {}: JSON has no "
                               "such numbers; {}, or for ?nonfinite=null or ?nonfinite=string",
                               bad, count, where, otherwise)};
}

// A row-major tensor as nested lists. What precedes element i depends on i alone, so blocks print in parallel.
template <class T>
class list_printer {
 public:
  // `otherwise` is what a client can do about numbers that JSON does not have.
  list_printer(const tensor& t, nonfinite numbers, std::string_view otherwise)
      : list_printer(t.shape(), static_cast<const T*>(t.data()), 0, numbers, otherwise) {}
  // `data` begins with element `first`.
  list_printer(const shape& extents, const T* data, std::int64_t first, nonfinite numbers, std::string_view otherwise)
      : numbers_(numbers), otherwise_(otherwise), data_(data), first_(first), shape_(extents), rank_(extents.rank()) {
    std::int64_t size = 1;
    for (int i = rank_ - 1; i >= 0; --i) sizes_[static_cast<std::size_t>(i)] = size *= shape_[i];
  }

  std::vector<body_piece> print() const {
    const std::int64_t count = shape_.count();
    if (count == 0) {
      std::string text;
      append_empty(text, 0);
      return {body_piece::of(std::move(text))};
    }
    if (numbers_ == nonfinite::refuse) check_finite(data_, shape_, otherwise_);
    std::vector<body_piece> pieces(static_cast<std::size_t>((count + block_elements - 1) / block_elements));
    const auto block = [&](std::int64_t b) {
      pieces[static_cast<std::size_t>(b)] = print_block(b * block_elements, std::min(count, (b + 1) * block_elements));
    };
    if (pieces.size() == 1)
      block(0);
    else
      parallel_for(static_cast<std::int64_t>(pieces.size()), block);
    return pieces;
  }

  body_piece print_block(std::int64_t begin, std::int64_t end) const {
    return numbers_ == nonfinite::refuse || std::is_integral_v<T>
               ? print_block(begin, end, [](char* out, T x) { return print_number(out, x); })
               : print_block(begin, end, [this](char* out, T x) { return print_any(out, x, numbers_); });
  }

 private:
  template <class F>
  body_piece print_block(std::int64_t begin, std::int64_t end, F print_element) const {
    const std::int64_t columns = rank_ == 0 ? 1 : shape_[rank_ - 1];
    auto memory = std::make_shared<tensor>(shape{block_bytes<T>(rank_, columns, end - begin)}, dtype::u8);
    auto* const first = static_cast<char*>(memory->data());
    char* out = first;
    for (std::int64_t i = begin; i < end;) {
      out = print_before(out, i);
      const std::int64_t row_end = std::min(end, (i / columns + 1) * columns);
      out = print_element(out, data_[i - first_]);
      for (++i; i < row_end; ++i) {
        *out++ = ',';
        out = print_element(out, data_[i - first_]);
      }
    }
    if (end == shape_.count()) out = print_many(out, ']', rank_);
    return {std::string_view(first, static_cast<std::size_t>(out - first)), std::move(memory)};
  }

  char* print_before(char* out, std::int64_t i) const {
    if (i == 0) return print_many(out, '[', rank_);
    int closed = 0;
    for (int d = rank_ - 1; d > 0 && i % sizes_[static_cast<std::size_t>(d)] == 0; --d) ++closed;
    out = print_many(out, ']', closed);
    *out++ = ',';
    return print_many(out, '[', closed);
  }

  static char* print_many(char* out, char c, int n) {
    std::memset(out, c, static_cast<std::size_t>(n));
    return out + n;
  }

  void append_empty(std::string& out, int d) const {
    out += '[';
    if (d < rank_ - 1)
      for (std::int64_t i = 0; i < shape_[d]; ++i) {
        if (i > 0) out += ',';
        append_empty(out, d + 1);
      }
    out += ']';
  }

  nonfinite numbers_;
  std::string_view otherwise_;
  const T* data_;
  std::int64_t first_;
  shape shape_;
  int rank_;
  std::array<std::int64_t, max_rank> sizes_{};  // elements in one list at each depth
};

}  // namespace

std::int64_t lists_bytes(const operand_spec& of, const service_limits& limits) {
  const shape& s = of.shape;
  const auto count = s.count();
  if (count > 0) {
    const auto columns = s.rank() == 0 ? 1 : s.back();
    const auto blocks = (count + block_elements - 1) / block_elements;
    return visit(of.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      return block_bytes<T>(s.rank(), columns, count) + (blocks - 1) * block_bytes<T>(s.rank(), columns, 0);
    });
  }
  double lists = 1;  // the innermost that are printed
  for (int i = 0; i < s.rank() - 1 && s[i] > 0; ++i) lists *= static_cast<double>(s[i]);
  if (lists > static_cast<double>(limits.elements))
    throw error(
        error_code::limit_exceeded,
        fmt::format("[json] the result {} has no elements, and {:.0f} empty lists as JSON: at most {} are given; ask "
                    "for application/x-npy",
                    s.str(), lists, limits.elements));
  constexpr int per_list = 3, growth = 2;
  return static_cast<std::int64_t>(lists) * s.rank() * per_list * growth + print_slack;
}

std::int64_t flat_bytes(const operand_spec& of) { return lists_bytes({.dtype = of.dtype, .shape = {of.shape.count()}}, {}); }

nonfinite nonfinite_of(std::string_view query) {
  const auto asked = query_value(query, "nonfinite");
  if (!asked) return nonfinite::refuse;
  if (asked == "null") return nonfinite::null;
  if (asked == "string") return nonfinite::string;
  throw http_error{400, "malformed",
                   fmt::format("[json] nonfinite is {}: it must be null or string", json_string(shown(*asked)))};
}

parameter nonfinite_parameter() {
  return {
      .name = "nonfinite",
      .summary = "NaN and infinities in JSON, which are refused without it: null, or \"NaN\", \"Infinity\", \"-Infinity\"",
      .in = "query",
      .schema = R"({"enum":["null","string"]})"};
}

std::vector<body_piece> print_lists(const tensor& t, nonfinite numbers, std::string_view otherwise) {
  return visit(t.dtype(),
               [&](auto tag) { return list_printer<typename decltype(tag)::type>(t, numbers, otherwise).print(); });
}

void append_element(std::string& to, dtype type, const void* data, std::int64_t i, nonfinite numbers) {
  visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    char text[print_width<T>() + print_slack];
    to.append(text, static_cast<std::size_t>(print_any(text, static_cast<const T*>(data)[i], numbers) - text));
  });
}

void check_finite(const tensor& t, std::string_view otherwise) {
  visit(t.dtype(),
        [&](auto tag) { check_finite(static_cast<const typename decltype(tag)::type*>(t.data()), t.shape(), otherwise); });
}

std::vector<body_piece> print_flat(const tensor& t, nonfinite numbers, const std::string& name) {
  if (!has_json(t.dtype()))
    throw http_error{
        422, "unsupported",
        fmt::format("[json] the output {} is of {}, which has no JSON: ask for binary_data", name, name_of(t.dtype()))};
  return print_lists(t.reshape(shape{t.count()}), numbers, "ask for binary_data");
}

body_piece print_part(const shape& extents, dtype type, nonfinite numbers, std::int64_t first, std::string_view elements) {
  return visit(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const list_printer<T> p(extents, reinterpret_cast<const T*>(elements.data()), first, numbers, {});
    if (extents.count() == 0) return p.print().front();
    return p.print_block(first, first + static_cast<std::int64_t>(elements.size() / sizeof(T)));
  });
}

void join_small(std::vector<body_piece>& pieces) {
  std::size_t size = 0;
  for (const auto& p : pieces) size += p.bytes.size();
  if (size > 1 << 14) return;
  std::string all;
  all.reserve(size);
  for (const auto& p : pieces) all += p.bytes;
  pieces = {body_piece::of(std::move(all))};
}

}  // namespace sluice::serving

// Lists of numbers in JSON, read straight into a tensor's memory, with a message for whatever is wrong with them. /v1 learns
// the shape from the lists; /v2 declares it beside them.
#pragma once

#include <algorithm>
#include <optional>

#include "codec/body_buffer.hpp"
#include "codec/json_lists.hpp"
#include "codec/json_number.hpp"

namespace sluice::serving {

struct list_source {
  std::string_view protocol;  // "json": messages begin with it
  std::string name;           // of the list, in messages: "a", "a.data"
  const body_buffer& body;    // that the list is part of
  const service_limits& limits;
  const host_allocator& memory;
};

template <class T>
class list_reader {
 public:
  // With a declared shape, the numbers may also come as one flat list.
  explicit list_reader(const list_source& from, std::optional<shape> declared = {})
      : from_(from), declared_(std::move(declared)) {
    extents_.fill(unknown);
  }

  // Throws error: malformed, invalid_argument, limit_exceeded.
  tensor read(od::value v) {
    begin_ = v.raw_json_token().data();
    if (declared_) return read_declared(v);
    if (is_list(v)) {
      read_list(v, 0);
    } else {
      rank_ = 0;
      read_element(v, 0);
    }
    return memory_.slice(0, 0, used_).reshape(shape(std::span(extents_.data(), static_cast<std::size_t>(rank_))));
  }

 private:
  static constexpr int unknown = -1;

  tensor read_declared(od::value& v) {
    od::array list;
    if (v.get_array().get(list)) fail_kind(v, 0, "a list");
    if (auto plain = read_plain(list)) return std::move(*plain);
    const char* first = begin_ + 1;
    while (*first == ' ' || *first == '\n' || *first == '\r' || *first == '\t') ++first;
    flat_ = declared_->rank() < 2 || *first != '[';
    rank_ = flat_ ? 1 : declared_->rank();
    extents_[0] = flat_ ? declared_->count() : (*declared_)[0];
    for (int d = 1; d < rank_; ++d) extents_[static_cast<std::size_t>(d)] = (*declared_)[d];
    memory_ = from_.memory.make(*declared_, dtype_of<T>);
    data_ = static_cast<T*>(memory_.data());
    capacity_ = declared_->count();
    read_elements(list, 0);
    return std::move(memory_);
  }

  // Nothing where the list is unusual; it is then at its beginning again.
  std::optional<tensor> read_plain(od::array& list) {
    std::string_view text;
    std::optional<tensor> t;
    if (!list.raw_json().get(text)) t = read_plain_list(trimmed_token(text), dtype_of<T>, from_.limits, from_.memory);
    if (t && t->shape() != *declared_) {
      if (t->rank() == 1 && t->count() == declared_->count())
        t = t->reshape(*declared_);
      else
        t.reset();
    }
    bool rest = false;
    if (!t && list.reset().get(rest)) fail(error_code::malformed, from_.name + " is not JSON");
    return t;
  }

  void read_list(od::value& v, int depth) {
    if (rank_ == unknown && depth == from_.limits.rank)
      fail(error_code::invalid_argument, fmt::format("{} nests lists more than {} deep", path(depth), from_.limits.rank));
    od::array list;
    if (const auto e = v.get_array().get(list)) fail_at(v.raw_json_token().data(), depth, e);
    read_elements(list, depth);
  }

  void read_elements(od::array& list, int depth) {
    std::int64_t& i = index_[static_cast<std::size_t>(depth)];
    i = 0;
    for (auto item : list) {
      od::value element;
      if (const auto e = item.get(element)) fail_at(begin_, depth, e);
      const bool number = rank_ == unknown ? !is_list(element) : depth + 1 == rank_;
      if (number) {
        rank_ = depth + 1;
        read_element(element, depth + 1);
      } else if (is_list(element)) {
        read_list(element, depth + 1);
      } else {
        fail_kind(element, depth + 1, "a list");
      }
      ++i;
    }
    check_extent(depth);
  }

  void read_element(od::value& v, int depth) {
    if (used_ == capacity_) grow(v.raw_json_token().data());
    if (!read_number(v, data_[used_])) fail_number(v, depth);
    ++used_;
  }

  static bool is_list(od::value& v) { return v.raw_json_token().starts_with('['); }

  void check_extent(int depth) {
    const auto i = index_[static_cast<std::size_t>(depth)];
    auto& wanted = extents_[static_cast<std::size_t>(depth)];
    if (i == 0 && !declared_) fail(error_code::invalid_argument, fmt::format("{} is an empty list", path(depth)));
    if (wanted == unknown) wanted = i;
    if (i == wanted) return;
    if (declared_)
      fail(error_code::invalid_argument, fmt::format("{} has {} elements, and the shape {} {} {}", path(depth), i,
                                                     declared_->str(), flat_ ? "has" : "says", wanted));
    std::string first = from_.name;
    for (int k = 0; k < depth; ++k) first += "[0]";
    fail(error_code::invalid_argument, fmt::format("{} has {} element{} and {} has {}: rows must be equally long",
                                                   path(depth), i, i == 1 ? "" : "s", first, wanted));
  }

  // Memory for as many elements as the rest of the body would have at the length of those read. An element takes two bytes
  // at least.
  void grow(const char* at) {
    if (declared_)
      fail(error_code::invalid_argument,
           fmt::format("{} has more elements than the {} of the shape {}", from_.name, capacity_, declared_->str()));
    const auto most = from_.limits.elements;
    if (used_ >= most)
      fail(error_code::limit_exceeded, fmt::format("{} has more than {} element{}", from_.name, most, most == 1 ? "" : "s"));
    const auto rest = from_.body.data() + from_.body.size() - at;
    const double length = used_ == 0 ? 8.0 : static_cast<double>(at - begin_) / static_cast<double>(used_);
    auto wanted = used_ + static_cast<std::int64_t>(static_cast<double>(rest) / length * 1.05) + 16;
    wanted = std::max(wanted, used_ + used_ / 2);
    wanted = std::min({wanted, used_ + rest / 2 + 1, most});
    tensor larger = from_.memory.make({wanted}, dtype_of<T>);
    auto* data = static_cast<T*>(larger.data());
    std::copy(data_, data_ + used_, data);
    memory_ = std::move(larger);
    data_ = data;
    capacity_ = wanted;
  }

  // "a[3][0]": the element at index_.
  std::string path(int depth) const {
    std::string p = from_.name;
    for (int k = 0; k < depth; ++k) p += fmt::format("[{}]", index_[static_cast<std::size_t>(k)]);
    return p;
  }

  [[noreturn]] void fail(error_code code, const std::string& sentence) const {
    throw error(code, fmt::format("[{}] {}", from_.protocol, sentence));
  }
  [[noreturn]] void fail_at(const char* at, int depth, simdjson::error_code e) const {
    const auto left = static_cast<std::size_t>(from_.body.data() + from_.body.size() - at);
    const std::string_view around(at, std::min<std::size_t>(24, left));
    fail(error_code::malformed, fmt::format("not JSON in {}, which begins at byte {} with {}: {}", path(depth),
                                            at - from_.body.data(), shown(around), simdjson::error_message(e)));
  }

  // What stands in place of a number.
  [[noreturn]] void fail_number(od::value& v, int depth) const {
    const std::string_view token = trimmed_token(v.raw_json_token());
    if (!is_number(token)) fail_kind(v, depth, "a number");
    fail(error_code::invalid_argument, fmt::format("{} is {}", path(depth), misfit<T>(token)));
  }
  [[noreturn]] void fail_kind(od::value& v, int depth, std::string_view wanted) const {
    const std::string_view token = trimmed_token(v.raw_json_token());
    const std::string_view is = kind_of(token);
    if (is.empty())
      fail(error_code::malformed,
           fmt::format("{} is {}, at byte {}: not JSON", path(depth), shown(token), token.data() - from_.body.data()));
    fail(error_code::invalid_argument, fmt::format("{} is {}: {} is needed there", path(depth), is, wanted));
  }

  const list_source& from_;
  const std::optional<shape> declared_;
  const char* begin_ = nullptr;
  tensor memory_;
  T* data_ = nullptr;
  std::int64_t used_ = 0;
  std::int64_t capacity_ = 0;
  bool flat_ = false;
  int rank_ = unknown;
  std::array<std::int64_t, max_rank + 1> index_{};
  std::array<std::int64_t, max_rank> extents_;
};

// A dtype without JSON is for the caller to refuse.
inline tensor read_list(od::value v, dtype type, const list_source& from, std::optional<shape> declared = {}) {
  return visit(type, [&](auto tag) -> tensor {
    using T = typename decltype(tag)::type;
    if constexpr (has_json(dtype_of<T>))
      return list_reader<T>(from, std::move(declared)).read(v);
    else
      throw error(error_code::unsupported, fmt::format("[{}] {} has no JSON", from.protocol, name_of(type)));
  });
}

}  // namespace sluice::serving

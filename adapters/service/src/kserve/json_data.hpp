// The "data" of an input: numbers in row-major order, in one list or in lists nested as the shape says, straight into the
// tensor's memory.
#pragma once

#include "codec/host_allocator.hpp"
#include "codec/json_number.hpp"

namespace sluice::serving {

template <class T>
class data_reader {
 public:
  data_reader(std::string name, const shape& extents, const host_allocator& room)
      : name_(std::move(name)), shape_(extents), count_(extents.count()), memory_(room.make(extents, dtype_of<T>)) {}

  tensor read(od::value v) {
    out_ = static_cast<T*>(memory_.data());
    od::array list;
    if (v.get_array().get(list)) fail_kind(v, 0, "a list");
    bool first = true;
    for (auto item : list) {
      od::value element = value_of(item, 0);
      if (first) nested_ = shape_.rank() > 1 && kind_of(token(element)) == "a list";
      first = false;
      read_element(element, 1);
      ++index_[0];
    }
    if (nested_) check_extent(0);
    if (used_ != count_)
      fail(fmt::format("{}.data has {} elements, and the shape {} has {}", name_, used_, shape_.str(), count_));
    return std::move(memory_);
  }

 private:
  void read_element(od::value& v, int depth) {
    if (nested_ && depth < shape_.rank()) return read_list(v, depth);
    if (used_ == count_)
      fail(fmt::format("{}.data has more elements than the {} of the shape {}", name_, count_, shape_.str()));
    if (!read_number(v, out_[used_])) fail_number(v, depth);
    ++used_;
  }

  void read_list(od::value& v, int depth) {
    od::array list;
    if (v.get_array().get(list)) fail_kind(v, depth, "a list");
    std::int64_t& i = index_[static_cast<std::size_t>(depth)];
    i = 0;
    for (auto item : list) {
      od::value element = value_of(item, depth);
      read_element(element, depth + 1);
      ++i;
    }
    check_extent(depth);
  }

  void check_extent(int depth) const {
    const auto i = index_[static_cast<std::size_t>(depth)];
    if (i != shape_[depth])
      fail(fmt::format("{} has {} elements, and the shape {} says {}", path(depth), i, shape_.str(), shape_[depth]));
  }

  template <class Item>
  od::value value_of(Item&& item, int depth) const {
    od::value v;
    if (const auto e = item.get(v))
      fail_malformed(fmt::format("not JSON in {}: {}", path(depth), simdjson::error_message(e)));
    return v;
  }

  // "a.data[3][0]": the element that index_ stands at.
  std::string path(int depth) const {
    std::string p = name_ + ".data";
    for (int k = 0; k < depth; ++k) p += fmt::format("[{}]", index_[static_cast<std::size_t>(k)]);
    return p;
  }

  static std::string_view token(od::value& v) { return trimmed_token(v.raw_json_token()); }

  [[noreturn]] static void fail(const std::string& s) { throw error(error_code::invalid_argument, "[v2] " + s); }
  [[noreturn]] static void fail_malformed(const std::string& s) { throw error(error_code::malformed, "[v2] " + s); }
  [[noreturn]] void fail_number(od::value& v, int depth) const {
    if (!is_number(token(v))) fail_kind(v, depth, "a number");
    fail(fmt::format("{} is {}", path(depth), misfit<T>(token(v))));
  }
  [[noreturn]] void fail_kind(od::value& v, int depth, std::string_view wanted) const {
    const auto is = kind_of(token(v));
    if (is.empty()) fail_malformed(fmt::format("{} is {}: not JSON", path(depth), shown(token(v))));
    fail(fmt::format("{} is {}: {} is needed there", path(depth), is, wanted));
  }

  const std::string name_;
  const shape shape_;
  const std::int64_t count_;
  tensor memory_;
  T* out_ = nullptr;
  std::int64_t used_ = 0;
  bool nested_ = false;
  std::array<std::int64_t, max_rank + 1> index_{};
};

}  // namespace sluice::serving

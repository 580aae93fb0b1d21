#include "codec/json_lists.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "codec/json_number.hpp"
#include "sluice/parallel.hpp"

namespace sluice::serving {
namespace {

// Text that one thread reads at a time; below four times this, one thread reads it all: waking a second takes longer.
constexpr std::ptrdiff_t block_bytes = 128 << 10;

const char* skip_blanks(const char* p) noexcept {
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') ++p;
  return p;
}

// Moves past `c` and the blanks around it; false when it is not there.
bool take(const char*& p, char c) noexcept {
  p = skip_blanks(p);
  if (*p != c) return false;
  p = skip_blanks(p + 1);
  return true;
}

std::int64_t commas(const char* begin, const char* end) noexcept { return std::count(begin, end, ','); }

const char* find(const char* begin, const char* end, char c) noexcept {
  return static_cast<const char*>(std::memchr(begin, c, static_cast<std::size_t>(end - begin)));
}

// Nested lists of numbers in [begin, end). Any two elements have a comma between them, whichever lists they are in, so the
// commas before an element give its index, and with it its place and the brackets around it: blocks can be read in parallel.
template <class T>
class lists_reader {
 public:
  lists_reader(const char* begin, const char* end, const service_limits& limits, const host_allocator& memory)
      : begin_(begin), end_(end), limits_(limits), allocator_(memory) {}

  std::optional<tensor> read() {
    if (!cut() || !measure()) return std::nullopt;
    tensor t = allocator_.make(shape(std::span(extents_.data(), static_cast<std::size_t>(rank_))), dtype_of<T>);
    data_ = static_cast<T*>(t.data());
    std::atomic<bool> good{true};
    each_block([&](std::int64_t b) {
      if (good.load(std::memory_order_relaxed) && !read_block(b)) good.store(false, std::memory_order_relaxed);
    });
    if (!good) return std::nullopt;
    return t;
  }

 private:
  // Blocks, and the number of commas before each.
  bool cut() {
    const auto bytes = end_ - begin_;
    blocks_ = bytes < 4 * block_bytes ? 1 : bytes / block_bytes;
    before_.resize(static_cast<std::size_t>(blocks_) + 1);
    each_block([&](std::int64_t b) { before_[static_cast<std::size_t>(b) + 1] = commas(block(b), block(b + 1)); });
    for (std::size_t b = 1; b < before_.size(); ++b) before_[b] += before_[b - 1];
    count_ = before_.back() + 1;
    return count_ <= limits_.elements;
  }

  template <class F>
  void each_block(F&& f) {
    if (blocks_ == 1)
      f(0);
    else
      parallel_for(blocks_, f);
  }

  const char* block(std::int64_t b) const noexcept { return b == blocks_ ? end_ : begin_ + (end_ - begin_) / blocks_ * b; }

  // The rank, by the brackets at the beginning, and the number of elements in the first list of each depth.
  bool measure() {
    const char* p = begin_;
    for (; *p == '['; p = skip_blanks(p + 1))
      if (rank_++ == limits_.rank) return false;
    std::int64_t seen = 1;
    int run = 0;  // closing brackets in a row
    for (int deep = 1; deep < rank_;) {
      const char* const at = find(p, end_, ']');
      if (at == nullptr) return false;
      run = skip_blanks(p) == at ? run + 1 : 1;
      seen += commas(p, at);
      if (run == deep) sizes_[static_cast<std::size_t>(deep++)] = seen;
      p = at + 1;
    }
    sizes_[static_cast<std::size_t>(rank_)] = count_;
    for (int deep = 1; deep <= rank_; ++deep) {
      const auto inner = sizes_[static_cast<std::size_t>(deep - 1)];
      const auto size = sizes_[static_cast<std::size_t>(deep)];
      if (size % inner != 0) return false;
      extents_[static_cast<std::size_t>(rank_ - deep)] = size / inner;
    }
    return true;
  }

  // The elements after the block's first comma, up to the first comma of the next block.
  bool read_block(std::int64_t b) const {
    const auto first_behind = [&](std::int64_t k) {
      return k == 0 ? 0 : std::min(before_[static_cast<std::size_t>(k)] + 1, count_);
    };
    const std::int64_t columns = sizes_[1];
    std::int64_t i = first_behind(b);
    const std::int64_t stop = first_behind(b + 1);
    if (i == stop) return true;
    const char* p = b == 0 ? begin_ : skip_blanks(find(block(b), end_, ',') + 1);
    while (i < stop) {
      if (i % columns == 0 && !take_brackets(p, '[', i)) return false;
      const std::int64_t row_end = (i / columns + 1) * columns;
      do {
        if (!read_json_number(p, data_[i])) return false;
        if (++i == row_end) {
          if (!take_brackets(p, ']', i)) return false;
          if (i == count_) return p == end_;
        } else if (*p != ',') {
          p = skip_blanks(p);
        }
        if (*p++ != ',') return false;
        if (*p <= ' ') p = skip_blanks(p);
      } while (i < std::min(row_end, stop));
    }
    return true;
  }

  // The brackets of one direction between elements i - 1 and i. Blanks after the last closing one are not taken.
  bool take_brackets(const char*& p, char bracket, std::int64_t i) const {
    int lists = i == 0 || i == count_ ? rank_ : 0;
    if (lists == 0)
      while (lists + 1 < rank_ && i % sizes_[static_cast<std::size_t>(lists + 1)] == 0) ++lists;
    for (int k = 0; k < lists; ++k) {
      if (*(p = skip_blanks(p)) != bracket) return false;
      ++p;
    }
    if (i < count_) p = skip_blanks(p);
    return true;
  }

  const char* const begin_;
  const char* const end_;
  const service_limits& limits_;
  const host_allocator& allocator_;
  std::int64_t blocks_ = 1;
  std::vector<std::int64_t> before_;
  std::int64_t count_ = 0;
  int rank_ = 0;
  std::array<std::int64_t, max_rank + 1> sizes_{1};  // elements in one list of each depth, counted from the innermost, 1
  std::array<std::int64_t, max_rank> extents_{};
  T* data_ = nullptr;
};

// The end of the nested lists that begin at `begin`; null when it cannot be told. After the last input's lists there are no
// others; after another's comes a key, and lists of numbers hold no strings. Whatever else is in between fails to be read.
const char* end_of_lists(const char* begin, const char* end, bool last) {
  if (last) {
    const auto at = std::string_view(begin, static_cast<std::size_t>(end - begin)).rfind(']');
    return at == std::string_view::npos ? nullptr : begin + at + 1;
  }
  const char* stop = find(begin, end, '"');
  if (stop == nullptr) return nullptr;
  for (--stop; stop > begin && *stop != ']'; --stop)
    if (*stop != ',' && skip_blanks(stop) == stop) return nullptr;
  return stop > begin ? stop + 1 : nullptr;
}

// The text of each value, by key.
struct outline {
  struct value {
    const char* begin = nullptr;
    const char* end = nullptr;
  };
  bool takes_precision = false;
  std::vector<value> inputs{};
  std::optional<std::string_view> wanted{}, precision{};  // dtype

  bool read(const char* p, const char* end, std::span<const field> fields) {
    inputs.resize(fields.size());
    if (!take(p, '{')) return false;
    do {
      const auto key = text(p, end);
      if (!key || !take(p, ':')) return false;
      if (*key == "dtype") {
        if (wanted || !(wanted = text(p, end))) return false;
      } else if (takes_precision && *key == precision_key) {
        if (precision || !(precision = text(p, end))) return false;
      } else if (!read_value(*key, p, end, fields)) {
        return false;
      }
    } while (take(p, ','));
    return take(p, '}') && p == end && std::all_of(inputs.begin(), inputs.end(), [](const value& v) { return v.begin; });
  }

 private:
  // A string of letters, digits and '_'.
  static std::optional<std::string_view> text(const char*& p, const char* end) {
    if (*p != '"') return std::nullopt;
    const char* const begin = ++p;
    while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_')) ++p;
    if (*p != '"') return std::nullopt;
    return std::string_view(begin, static_cast<std::size_t>(p++ - begin));
  }

  bool read_value(std::string_view key, const char*& p, const char* end, std::span<const field> fields) {
    const auto input = std::find_if(fields.begin(), fields.end(), [&](const field& f) { return f.name == key; });
    if (input == fields.end() || *p != '[') return false;
    auto& v = inputs[static_cast<std::size_t>(input - fields.begin())];
    if (v.begin != nullptr) return false;
    const auto unread = std::count_if(inputs.begin(), inputs.end(), [](const value& i) { return i.begin == nullptr; });
    v = {p, end_of_lists(p, end, unread == 1)};
    p = v.end;
    return p != nullptr;
  }
};

}  // namespace

std::optional<dtype> json_dtype(const field& input, const std::optional<std::string_view>& wanted) {
  for (const auto t : input.dtypes)
    if (has_json(t) && (!wanted || name_of(t) == *wanted)) return t;
  return std::nullopt;
}

std::optional<tensor> read_plain_list(std::string_view text, dtype type, const service_limits& limits,
                                      const host_allocator& memory) {
  return visit(type, [&](auto tag) -> std::optional<tensor> {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_arithmetic_v<T>)
      return lists_reader<T>(text.data(), text.data() + text.size(), limits, memory).read();
    else
      return std::nullopt;
  });
}

std::optional<std::vector<tensor>> read_plain_lists(const body_buffer& body, std::span<const field> inputs,
                                                    const service_limits& limits, const host_allocator& memory,
                                                    asked_options& options) {
  outline found{.takes_precision = options.has_precisions()};
  if (!found.read(body.data(), body.data() + body.size(), inputs)) return std::nullopt;
  std::vector<tensor> all;
  for (std::size_t i = 0; i < found.inputs.size(); ++i) {
    const auto type = json_dtype(inputs[i], found.wanted);
    if (!type) return std::nullopt;
    const auto& v = found.inputs[i];
    auto t = read_plain_list({v.begin, static_cast<std::size_t>(v.end - v.begin)}, *type, limits, memory);
    if (!t) return std::nullopt;
    all.push_back(std::move(*t));
  }
  if (found.precision) options.ask(precision_key, *found.precision);
  return all;
}

}  // namespace sluice::serving

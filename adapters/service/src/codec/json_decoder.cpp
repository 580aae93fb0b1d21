#include "codec/json_decoder.hpp"

#include <algorithm>
#include <optional>

#include "codec/json_lists.hpp"
#include "codec/json_number.hpp"

namespace sluice::serving {
namespace {

[[noreturn]] void fail(error_code code, const std::string& sentence) { throw error(code, "[json] " + sentence); }

// Reads one input: nested lists of numbers, straight into a tensor's memory.
template <class T>
class array_reader {
 public:
  array_reader(std::string_view name, const body_buffer& body, const service_limits& limits, const host_allocator& room)
      : name_(name), body_(body), limits_(limits), room_(room) {}

  tensor read(od::value v) {
    begin_ = v.raw_json_token().data();
    if (begin_ != nullptr && *begin_ == '[') {
      read_list(v, 0);
    } else {
      grow(begin_);
      read_element(v, 0);
      rank_ = 0;
    }
    return memory_.slice(0, 0, used_).reshape(shape(std::span(extents_.data(), static_cast<std::size_t>(rank_))));
  }

 private:
  void read_list(od::value v, int depth) {
    if (depth == limits_.rank)
      fail(error_code::invalid_argument, fmt::format("{} nests lists more than {} deep", path(depth), limits_.rank));
    od::array list;
    if (const auto e = v.get_array().get(list)) fail_malformed(v, e);
    const auto d = static_cast<std::size_t>(depth);
    std::int64_t& i = index_[d];
    i = 0;
    for (auto item : list) {
      od::value element;
      if (const auto e = item.get(element)) fail_at(begin_, depth, e);
      const bool leaf = rank_ == unknown ? !is_list(element) : depth + 1 == rank_;
      if (leaf) {
        rank_ = depth + 1;
        read_element(element, depth + 1);
      } else if (is_list(element)) {
        read_list(element, depth + 1);
      } else {
        fail_kind(element, depth + 1, "a list");
      }
      ++i;
    }
    if (i == 0) fail(error_code::invalid_argument, fmt::format("{} is an empty list", path(depth)));
    if (extents_[d] == unknown) {
      extents_[d] = i;
    } else if (extents_[d] != i) {
      std::string first(name_);
      for (int k = 0; k < depth; ++k) first += "[0]";
      fail(error_code::invalid_argument, fmt::format("{} has {} element{} and {} has {}: rows must be equally long",
                                                     path(depth), i, i == 1 ? "" : "s", first, extents_[d]));
    }
  }

  void read_element(od::value& v, int depth) {
    if (used_ == capacity_) grow(v.raw_json_token().data());
    if (!read_number(v, data_[used_])) fail_number(v, depth);
    ++used_;
  }

  static bool is_list(od::value& v) { return v.raw_json_token().starts_with('['); }

  // Room for as many elements as the rest of the body would have at the length of those read. An element takes two bytes at
  // least.
  void grow(const char* at) {
    if (used_ >= limits_.elements)
      fail(error_code::limit_exceeded,
           fmt::format("{} has more than {} element{}", name_, limits_.elements, limits_.elements == 1 ? "" : "s"));
    const auto rest = body_.data() + body_.size() - at;
    const double length = used_ == 0 ? 8.0 : static_cast<double>(at - begin_) / static_cast<double>(used_);
    auto wanted = used_ + static_cast<std::int64_t>(static_cast<double>(rest) / length * 1.05) + 16;
    wanted = std::max(wanted, used_ + used_ / 2);
    wanted = std::min({wanted, used_ + rest / 2 + 1, limits_.elements});
    tensor larger = room_.make({wanted}, dtype_of<T>);
    auto* data = static_cast<T*>(larger.data());
    std::copy(data_, data_ + used_, data);
    memory_ = std::move(larger);
    data_ = data;
    capacity_ = wanted;
  }

  // "a[3][0]": the element that index_ stands at.
  std::string path(int depth) const {
    std::string p(name_);
    for (int k = 0; k < depth; ++k) p += fmt::format("[{}]", index_[static_cast<std::size_t>(k)]);
    return p;
  }

  [[noreturn]] void fail_at(const char* at, int depth, simdjson::error_code e) const {
    const std::string_view around(at, std::min<std::size_t>(24, static_cast<std::size_t>(body_.data() + body_.size() - at)));
    fail(error_code::malformed, fmt::format("not JSON in {}, which begins at byte {} with {}: {}", path(depth),
                                            at - body_.data(), shown(around), simdjson::error_message(e)));
  }
  [[noreturn]] void fail_malformed(od::value& v, simdjson::error_code e) const {
    const std::string_view token = trimmed_token(v.raw_json_token());
    fail(error_code::malformed,
         fmt::format("not JSON at byte {}, {}: {}", token.data() - body_.data(), shown(token), simdjson::error_message(e)));
  }

  // What stands where a number was to be.
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
           fmt::format("{} is {}, at byte {}: not JSON", path(depth), shown(token), token.data() - body_.data()));
    fail(error_code::invalid_argument, fmt::format("{} is {}: {} is needed there", path(depth), is, wanted));
  }

  static constexpr int unknown = -1;

  const std::string_view name_;
  const body_buffer& body_;
  const service_limits& limits_;
  const host_allocator& room_;
  const char* begin_ = nullptr;
  tensor memory_;
  T* data_ = nullptr;
  std::int64_t used_ = 0;
  std::int64_t capacity_ = 0;
  int rank_ = unknown;
  std::array<std::int64_t, max_rank> index_{};
  std::array<std::int64_t, max_rank> extents_ = filled();

  static constexpr std::array<std::int64_t, max_rank> filled() {
    std::array<std::int64_t, max_rank> a{};
    a.fill(unknown);
    return a;
  }
};

tensor read_array(od::value v, dtype type, std::string_view name, const body_buffer& body, const service_limits& limits,
                  const host_allocator& room) {
  return visit(type, [&](auto tag) -> tensor {
    using T = typename decltype(tag)::type;
    if constexpr (has_json(dtype_of<T>))
      return array_reader<T>(name, body, limits, room).read(v);
    else
      fail(error_code::unsupported, fmt::format("{} has no JSON", name_of(type)));
  });
}

std::string list_of(const std::vector<dtype>& types) {
  std::string s;
  for (const auto t : types)
    if (has_json(t)) s += fmt::format("{}{}", s.empty() ? "" : ", ", name_of(t));
  return s.empty() ? "none in JSON" : s;
}

// The dtype to read `input` as, where the body asks for `wanted`.
dtype dtype_for(const field& input, const std::optional<std::string>& wanted) {
  if (const auto t = json_dtype(input, wanted)) return *t;
  if (!wanted)
    fail(error_code::invalid_argument,
         fmt::format("{} takes {}, which JSON cannot carry: send it in binary", input.name, name_of(input.dtypes.front())));
  fail(error_code::invalid_argument,
       fmt::format("\"dtype\" is {}: {} takes {}", json_string(shown(*wanted)), input.name, list_of(input.dtypes)));
}

}  // namespace

struct json_decoder::state {
  od::parser parser;
  od::document document;

  void open(const body_buffer& body) {
    const simdjson::padded_string_view json(body.data(), body.size(), body.padded_size());
    if (const auto e = parser.iterate(json).get(document))
      fail(error_code::malformed,
           fmt::format("the body's {} bytes are not JSON: {}", body.size(), simdjson::error_message(e)));
  }

  od::object object(const body_buffer& body) {
    od::object o;
    const auto e = document.get_object().get(o);
    if (!e) return o;
    fail(error_code::malformed, no_object({body.data(), body.size()}, e));
  }

  // The "dtype" that may stand behind the numbers it is about. Only a body with such a key is looked through, before it is
  // read; what is wrong with it otherwise shows then.
  std::optional<std::string> wanted_dtype(const body_buffer& body) {
    if (std::string_view(body.data(), body.size()).find("\"dtype\"") == std::string_view::npos) return std::nullopt;
    std::optional<std::string> found;
    for (auto f : object(body)) {
      std::string_view key, text;
      od::value value;
      if (f.unescaped_key().get(key) != simdjson::SUCCESS || f.value().get(value) != simdjson::SUCCESS) break;
      if (key != "dtype") continue;
      if (value.get_string().get(text) != simdjson::SUCCESS) fail(error_code::invalid_argument, "\"dtype\" is not a string");
      found = text;
      break;
    }
    open(body);
    return found;
  }
};

json_decoder::json_decoder() : state_(std::make_unique<state>()) {}
json_decoder::~json_decoder() = default;

std::size_t json_decoder::memory() const noexcept { return parser_memory(state_->parser); }

std::vector<tensor> json_decoder::decode(const body_buffer& body, const endpoint& row, const service_limits& limits,
                                         const host_allocator& room) {
  if (body.size() == 0) fail(error_code::malformed, "the body is empty");
  if (auto plain = read_plain_lists(body, row, limits, room)) return std::move(*plain);
  state_->open(body);
  const auto wanted = state_->wanted_dtype(body);
  std::vector<std::optional<tensor>> read(row.inputs.size());
  bool dtype_read = false;
  int keys = 0;
  for (auto f : state_->object(body)) {
    std::string_view key;
    od::value value;
    auto e = f.unescaped_key().get(key);
    if (!e) e = f.value().get(value);
    if (e)
      fail(error_code::malformed, fmt::format("not JSON after {} of the body's keys: {}", keys, simdjson::error_message(e)));
    ++keys;
    const auto input = std::find_if(row.inputs.begin(), row.inputs.end(), [&](const field& i) { return i.name == key; });
    const bool is_dtype = key == "dtype";
    if (input == row.inputs.end() && !is_dtype)
      fail(error_code::invalid_argument, fmt::format("the key {} is not known to {}", json_string(shown(key)), row.name));
    const auto at = static_cast<std::size_t>(input - row.inputs.begin());
    if (is_dtype ? dtype_read : read[at].has_value())
      fail(error_code::invalid_argument, fmt::format("the key {} is there twice", json_string(key)));
    if (!is_dtype) {
      read[at] = read_array(value, dtype_for(*input, wanted), input->name, body, limits, room);
      continue;
    }
    std::string_view text;
    dtype_read = true;
    if (value.get_string().get(text) != simdjson::SUCCESS || text != wanted)
      fail(error_code::invalid_argument, "\"dtype\" is not a plain string under a plain key");
  }
  // A place to be at means that the object's end was not the body's.
  if (const char* at = nullptr; state_->document.current_location().get(at) == simdjson::SUCCESS)
    fail(error_code::malformed, fmt::format("more follows the object, at byte {}", at - body.data()));
  std::vector<tensor> inputs;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (!read[i])
      fail(error_code::invalid_argument,
           fmt::format("the key {} is missing: {} needs it", json_string(row.inputs[i].name), row.name));
    inputs.push_back(std::move(*read[i]));
  }
  return inputs;
}

}  // namespace sluice::serving

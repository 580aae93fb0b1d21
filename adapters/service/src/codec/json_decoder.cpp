#include "codec/json_decoder.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "codec/list_reader.hpp"
#include "codec/picture_text.hpp"

namespace sluice::serving {
namespace {

[[noreturn]] void fail(error_code code, const std::string& sentence) { throw error(code, "[json] " + sentence); }

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

// An option as text: a string's, or a number's.
std::string_view option_at(od::value& v, std::string_view key) {
  const auto token = trimmed_token(v.raw_json_token());
  if (kind_of(token) == "a number" && key != precision_key) return token;
  std::string_view text;
  if (v.get_string().get(text) != simdjson::SUCCESS)
    fail(error_code::invalid_argument,
         fmt::format("{} is not a string{}", json_string(key), key == precision_key ? "" : ", and not a number"));
  return text;
}

}  // namespace

struct json_decoder::state {
  od::parser parser;
  od::document document;

  void open(const body_buffer& body) {
    const simdjson::padded_string_view text(body.data(), body.size(), body.padded_size());
    if (const auto e = parser.iterate(text).get(document))
      fail(error_code::malformed,
           fmt::format("the body's {} bytes are not JSON: {}", body.size(), simdjson::error_message(e)));
  }

  od::object object(const body_buffer& body) {
    od::object o;
    const auto e = document.get_object().get(o);
    if (!e) return o;
    fail(error_code::malformed, no_object({body.data(), body.size()}, e));
  }

  // The value of "dtype", which may follow the numbers that it describes. Only a body with that key is searched for it;
  // other errors are reported when it is read.
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

std::vector<tensor> json_decoder::decode(const body_buffer& body, std::span<const field> inputs, const decode_context& c) {
  if (body.size() == 0) fail(error_code::malformed, "the body is empty");
  if (auto plain = read_plain_lists(body, inputs, c.limits, c.memory, c.options)) return std::move(*plain);
  state_->open(body);
  const auto wanted = state_->wanted_dtype(body);
  std::vector<std::optional<tensor>> read(inputs.size());
  std::vector<std::optional<std::string_view>> pictures(inputs.size());  // decoded when all options are read
  std::vector<std::string> options_read;
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
    const auto input = std::find_if(inputs.begin(), inputs.end(), [&](const field& i) { return i.name == key; });
    const bool is_dtype = key == "dtype";
    if (c.options.knows(key)) {
      if (std::find(options_read.begin(), options_read.end(), key) != options_read.end())
        fail(error_code::invalid_argument, fmt::format("the key {} is there twice", json_string(key)));
      options_read.emplace_back(key);
      c.options.ask(options_read.back(), option_at(value, options_read.back()));
      continue;
    }
    if (input == inputs.end() && !is_dtype)
      fail(error_code::invalid_argument, fmt::format("the key {} is not known to {}", json_string(shown(key)), c.endpoint));
    const auto at = static_cast<std::size_t>(input - inputs.begin());
    if (is_dtype ? dtype_read : read[at].has_value() || pictures[at].has_value())
      fail(error_code::invalid_argument, fmt::format("the key {} is there twice", json_string(key)));
    std::string_view text;
    if (!is_dtype) {
      const auto type = dtype_for(*input, wanted);
      if (input->kind != field_kind::numbers && value.get_string().get(text) == simdjson::SUCCESS)
        pictures[at] = text;
      else
        read[at] = read_list(value, type, {"json", input->name, body, c.limits, c.memory});
      continue;
    }
    dtype_read = true;
    if (value.get_string().get(text) != simdjson::SUCCESS || text != wanted)
      fail(error_code::invalid_argument, "\"dtype\" is not a plain string under a plain key");
  }
  // A current location means that the body does not end with the object.
  if (const char* at = nullptr; state_->document.current_location().get(at) == simdjson::SUCCESS)
    fail(error_code::malformed, fmt::format("more follows the object, at byte {}", at - body.data()));
  std::vector<tensor> all;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (pictures[i]) read[i] = picture_in(*pictures[i], inputs[i], c);
    if (!read[i])
      fail(error_code::invalid_argument,
           fmt::format("the key {} is missing: {} needs it", json_string(inputs[i].name), c.endpoint));
    all.push_back(std::move(*read[i]));
  }
  return all;
}

}  // namespace sluice::serving

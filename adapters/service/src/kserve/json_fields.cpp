#include "kserve/json_fields.hpp"

namespace sluice::serving {
namespace {

constexpr int most_levels = 64;

void ignore(od::value& v, const std::string& what, int level) {
  const auto token = trimmed_token(v.raw_json_token());
  const auto deeper = [&](od::value inner) {
    if (level == most_levels) fail_v2(fmt::format("{} nests more than {} levels", what, most_levels), error_code::malformed);
    ignore(inner, what, level + 1);
  };
  if (token.starts_with('[')) return each_element(v, what, [&](od::value inner, std::size_t) { deeper(inner); });
  if (token.starts_with('{')) {
    od::object o = object_at(v, what);
    return each_member(o, what, [&](std::string_view, od::value inner) { deeper(inner); });
  }
  std::string_view text;
  if (token.starts_with('"')) {
    if (const auto e = v.get_string().get(text)) fail_no_json(what, e);
  } else if (kind_of(token).empty()) {
    fail_v2(fmt::format("not JSON in {}: {}", what, shown(token)), error_code::malformed);
  }
}

// 0, "" and false: as if it were not there.
bool is_nothing(od::value& v) {
  const auto token = trimmed_token(v.raw_json_token());
  const bool zero = is_number(token) && token.substr(0, token.find_first_of("eE")).find_first_of("123456789") == token.npos;
  return zero || token == "\"\"" || token == "false";
}

}  // namespace

void fail_v2(const std::string& sentence, error_code code) { throw error(code, "[v2] " + sentence); }

void fail_no_json(const std::string& what, simdjson::error_code e) {
  fail_v2(fmt::format("not JSON in {}: {}", what, simdjson::error_message(e)), error_code::malformed);
}

std::string written(od::value& v) {
  const auto token = trimmed_token(v.raw_json_token());
  return token.starts_with('[') || token.starts_with('{') ? std::string(kind_of(token)) : shown(token);
}

bool is_string(od::value& v) { return v.raw_json_token().starts_with('"'); }

bool is_null(od::value& v) { return trimmed_token(v.raw_json_token()) == "null"; }

od::object object_at(od::value v, const std::string& what) {
  od::object o;
  if (v.get_object().get(o)) fail_v2(fmt::format("{} is {}: an object is needed there", what, written(v)));
  return o;
}

std::string string_at(od::value v, const std::string& what) {
  std::string_view text;
  if (v.get_string().get(text)) fail_v2(fmt::format("{} is {}: a string is needed there", what, written(v)));
  return std::string(text);
}

bool bool_at(od::value v, const std::string& what) {
  bool b = false;
  if (v.get_bool().get(b)) fail_v2(fmt::format("{} is {}: true or false is needed there", what, written(v)));
  return b;
}

std::uint64_t number_at(od::value v, const std::string& what) {
  std::uint64_t n = 0;
  if (v.get_uint64().get(n)) fail_v2(fmt::format("{} is {}: a whole number from 0 is needed there", what, written(v)));
  return n;
}

void ignore(od::value v, const std::string& what) { ignore(v, what, 0); }

void ignore_parameter(std::string_view key, od::value v, const std::string& what) {
  const auto refuse = [&](std::string_view why) {
    fail_v2(fmt::format("{} has {}, {}: {}", what, json_string(key), written(v), why));
  };
  if (key.starts_with("shared_memory_")) refuse("tensors come in the request and the answer, not in shared memory");
  if (key == "sequence_id" && !is_nothing(v)) refuse("requests are not parts of a sequence");
  if (key == "classification" && !is_nothing(v)) refuse("outputs are numbers, not classes");
  ignore(v, fmt::format("{}.{}", what, shown(key)), 0);
}

}  // namespace sluice::serving

#include "codec/json_number.hpp"

#include <algorithm>

namespace sluice::serving {

std::string_view trimmed_token(std::string_view token) {
  while (!token.empty() && (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t'))
    token.remove_suffix(1);
  return token;
}

std::string_view kind_of(std::string_view token) {
  if (token.starts_with('[')) return "a list";
  if (token.starts_with('{')) return "an object";
  if (token.starts_with('"')) return "a string";
  if (token == "true" || token == "false" || token == "null") return token;
  return is_number(token) ? "a number" : "";
}

std::string no_object(std::string_view body, simdjson::error_code e) {
  body = trimmed_token(body);
  if (body.empty()) return "the body has nothing but blanks in it";
  if (e == simdjson::INCORRECT_TYPE) return fmt::format("the body is not a JSON object: it begins with {}", shown(body, 16));
  if (!body.ends_with('}'))  // simdjson calls all of these "ended early"
    return fmt::format("the body is not JSON: it ends with {} at byte {}, not with the '}}' of an object",
                       json_string(body.substr(body.size() - 1)), body.size() - 1);
  return fmt::format("the body is not JSON: {}", simdjson::error_message(e));
}

}  // namespace sluice::serving

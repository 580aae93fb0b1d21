// JSON text, written in order, with commas and escapes where they belong.
//
//     json_writer w;
//     w.begin_object().member("name", name).key("shape").value(json_array(t.shape())).end_object();
//     std::move(w).text();    // {"name":"a","shape":[2,3]}
//
//     json_object({{"type", "array"}, {"items", json_object({{"type", "integer"}, {"minimum", 0}})}})
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/text.hpp"

namespace sluice::serving {

// One value as text. A string is quoted; raw() takes what is JSON already.
class json_value {
 public:
  json_value(std::string_view s) : text_(json_string(s)) {}
  json_value(const std::string& s) : text_(json_string(s)) {}
  json_value(const char* s) : text_(json_string(s)) {}
  json_value(std::same_as<bool> auto b) : text_(b ? "true" : "false") {}
  template <std::integral I>
  requires(!std::same_as<I, bool>) json_value(I n) : text_(std::to_string(n)) {}
  static json_value raw(std::string text) {
    json_value j;
    j.text_ = std::move(text);
    return j;
  }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  operator std::string() const { return text_; }

 private:
  json_value() = default;
  std::string text_;
};

class json_writer {
 public:
  json_writer& begin_object() { return begin('{'); }
  json_writer& end_object() { return end('}'); }
  json_writer& begin_array() { return begin('['); }
  json_writer& end_array() { return end(']'); }

  json_writer& key(std::string_view name) {
    separate();
    append_json_string(text_, name);
    text_ += ':';
    comma_ = false;
    return *this;
  }
  json_writer& value(const json_value& v) { return raw(v.text()); }
  // Straight into the text, without a string of their own.
  json_writer& value(std::string_view s) {
    separate();
    append_json_string(text_, s);
    comma_ = true;
    return *this;
  }
  json_writer& value(const std::string& s) { return value(std::string_view(s)); }
  json_writer& value(const char* s) { return value(std::string_view(s)); }
  json_writer& value(std::same_as<bool> auto b) { return raw(b ? "true" : "false"); }
  template <std::integral I>
  requires(!std::same_as<I, bool>) json_writer& value(I n) {
    char digits[24];
    return raw({digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, n).ptr - digits)});
  }
  // A value that is JSON already; an empty one is written elsewhere, in the place where take() cuts.
  json_writer& raw(std::string_view v) {
    separate();
    text_ += v;
    comma_ = true;
    return *this;
  }
  json_writer& member(std::string_view name, const json_value& v) { return key(name).value(v); }
  template <class V>
  json_writer& member(std::string_view name, const V& v) {
    return key(name).value(v);
  }

  // The text so far. What is written later continues it.
  [[nodiscard]] std::string take() { return std::exchange(text_, {}); }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  void separate() {
    if (comma_) text_ += ',';
  }
  json_writer& begin(char bracket) {
    separate();
    text_ += bracket;
    comma_ = false;
    return *this;
  }
  json_writer& end(char bracket) {
    text_ += bracket;
    comma_ = true;
    return *this;
  }

  std::string text_;
  bool comma_ = false;  // between what was written and the next value or key
};

using json_members = std::vector<std::pair<std::string, json_value>>;

inline json_value json_object(const json_members& members) {
  json_writer w;
  w.begin_object();
  for (const auto& [name, v] : members) w.member(name, v);
  return json_value::raw(std::move(w.end_object()).text());
}

// A list of anything that makes a value.
template <class Range>
json_value json_array(const Range& items) {
  json_writer w;
  w.begin_array();
  for (const auto& item : items) w.value(item);
  return json_value::raw(std::move(w.end_array()).text());
}
inline json_value json_array(std::initializer_list<json_value> items) {
  return json_array<std::initializer_list<json_value>>(items);
}

}  // namespace sluice::serving

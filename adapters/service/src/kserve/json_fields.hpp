// What readers of inference requests share: values of a kind, members of objects, and what is passed over.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json_number.hpp"
#include "sluice/error.hpp"

namespace sluice::serving {

[[noreturn]] void fail_v2(const std::string& sentence, error_code code = error_code::invalid_argument);
[[noreturn]] void fail_no_json(const std::string& what, simdjson::error_code e);

// What a client wrote at `v`, for a message.
std::string written(od::value& v);

bool is_string(od::value& v);

// Writers of JSON send null for what is not there.
bool is_null(od::value& v);

// The value at `v`, called `what` in messages. Throw error (invalid_argument) where it is of another kind.
od::object object_at(od::value v, const std::string& what);
std::string string_at(od::value v, const std::string& what);
bool bool_at(od::value v, const std::string& what);
std::uint64_t number_at(od::value v, const std::string& what);

// Passes over a value that is not used. Throws error (malformed) unless it is JSON, of a few levels at most.
void ignore(od::value v, const std::string& what);

// The same for a parameter. Throws error (invalid_argument) for those without which the answer is not what is asked for:
// sequences of requests, shared memory, classes in place of numbers.
void ignore_parameter(std::string_view key, od::value v, const std::string& what);

// Keys that were there; each may be once.
class seen_keys {
 public:
  void add(std::string_view key, const std::string& what) {
    if (std::find(keys_.begin(), keys_.end(), key) != keys_.end())
      fail_v2(fmt::format("{} has {} twice", what, json_string(key)));
    keys_.push_back(key);
  }

 private:
  std::vector<std::string_view> keys_;
};

// each(key, value) for each member of `o`, called `what` in messages.
template <class F>
void each_member(od::object& o, const std::string& what, F each) {
  for (auto f : o) {
    std::string_view key;
    od::value value;
    auto e = f.unescaped_key().get(key);
    if (!e) e = f.value().get(value);
    if (e) fail_no_json(what, e);
    each(key, value);
  }
}

// take(key, value) for each member; it returns whether it knows the key. Others are refused: `known` lists those that are
// taken.
template <class F>
void each_field(od::object& o, const std::string& what, std::string_view known, F take) {
  seen_keys seen;
  each_member(o, what, [&](std::string_view key, od::value value) {
    seen.add(key, what);
    if (!take(key, value))
      fail_v2(fmt::format("{} has {}, which is not known: {} is taken", what, json_string(shown(key)), known));
  });
}

// take(key, value) for each of the parameters at `v`, which may be null and is an object else: the protocol lets clients
// send their own, which are passed over.
template <class F>
void each_parameter(od::value v, const std::string& what, F take) {
  if (is_null(v)) return;
  od::object o = object_at(v, what);
  seen_keys seen;
  each_member(o, what, [&](std::string_view key, od::value value) {
    if (is_null(value)) return;
    if (take(key, value))
      seen.add(key, what);
    else
      ignore_parameter(key, value, what);
  });
}

// take(value, index) for each element of the list at `v`.
template <class F>
void each_element(od::value v, const std::string& what, F take) {
  od::array list;
  if (v.get_array().get(list)) fail_v2(fmt::format("{} is {}: a list is needed there", what, written(v)));
  std::size_t i = 0;
  for (auto item : list) {
    od::value element;
    if (const auto e = item.get(element)) fail_no_json(what, e);
    take(element, i++);
  }
}

}  // namespace sluice::serving

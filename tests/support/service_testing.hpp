// What the tests of the service share: requests in one line, .npy bodies, answers compared by their text.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "sluice/npy.hpp"
#include "sluice/service.hpp"

namespace testing {

// The pieces one after the other. (GCC 12 warns of "literal" + string.)
template <class... T>
std::string cat(const T&... pieces) {
  std::string all;
  ((all += pieces), ...);
  return all;
}

// "[f(0),f(1),...]"
template <class F>
std::string list(int n, F f) {
  std::string all = "[";
  for (int i = 0; i < n; ++i) all += i == 0 ? f(i) : cat(",", f(i));
  return all + "]";
}

using headers = std::vector<std::pair<std::string, std::string>>;

inline sluice::response send(sluice::service& s, std::string method, std::string path, std::string_view body = {},
                             headers with = {}, std::string query = {}) {
  return s.handle({.method = std::move(method),
                   .path = std::move(path),
                   .query = std::move(query),
                   .header = [&](std::string_view name) -> std::string_view {
                     for (const auto& [key, value] : with)
                       if (key == name) return value;
                     return {};
                   },
                   .body = body});
}

inline sluice::response ask(sluice::service& s, std::string path, std::string query, std::string_view body,
                            headers with = {}) {
  return send(s, "POST", std::move(path), body, std::move(with), std::move(query));
}

inline sluice::response post(sluice::service& s, std::string name, std::string_view body, headers with = {}) {
  return send(s, "POST", cat("/v1/", name), body, std::move(with));
}

// Calls of an endpoint wait at it until it is opened.
class gate {
 public:
  void pass() {
    ++entered;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }
  void open() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }

  std::atomic<int> entered{0};  // those that wait, and those that are through

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Whether it holds within 20 s.
template <class F>
bool eventually(F holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

// The answer's status, and its text without what stands around the result.
inline std::string result(const sluice::response& r) {
  const std::string text = r.text();
  const auto begin = text.find("\"result\":"), end = text.find(",\"shape\"");
  return r.status == 200 && begin != text.npos && end != text.npos ? text.substr(begin + 9, end - begin - 9) : text;
}

// A refusal: its status, a problem's form, and words that its detail must hold.
inline void check_problem(const sluice::response& r, int status, std::string_view words) {
  const std::string text = r.text();
  CAPTURE(text);
  CHECK(r.status == status);
  CHECK(r.header("Content-Type") == "application/problem+json");
  for (const char* key : {"\"type\":", "\"title\":", "\"status\":", "\"detail\":", "\"code\":"})
    CHECK(text.find(key) != text.npos);
  CHECK_MESSAGE(text.find(words) != text.npos, "wanted: " << std::string(words));
}

inline std::string part(std::string_view name, std::string_view content, std::string_view boundary = "cut") {
  return cat("--", boundary, "\r\nContent-Disposition: form-data; name=\"", name,
             "\"; filename=\"x.npy\"\r\nContent-Type: application/x-npy\r\n\r\n", content, "\r\n");
}

inline const headers npy_type{{"Content-Type", "application/x-npy"}};
inline const headers multipart_type{{"Content-Type", "multipart/form-data; boundary=cut"}};

}  // namespace testing

// A compressed upload as it comes, and how much may be made of it: a few megabytes can be gigabytes of zeros.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "execution/request_context.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

class coded_body {
 public:
  // `decode` as request::decode.
  coded_body(const stream_options& options, const std::function<bool(std::string_view, const body_receiver&)>& decode);

  // Takes some of `bytes`, and returns how many.
  std::size_t append(std::string_view bytes);
  [[nodiscard]] bool is_full() const noexcept { return filled_ == pending_.size(); }
  [[nodiscard]] std::size_t pending() const noexcept { return filled_; }  // bytes that the next decode() is of
  // Passes on what the pending bytes decode to. Throws http_error: 400 when they are damaged, 413 when they are too many for
  // what came, or take too long.
  void decode(const std::function<void(std::string_view)>& take);
  // Throws http_error (400) when the body is cut off.
  void check_whole() const;

 private:
  using clock = std::chrono::steady_clock;

  void check(clock::duration spent) const;

  const stream_options& options_;
  const std::function<bool(std::string_view, const body_receiver&)>& decode_;
  std::string pending_;
  std::size_t filled_ = 0;
  std::int64_t came_ = 0, decoded_ = 0;  // bytes
  clock::duration spent_{};
};

}  // namespace sluice::serving

// All that is known of a request under way: its name for metrics, its deadline, and the time that each stage took.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "execution/admission.hpp"
#include "execution/answer_budget.hpp"
#include "sluice/service/endpoint.hpp"

namespace sluice::serving {

// Waiting for a worker, decoding, computing, encoding; reading the body, sending the answer.
enum class stage { queue, input, infer, output, read, write };
inline constexpr std::size_t stage_count = 6;
inline constexpr std::array<std::string_view, stage_count> stage_names{"queue",  "decode", "compute",
                                                                       "encode", "read",   "write"};

constexpr double seconds_of(std::chrono::nanoseconds t) { return std::chrono::duration<double>(t).count(); }

// Protocols fill it in as they learn what is asked for.
struct request_context {
  using clock = std::chrono::steady_clock;

  std::string route = "none";             // an endpoint's name or a fixed route's: a client cannot make new ones
  std::string model{};                    // of a call; empty for everything else
  std::shared_ptr<const endpoint> row{};  // where the route is an endpoint's: it stays until the request is counted
  clock::time_point begin = clock::now();
  std::array<std::chrono::nanoseconds, stage_count> stages{};
  std::int64_t body_bytes = 0;   // of the request, decompressed
  bool streamed = false;         // body_bytes is all that was read, whatever the head announced
  std::int64_t text_bytes = 0;   // the part of body_bytes that is decoded: binary data is used in place
  std::string_view rejection{};  // the code of a refusal: a literal, one of few
  clock::time_point deadline = clock::time_point::max();
  std::function<bool()> gone{};  // whether the client has disconnected; null where the transport cannot tell
  std::function<std::shared_ptr<void>()> begin_wait{};  // see request::begin_wait
  admission::ticket ticket{};
  std::shared_ptr<answer_share> answer{};  // held until the answer is sent
  std::string request_id{}, traceparent{};

  [[nodiscard]] std::chrono::nanoseconds taken() const { return clock::now() - begin; }
  [[nodiscard]] auto& time_of(stage s) { return stages[static_cast<std::size_t>(s)]; }
  [[nodiscard]] auto time_of(stage s) const { return stages[static_cast<std::size_t>(s)]; }
};

// Adds the time since the stage before to each stage as it ends.
class stage_clock {
 public:
  explicit stage_clock(request_context& record) : record_(record) {}
  void ends(stage s) {
    const auto now = request_context::clock::now();
    record_.time_of(s) += now - last_;
    last_ = now;
  }

 private:
  request_context& record_;
  request_context::clock::time_point last_ = request_context::clock::now();
};

}  // namespace sluice::serving

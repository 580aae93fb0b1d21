// What became of the calls of each model, and where their time went, since the start.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace sluice::serving {

// Waiting for a slot, decoding, computing, encoding; reading the body, sending the answer.
enum class stage { queue, input, infer, output, read, write };
inline constexpr std::size_t stage_count = 6;
inline constexpr std::array<std::string_view, stage_count> stage_names{"queue",  "decode", "compute",
                                                                       "encode", "read",   "write"};

constexpr double seconds_of(std::chrono::nanoseconds t) { return std::chrono::duration<double>(t).count(); }

// One request, as metrics and statistics will know it. Protocols fill it in as they learn what is asked for.
struct request_context {
  std::string route = "none";  // a name of the catalogue or of a fixed route: a client cannot make new ones
  std::string model{};         // of a call; empty for everything else
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::array<std::chrono::nanoseconds, stage_count> stages{};
  std::int64_t body_bytes = 0;   // of the request, decompressed
  bool streamed = false;         // they are all that was read, whatever the head said
  std::int64_t text_bytes = 0;   // of these, what is to be decoded: the rest is taken as it lies
  std::string_view rejection{};  // the code of a refusal: one of few, and always there
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::function<bool()> gone{};  // whether the client is, where the transport can tell
  std::string request_id{}, traceparent{};

  [[nodiscard]] std::chrono::nanoseconds taken() const { return std::chrono::steady_clock::now() - begin; }
};

class statistics {
 public:
  struct duration {
    std::uint64_t count = 0, ns = 0;
  };
  struct model {
    duration success, fail;
    std::array<duration, stage_count> stages;  // of calls that succeeded
    std::int64_t last_ms = 0;                  // the end of the last of them, since 1970
  };

  void record(const request_context& call, bool succeeded, std::chrono::nanoseconds taken);
  [[nodiscard]] model of(std::string_view name) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, model, std::less<>> models_;
};

}  // namespace sluice::serving

// What all protocols share: the catalogue, the slots, and the one place where calls are admitted, computed and measured.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>

#include "catalogue.hpp"
#include "health.hpp"
#include "json_in.hpp"
#include "metrics.hpp"
#include "slots.hpp"
#include "statistics.hpp"

namespace sluice::http {

class engine {
 public:
  explicit engine(service_options o);  // throws invalid_argument for a limit, slot or queue below its minimum

  const service_options options;
  catalogue rows;
  slots compute;
  decoder_pool decoders;
  http::metrics metrics;
  http::statistics statistics;

  std::atomic<bool> draining{false};  // the server is about to end

  // Throws refused (503) while draining: to be asked before a body is read.
  void check_open() const;

  // Gives the inputs of a call, and may set its deadline and priority.
  using decoder = std::function<std::vector<tensor>(call_context&)>;
  // Turns results, on the CPU, into an answer; `where` is the device that they were computed on.
  using encoder = std::function<response(const std::vector<tensor>& results, const std::string& where)>;

  // One call of `row`, in a slot from decoding to encoding. The body is in memory by now: clients may be slow. Throws
  // refused: 429 when slots and queue are full, 504 when the deadline has passed before computing.
  response call(const endpoint& row, call_record& record, const decoder& decode, const encoder& encode);

  // The devices now, after a word to the application about those that were lost.
  health look();

 private:
  std::mutex mutex_;                // of the next
  std::set<std::string> reported_;  // devices that on_device_lost has been told of
};

}  // namespace sluice::http

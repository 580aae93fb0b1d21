// What all protocols share: the catalogue, the slots, and the one place where calls are admitted, computed and measured.
#pragma once

#include <mutex>
#include <set>

#include "catalogue.hpp"
#include "health.hpp"
#include "json_in.hpp"
#include "metrics.hpp"
#include "slots.hpp"

namespace sluice::http {

// One request, as the metrics will know it. Protocols fill it in as they learn what is asked for.
struct call_record {
  std::string route = "none";  // a name of the catalogue or of a fixed route
};

class engine {
 public:
  explicit engine(service_options o);  // throws invalid_argument for a limit, slot or queue below its minimum

  const service_options options;
  catalogue rows;
  slots compute;
  decoder_pool decoders;
  http::metrics metrics;

  // Turns results, on the CPU, into an answer; `where` is the device that they were computed on.
  using encoder = std::function<response(const std::vector<tensor>& results, const std::string& where)>;

  // One call of `row`, in a slot from decoding to encoding. The body is in memory by now: clients may be slow. Throws
  // refused: 429 when slots and queue are full.
  response call(const endpoint& row, const std::function<std::vector<tensor>()>& decode, const encoder& encode);

  response compute_now(const endpoint& row, const std::function<std::vector<tensor>()>& decode, const encoder& encode);
  // The devices now, after a word to the application about those that were lost.
  health look();

 private:
  std::mutex mutex_;                // of the next
  std::set<std::string> reported_;  // devices that on_device_lost has been told of
};

}  // namespace sluice::http

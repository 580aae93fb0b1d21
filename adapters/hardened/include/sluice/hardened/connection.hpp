// One client, from accept to close.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "sluice/hardened/channel.hpp"
#include "sluice/hardened/head.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

using clock = std::chrono::steady_clock;

inline clock::duration seconds(double s) {
  return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(s));
}

// Whoever was handed it by the poller has it alone; what is atomic may be looked at by the timekeeper meanwhile.
class connection {
 public:
  enum class phase { handshake, fresh, head, body, idle, lingering };

  explicit connection(std::unique_ptr<channel> c)
      : wire(std::move(c)), remote(wire->below().remote()), local(wire->below().local()) {}
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  std::unique_ptr<channel> wire;
  address remote, local;
  std::string received{};           // and not yet given to a handler
  std::size_t scanned = 0;          // of it, without finding the head's end
  std::unique_ptr<head> request{};  // once its head is there,
  std::size_t head_size = 0;        // as it came,
  std::size_t wanted = 0;           // and what is to be there before a handler is asked
  std::size_t answered = 0;         // requests
  clock::time_point until{};        // when what is being received is to be there

  std::atomic<phase> at{phase::handshake};
  std::atomic<clock::time_point::rep> deadline{0};  // while it waits in the poller; 0: it does not
  std::atomic<bool> expired{false};
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice

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

// The thread that got it from the poller owns it; the timekeeper reads the atomic members meanwhile.
class connection {
 public:
  enum class phase { handshake, fresh, head, body, idle, lingering };

  explicit connection(std::unique_ptr<channel> c)
      : wire(std::move(c)), remote(wire->below().remote()), local(wire->below().local()) {}
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  std::unique_ptr<channel> wire;
  address remote, local;
  std::string received{};           // not yet passed to a handler
  std::size_t scanned = 0;          // bytes of it without the end of the head
  std::unique_ptr<head> request{};  // once its head is complete
  std::size_t head_size = 0;        // bytes of the head as received
  std::size_t wanted = 0;           // bytes to receive before the handler runs
  std::size_t answered = 0;         // requests
  clock::time_point until{};        // deadline of what is being received

  std::atomic<phase> at{phase::handshake};
  std::atomic<clock::time_point::rep> deadline{0};  // while it waits in the poller, else 0
  std::atomic<bool> expired{false};
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice

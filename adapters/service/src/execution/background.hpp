// Threads of the service's own: of lower priority than those that hold connections, and without the application's signals.
#pragma once

#include <thread>
#include <utility>

#include "http/system.hpp"

namespace sluice::serving {

// Throws std::system_error when the system gives no thread.
template <class Work>
std::thread background(int nice, Work work) {
  const system::quiet_threads quiet;
  return std::thread([nice, own = std::move(work)] {
    system::lower_priority(nice);
    own();
  });
}

}  // namespace sluice::serving

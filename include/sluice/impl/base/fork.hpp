// What fork does to threads and locks: a child has the forking thread alone, and every lock as it was.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <new>
#include <thread>

#include "sluice/impl/base/thread.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// Sections of code that no fork interrupts: fork waits for the threads inside, and others wait for fork. Sections nest.
//
//     const fork_gate::pass inside(gate, depth);   // depth: of this thread and this gate
class fork_gate {
 public:
  class pass {
   public:
    pass(fork_gate& gate, int& depth) noexcept : gate_(gate), depth_(depth) {
      if (depth_++ == 0) gate_.enter();
    }
    ~pass() {
      if (--depth_ == 0) gate_.inside_.fetch_sub(1);
    }
    pass(const pass&) = delete;
    pass& operator=(const pass&) = delete;

   private:
    fork_gate& gate_;
    int& depth_;
  };

  // For at_fork: before; in the parent; in the child. A thread may fork inside: libraries start programs as they load.
  void close(int depth) noexcept {
    closing_.fetch_add(1);
    while (inside_.load() > (depth > 0 ? 1 : 0)) rest();
  }
  void open() noexcept { closing_.fetch_sub(1); }
  void open_in_child(int depth) noexcept {
    inside_.store(depth > 0 ? 1 : 0);
    closing_.store(0);
  }

 private:
  void enter() noexcept {
    for (;;) {
      inside_.fetch_add(1);
      if (closing_.load() == 0) return;
      inside_.fetch_sub(1);
      while (closing_.load() != 0) rest();
    }
  }
  // Not a condition variable: a child would have it with waiters that do not exist.
  static void rest() noexcept { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

  std::atomic<int> inside_{0};
  std::atomic<int> closing_{0};  // threads that fork
};

// In a child: a mutex that a thread of the parent may have held.
inline void renew(std::mutex& m) noexcept { new (&m) std::mutex; }

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

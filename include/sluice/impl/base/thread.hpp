// Threads of our own: started without the application's signals, with a niceness, and what fork does to them.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// While it lives, threads started by this thread receive no signal except those of their own faults and of a profiler: the
// others are for the application's threads. The new thread starts with the mask, so there is no gap.
class signal_block {
 public:
  signal_block() noexcept;
  ~signal_block();
  signal_block(const signal_block&) = delete;
  signal_block& operator=(const signal_block&) = delete;

 private:
  alignas(16) std::byte before_[128];  // the mask that is restored
};

// Makes the calling thread nicer than the process by `nice`, 0 to 19, where niceness is a thread's own (Linux; Windows'
// priorities).
void set_niceness(int nice) noexcept;

// The name that debuggers and top show, at most 15 bytes.
void set_thread_name(const char* name) noexcept;

// Calls these around each fork, where there is one: `before`, the latest first; then the others, each where it is named for.
// Null: nothing.
void at_fork(void (*before)(), void (*in_parent)(), void (*in_child)());
inline void after_fork_in_child(void (*f)()) { at_fork(nullptr, nullptr, f); }

// A thread that runs `work` at niceness `nice`, with signals blocked. `name`: a literal. Throws std::system_error when the
// system gives no thread.
template <class Work>
std::thread start_thread(const char* name, int nice, Work work) {
  const signal_block block;
  return std::thread([name, nice, own = std::move(work)]() mutable {
    set_thread_name(name);
    if (nice > 0) set_niceness(nice);
    own();
  });
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(_WIN32)
#include "sluice/impl/base/thread_windows.hpp"
#else
#include "sluice/impl/base/thread_posix.hpp"
#endif

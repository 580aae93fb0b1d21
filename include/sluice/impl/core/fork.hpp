// Sections that no fork interrupts: what a process has one of is made in one, so that a child finds it made or not begun;
// and the locks of the registry and of placement are held in one, so that a child finds them open.
#pragma once

#include <atomic>
#include <mutex>
#include <type_traits>

#include "sluice/impl/base/fork.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

inline base::fork_gate process_gate;
inline constinit thread_local int sections = 0;  // under way in this thread

inline const bool forks_are_handled = (base::at_fork([] { process_gate.close(sections); }, [] { process_gate.open(); },
                                                     [] { process_gate.open_in_child(sections); }),
                                       true);

class uninterrupted {
  base::fork_gate::pass inside_{process_gate, sections};
};

// Holds a mutex that no child finds locked.
class uninterrupted_lock {
 public:
  explicit uninterrupted_lock(std::mutex& m) : lock_(m) {}

 private:
  uninterrupted inside_;  // before the mutex is locked
  std::lock_guard<std::mutex> lock_;
};

// What `make` returned at the first call, which is never destroyed.
template <class Make>
inline auto& first_use(Make make) {
  using made = std::remove_pointer_t<decltype(make())>;
  static std::atomic<made*> ready{nullptr};
  if (made* m = ready.load(std::memory_order_acquire)) return *m;
  const uninterrupted inside;
  static made* const only = make();
  ready.store(only, std::memory_order_release);
  return *only;
}

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice

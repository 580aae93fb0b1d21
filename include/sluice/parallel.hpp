/// @file
/// The process's one thread pool. Backends, codecs and streams all run on it, so that a program with many callers never has
/// more threads at work than cores.
///
///     sluice::parallel_for(rows, [&](std::int64_t r) { out[r] = f(r); });
///
/// Size: SLUICE_THREADS, else the cores this process may run on (its affinity and its cgroup's CPU quota). Callers beyond
/// that wait their turn, first come first served; helpers leave a running loop at its next index when a caller waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <type_traits>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Threads that one parallel_for may use at once, the caller included. At least 1.
SLUICE_API std::int32_t parallel_size() noexcept;

/// Has the pool's helpers give way to other threads: they run at this niceness, 0 to 19, from their next loop on. The system
/// lets it grow only; a call with less changes nothing. The threads that call parallel_for keep their own.
SLUICE_API void parallel_nice(std::int32_t nice) noexcept;

/// While one lives, the loops of its thread run in it, in order, as those of a body do: for a caller who knows that other
/// callers have the cores. `alone` false: nothing changes.
class SLUICE_API parallel_alone {
 public:
  /// From here on, for the calling thread alone.
  explicit parallel_alone(bool alone = true) noexcept;
  ~parallel_alone();                                          ///< as it was before
  parallel_alone(const parallel_alone&) = delete;             ///< they end in the order opposite to their beginning
  parallel_alone& operator=(const parallel_alone&) = delete;  ///< likewise

 private:
  bool before_;
};

namespace detail {
// The raw form, for tables of C functions: `body` must not throw. Once `stop`, where there is one, is true, no further index
// is handed out.
SLUICE_API void parallel_run(std::int64_t count, void (*body)(void* context, std::int64_t index), void* context,
                             const std::atomic<bool>* stop = nullptr);
}  // namespace detail

/// Calls body(i) once for every i in [0, count), in no order, and returns when all are done. An exception in a body stops
/// the handing out of further indices and is thrown here, the first one only. A call made inside a body runs there, in
/// order.
template <class F>
void parallel_for(std::int64_t count, F&& body) {
  struct state {
    std::remove_reference_t<F>* body;
    std::atomic<bool> failed{false};
    std::exception_ptr error{};
  } s{&body};
  detail::parallel_run(
      count,
      [](void* context, std::int64_t i) {
        auto& t = *static_cast<state*>(context);
        try {
          (*t.body)(i);
        } catch (...) {
          if (!t.failed.exchange(true)) t.error = std::current_exception();
        }
      },
      &s, &s.failed);
  if (s.error) std::rethrow_exception(s.error);
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/parallel.hpp"
#endif

/// @file
/// The process's thread pool. Backends, codecs and streams all run on it: however many callers a program has, no more
/// threads compute than there are cores.
///
///     sluice::parallel_for(rows, [&](std::int64_t r) { out[r] = f(r); });
///
/// Size: SLUICE_THREADS, else the cores this process may run on (its affinity and its cgroup's CPU quota). Callers beyond
/// that wait, first come first served; helpers leave a running loop at its next index when a caller waits.
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

/// Sets the niceness of the pool's helpers, 0 to 19, from their next loop on. It can only grow: a smaller value changes
/// nothing. The threads that call parallel_for keep their own.
SLUICE_API void parallel_nice(std::int32_t nice) noexcept;

/// While one lives, the loops of its thread run in that thread alone, in order, as loops inside a body do: for a caller that
/// knows the cores are busy with other callers. With `alone` false it changes nothing.
class SLUICE_API parallel_alone {
 public:
  /// Affects the calling thread only.
  explicit parallel_alone(bool alone = true) noexcept;
  ~parallel_alone();                                          ///< restores what was before
  parallel_alone(const parallel_alone&) = delete;             ///< scoped: nested ones end in reverse order
  parallel_alone& operator=(const parallel_alone&) = delete;  ///< likewise

 private:
  bool before_;
};

/// While one lives, the operations and loops that its thread begins can be cancelled: once `cancelled` is true, a running
/// loop hands out no further index, and the operation, or parallel_for, throws error (cancelled). Work that a GPU has begun
/// ends by itself.
///
///     std::atomic<bool> cancelled{false};                   // set by another thread
///     const sluice::parallel_cancellation scope(cancelled);
///     auto c = sluice::matmul(a, b);                        // ends within a tile's time
class SLUICE_API parallel_cancellation {
 public:
  /// Affects the calling thread only. `cancelled` outlives it.
  explicit parallel_cancellation(const std::atomic<bool>& cancelled) noexcept;
  ~parallel_cancellation();                                                 ///< restores what was before
  parallel_cancellation(const parallel_cancellation&) = delete;             ///< scoped: nested ones end in reverse order
  parallel_cancellation& operator=(const parallel_cancellation&) = delete;  ///< likewise

 private:
  const std::atomic<bool>* before_;
};

namespace detail {
// For C functions: `body` must not throw. Once `*stop` is true, or the thread's work is cancelled, no further index is
// handed out.
SLUICE_API void parallel_run(std::int64_t count, void (*body)(void* context, std::int64_t index), void* context,
                             const std::atomic<bool>* stop = nullptr);
// Throws error (cancelled) when the thread's work is cancelled: a loop may have left indices out.
SLUICE_API void check_not_cancelled();
}  // namespace detail

/// Calls body(i) once for every i in [0, count), in any order, and returns when all have returned. The first exception of a
/// body is rethrown here; no further index starts after it. A call made inside a body runs in that thread, in order. Throws
/// error (cancelled) where parallel_cancellation says so.
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
  detail::check_not_cancelled();
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/parallel.hpp"
#endif

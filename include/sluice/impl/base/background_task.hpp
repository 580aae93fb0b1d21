// One function on a thread of its own, and its result.
//
//     background_task<int> t("sluice-sync", [] { return slow(); });
//     ...
//     t.get();      // waits; throws what the function threw
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include "sluice/impl/base/thread.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// Movable. Destroying or replacing one waits for its function.
template <class T>
class background_task {
  using value = std::conditional_t<std::is_void_v<T>, char, T>;

 public:
  background_task() = default;
  // `name`: a literal of at most 15 bytes. Where the system gives no thread, the function runs here.
  template <class F>
  background_task(const char* name, F function) : state_(std::make_unique<state>()) {
    auto run = [s = state_.get(), f = std::move(function)]() mutable {
      try {
        if constexpr (std::is_void_v<T>)
          f();
        else
          s->result.emplace(f());
      } catch (...) {
        s->error = std::current_exception();
      }
      s->done.store(true, std::memory_order_release);
    };
    try {
      thread_ = start_thread(name, 0, run);
    } catch (const std::system_error&) {
      run();
    }
  }
  background_task(background_task&&) = default;
  background_task& operator=(background_task&& other) noexcept {
    wait();
    thread_ = std::move(other.thread_);
    state_ = std::move(other.state_);
    return *this;
  }
  ~background_task() { wait(); }

  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }  // there is a result to get
  [[nodiscard]] bool ready() const noexcept { return state_->done.load(std::memory_order_acquire); }  // get() does not wait
  void wait() noexcept {
    if (thread_.joinable()) thread_.join();
  }
  T get() {
    wait();
    const auto s = std::exchange(state_, nullptr);
    if (s->error) std::rethrow_exception(s->error);
    if constexpr (!std::is_void_v<T>) return std::move(*s->result);
  }

 private:
  struct state {
    std::atomic<bool> done{false};
    std::exception_ptr error{};
    std::optional<value> result{};
  };

  std::unique_ptr<state> state_{};
  std::thread thread_{};
};

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

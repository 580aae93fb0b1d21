// The threads of a tuned httplib::Server: calls that wait for the service leave a quarter of them to the application's own
// routes.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {

class thread_pool final : public httplib::TaskQueue {
 public:
  explicit thread_pool(std::size_t threads) : may_wait_(std::max<std::size_t>(1, threads * 3 / 4)), threads_(threads) {}

  using enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));  // void, or bool from 0.16 on
  enqueued enqueue(std::function<void()> task) override {
    return threads_.enqueue([this, task = std::move(task)] {
      current = this;
      task();
    });
  }
  void shutdown() override { threads_.shutdown(); }

  // That of the calling thread; null on another server's.
  static thread_pool* of_this_thread() noexcept { return current; }
  // Before a thread waits for something else than its client: held while it waits. Null: it must not.
  std::shared_ptr<void> begin_wait() {
    const bool may_wait = waiting_.fetch_add(1) < may_wait_;
    const std::shared_ptr<void> waiting(this, [](thread_pool* p) { --p->waiting_; });  // called also when there is no memory
    return may_wait ? waiting : nullptr;
  }

 private:
  const std::size_t may_wait_;
  std::atomic<std::size_t> waiting_{0};
  httplib::ThreadPool threads_;  // last: its threads use the others
  inline static thread_local thread_pool* current = nullptr;
};

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice

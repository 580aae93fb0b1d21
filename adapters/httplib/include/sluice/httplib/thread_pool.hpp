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

  // Before a thread of a server waits for something else than its client: held while it waits. Null: it must not. On another
  // server's thread it may always.
  static std::shared_ptr<void> begin_wait() {
    thread_pool* const own = current;
    if (own == nullptr) return std::make_shared<char>();
    if (own->waiting_.fetch_add(1) < own->may_wait_)
      return {own, [](thread_pool* p) { --p->waiting_; }};  // also called when there is no memory for the pointer
    --own->waiting_;
    return nullptr;
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

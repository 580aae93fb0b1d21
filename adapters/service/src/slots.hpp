// Requests at work at once: so many, and a queue of so many more, first come first served.
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>

namespace sluice::http {

class slots {
 public:
  slots(int count, int queue_length) : free_(count), queue_length_(queue_length) {}

  // One slot, given back when it goes; empty when the queue was full.
  class held {
   public:
    explicit held(slots& from) : from_(from.acquire() ? &from : nullptr) {}
    ~held() {
      if (from_ != nullptr) from_->release();
    }
    held(const held&) = delete;
    held& operator=(const held&) = delete;
    explicit operator bool() const noexcept { return from_ != nullptr; }

   private:
    slots* from_;
  };

  struct counts {
    int free, waiting;
  };
  [[nodiscard]] counts now() const {
    const std::lock_guard lock(mutex_);
    return {free_, static_cast<int>(queue_.size())};
  }

 private:
  struct waiter {
    std::condition_variable turn;
    bool granted = false;
  };

  bool acquire() {
    std::unique_lock lock(mutex_);
    if (free_ > 0) return --free_, true;
    if (static_cast<int>(queue_.size()) >= queue_length_) return false;
    auto& self = queue_.emplace_back();
    const auto place = std::prev(queue_.end());
    self.turn.wait(lock, [&] { return self.granted; });
    granted_.erase(place);
    return true;
  }

  // Hands the slot to whoever waits longest; nobody who comes later can take it.
  void release() {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) {
      ++free_;
      return;
    }
    auto& first = queue_.front();
    granted_.splice(granted_.end(), queue_, queue_.begin());
    first.granted = true;
    first.turn.notify_one();
  }

  mutable std::mutex mutex_;
  std::list<waiter> queue_, granted_;
  int free_;
  const int queue_length_;
};

}  // namespace sluice::http

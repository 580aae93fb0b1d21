// Idle objects that keep memory for their next use: few, and none that a large body has made large. T::memory() is the
// number of bytes that it keeps.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace sluice::serving {

template <class T>
class pool {
 public:
  static constexpr std::size_t most = 16;
  static constexpr std::size_t most_bytes = 4 << 20;  // of each

  class lease {
   public:
    explicit lease(pool& from) : from_(from), held_(from.take()) {}
    ~lease() { from_.put(std::move(held_)); }
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;
    T* operator->() const noexcept { return held_.get(); }

   private:
    pool& from_;
    std::unique_ptr<T> held_;
  };

 private:
  std::unique_ptr<T> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto t = std::move(idle_.back());
        idle_.pop_back();
        return t;
      }
    }
    return std::make_unique<T>();
  }
  void put(std::unique_ptr<T> t) noexcept try {
    if (t->memory() > most_bytes) return;
    const std::lock_guard lock(mutex_);
    if (idle_.size() < most) idle_.push_back(std::move(t));
  } catch (...) {  // no memory for the list: it is destroyed
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> idle_;
};

}  // namespace sluice::serving

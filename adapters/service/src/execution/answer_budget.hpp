// Memory of answers, from the call until they are sent: what clients that read slowly can make a service hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace sluice::serving {

// Shared by the answers that have a share of it, which may outlive the service.
class answer_budget {
 public:
  explicit answer_budget(std::int64_t most) noexcept : most_(most) {}

  [[nodiscard]] std::int64_t most() const noexcept { return most_; }
  [[nodiscard]] std::int64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

 private:
  friend class answer_share;
  const std::int64_t most_;
  std::atomic<std::int64_t> used_{0};
};

// What one answer takes of the budget, until it is destroyed.
class answer_share {
 public:
  explicit answer_share(std::shared_ptr<answer_budget> of) noexcept : budget_(std::move(of)) {}
  ~answer_share() { budget_->used_ -= bytes_; }
  answer_share(const answer_share&) = delete;
  answer_share& operator=(const answer_share&) = delete;

  [[nodiscard]] std::int64_t bytes() const noexcept { return bytes_; }
  // Makes it `bytes` large. A larger one takes half of what other answers leave at most: false, and nothing is changed.
  bool try_resize(std::int64_t bytes) noexcept;
  // The same. Throws http_error: 413 for more than any answer may take, 503 for more than can be had now.
  void resize(std::int64_t bytes);

 private:
  const std::shared_ptr<answer_budget> budget_;
  std::int64_t bytes_ = 0;
};

}  // namespace sluice::serving

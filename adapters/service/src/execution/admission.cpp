#include "execution/admission.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/http_error.hpp"

namespace sluice::serving {

http_error busy(const compute_queue& queue) {
  return {
      429,
      "busy",
      fmt::format("[http] {} requests are being computed and {} wait: retry later", queue.workers(), queue.queue_length()),
      {{"Retry-After", std::to_string(queue.seconds_to_wait())}}};
}

std::int64_t admission::held(const entry* but) const {
  std::int64_t sum = 0;
  for (const auto& e : all_) sum += &e == but ? 0 : e.bytes();
  return sum;
}

void admission::refuse_bytes(std::int64_t wanted) const {
  throw http_error{
      429,
      "busy",
      fmt::format("[http] the bodies of requests under way take {} bytes at most, and this one of {} is beyond: "
                  "retry later",
                  bytes_, wanted),
      {{"Retry-After", std::to_string(queue_.seconds_to_wait())}}};
}

admission::ticket admission::admit(std::int64_t expected) {
  entry e{.expected = std::max<std::int64_t>(expected, 0)};
  const std::lock_guard lock(mutex_);
  const auto reading = std::count_if(all_.begin(), all_.end(), [](const entry& o) { return !o.computed && o.is_young(); });
  if (!queue_.has_place_for(static_cast<int>(reading) + 1)) throw busy(queue_);
  if (!all_.empty() && e.bytes() > bytes_ - held(nullptr)) refuse_bytes(e.expected);
  all_.push_front(e);
  return {*this, all_.begin()};
}

void admission::ticket::received(std::int64_t bytes) {
  if (from_ == nullptr) return;
  if (bytes < at_->received + step && bytes < at_->expected) return;
  const std::lock_guard lock(from_->mutex_);
  at_->received = bytes;
  if (from_->all_.size() > 1 && at_->bytes() > from_->bytes_ - from_->held(&*at_)) from_->refuse_bytes(bytes);
}

bool admission::ticket::queue() {
  if (from_ == nullptr) return false;
  const std::lock_guard lock(from_->mutex_);
  at_->computed = true;
  return at_->is_young();
}

admission::ticket::~ticket() {
  if (from_ == nullptr) return;
  const std::lock_guard lock(from_->mutex_);
  from_->all_.erase(at_);
}

}  // namespace sluice::serving

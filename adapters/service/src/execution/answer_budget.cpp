#include "execution/answer_budget.hpp"

#include <fmt/format.h>

#include "http/http_error.hpp"

namespace sluice::serving {

bool answer_share::try_resize(std::int64_t bytes) noexcept {
  auto used = budget_->used();
  do {
    const auto left = budget_->most() - (used - bytes_);
    if (bytes > bytes_ && bytes > left / 2) return false;
  } while (!budget_->used_.compare_exchange_weak(used, used - bytes_ + bytes));
  bytes_ = bytes;
  return true;
}

void answer_share::resize(std::int64_t bytes) {
  if (try_resize(bytes)) return;
  const auto most = budget_->most();
  if (bytes > most / 2)
    throw http_error{
        413, "limit_exceeded",
        fmt::format("[http] the answer takes up to {} bytes of memory in the form that is asked for: at most {} "
                    "are given to one",
                    bytes, most / 2)};
  throw http_error{503,
                   "unavailable",
                   fmt::format("[http] the answer takes up to {} bytes of memory, and answers under way hold {} of {}, of "
                               "whose rest one takes half at most: retry later",
                               bytes, budget_->used() - bytes_, most),
                   {{"Retry-After", "1"}}};
}

}  // namespace sluice::serving

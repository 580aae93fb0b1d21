#include "observability/statistics.hpp"

namespace sluice::serving {
namespace {

void add(statistics::duration& to, std::chrono::nanoseconds taken) {
  ++to.count;
  to.ns += static_cast<std::uint64_t>(taken.count());
}

}  // namespace

void statistics::record(const request_context& call, bool succeeded, std::chrono::nanoseconds taken) {
  if (call.model.empty()) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::lock_guard lock(mutex_);
  auto& m = models_[call.model];
  if (!succeeded) return add(m.fail, taken);
  add(m.success, taken);
  for (std::size_t i = 0; i < m.stages.size(); ++i) add(m.stages[i], call.stages[i]);
  m.last_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

statistics::model statistics::of(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(name);
  return it == models_.end() ? model{} : it->second;
}

}  // namespace sluice::serving

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
  auto& [endpoint, m] = models_[{call.model, call.row->version}];
  endpoint = call.row->name;
  if (!succeeded) return add(m.fail, taken);
  add(m.success, taken);
  for (std::size_t i = 0; i < m.stages.size(); ++i) add(m.stages[i], call.stages[i]);
  m.last_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

statistics::model statistics::of(const std::string& name, const std::string& version) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find({name, version});
  return it == models_.end() ? model{} : it->second.figures;
}

void statistics::keep(const endpoint_registry& served) {
  const std::lock_guard lock(mutex_);
  std::erase_if(models_, [&](const auto& m) { return !served.find(m.second.endpoint, m.first.second); });
}

}  // namespace sluice::serving

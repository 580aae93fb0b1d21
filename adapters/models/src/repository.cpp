#include "repository.hpp"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

#include "http/text.hpp"
#include "rows.hpp"
#include "sluice/impl/base/thread.hpp"

namespace sluice::serving::models {
namespace {

constexpr const char* ready = "READY";
constexpr const char* loading = "LOADING";
constexpr const char* unavailable = "UNAVAILABLE";

std::string sentence_of(const std::exception_ptr& why) {
  try {
    std::rethrow_exception(why);
  } catch (const std::exception& e) {
    return e.what();
  }
}

}  // namespace

repository::repository(service& to, models_options o) : service_(&to), options_(std::move(o)) {
  if (options_.largest_batch < 0)
    throw error(error_code::invalid_argument,
                fmt::format("[models] largest_batch is {}: it must be at least 0", options_.largest_batch));
  const auto found = list_models(options_.directory);
  tell_ignored(found.ignored);
  for (const auto& m : found.models) models_[m.name];
  for (const auto& name : options_.names) models_[name].wanted = true;
  if (options_.names.empty())
    for (auto& [name, m] : models_) m.wanted = true;  // until it is loaded, or refused
}

repository::~repository() { stop(); }

void repository::start() {
  if (options_.in_background)
    thread_ = base::start_thread("sluice-models", 0, [this] { load_all(); });
  else
    load_all();
}

void repository::stop() noexcept {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(loading_);
  service_ = nullptr;
}

service& repository::usable() const {
  if (service_ == nullptr || stopping_)
    throw error(error_code::unavailable, "[models] the server is stopping: no model is loaded or unloaded any more");
  return *service_;
}

void repository::load_all() {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, m] : models_)
      if (m.wanted) names.push_back(name);
  }
  for (const auto& name : names) {
    if (stopping_) return;
    try {
      const std::lock_guard lock(loading_);
      usable();
      if (is_wanted(name)) load_now(name);  // a client may have unloaded it meanwhile
    } catch (...) {                         // its state has the reason
      if (!options_.names.empty()) continue;
      const std::lock_guard lock(mutex_);
      models_[name].wanted = false;
    }
  }
}

bool repository::is_wanted(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(name);
  return it != models_.end() && it->second.wanted;
}

void repository::load(std::string_view name) {
  const std::lock_guard lock(loading_);
  usable();
  load_now(std::string(name));
}

void repository::load_now(const std::string& name) {
  std::vector<ignored_entry> ignored;
  const auto found = find_model(options_.directory, name, ignored);
  tell_ignored(ignored);
  if (!found || found->versions.empty()) {
    const auto why = fmt::format("[models] there is no {} in {}: it would be NAME/VERSION/model.onnx",
                                 json_string(shown(name, 80)), options_.directory.string());
    {
      const std::lock_guard states(mutex_);
      if (const auto it = models_.find(name); it != models_.end()) it->second.tried = true, it->second.reason = why;
    }
    tell(name, "", unavailable, why);
    throw error(error_code::invalid_argument, why);
  }
  bool was_served = false;
  {
    const std::lock_guard states(mutex_);
    auto& m = models_[name];
    m.tried = true;
    m.reason.clear();
    for (const auto& [number, v] : m.versions) was_served = was_served || !v.rows.empty();
  }
  std::exception_ptr first;
  std::set<std::int64_t> kept;
  for (auto v = found->versions.rbegin(); v != found->versions.rend() && !stopping_; ++v) {
    std::exception_ptr why;
    if (load_version(*found, *v, why) || options_.all_versions) kept.insert(v->number);
    if (why && !first) first = why;
    // A lower version replaces none that is served.
    if (!options_.all_versions && (!why || was_served)) break;
  }
  if (!first || !was_served || options_.all_versions) remove_others(*found, kept);
  if (first && (options_.all_versions || kept.empty())) std::rethrow_exception(first);
}

bool repository::load_version(const found_model& m, const found_version& v, std::exception_ptr& why) {
  set(m.name, v.number, loading, "");
  try {
    std::string told;
    auto rows = made(m, v, told);
    check_names(m.name, rows);
    std::vector<std::string> names, before;
    for (const auto& row : rows) names.push_back(row.name);
    for (auto& row : rows) usable().replace(std::move(row));
    {
      const std::lock_guard states(mutex_);
      before = std::exchange(models_[m.name].versions[v.number].rows, names);
    }
    std::erase_if(before, [&](const auto& name) { return std::find(names.begin(), names.end(), name) != names.end(); });
    remove_rows(before, v.number);
    set(m.name, v.number, ready, std::move(told));
    return true;
  } catch (...) {
    why = std::current_exception();
    set(m.name, v.number, unavailable, sentence_of(why));
    return false;
  }
}

std::vector<endpoint> repository::made(const found_model& m, const found_version& v, std::string& told) const {
  const auto on = std::make_shared<const sessions>(v.file, sessions::options{.where = devices(),
                                                                             .all_of_them = !options_.devices.empty(),
                                                                             .precision = options_.precision,
                                                                             .largest_batch = options_.largest_batch});
  told = on->str();
  return rows_of(m, v, on, pictures_of(m, v, on->first()));
}

// An op's name, an application's, or another model's is not taken over.
void repository::check_names(const std::string& model, const std::vector<endpoint>& rows) const {
  std::set<std::string> ours, others;
  {
    const std::lock_guard states(mutex_);
    for (const auto& [name, m] : models_)
      for (const auto& [number, v] : m.versions) (name == model ? ours : others).insert(v.rows.begin(), v.rows.end());
  }
  for (const auto& row : usable().endpoints())
    if (!ours.contains(row->name)) others.insert(row->name);
  for (const auto& row : rows)
    if (others.contains(row.name))
      throw error(error_code::invalid_argument,
                  fmt::format("[models] {}: the server has another endpoint called {}", model, row.name));
}

void repository::remove_others(const found_model& m, const std::set<std::int64_t>& kept) {
  std::map<std::int64_t, version_state> removed;
  {
    const std::lock_guard states(mutex_);
    auto& versions = models_[m.name].versions;
    // What is served is not kept; what was refused is, as long as it is there.
    for (auto it = versions.begin(); it != versions.end();) {
      const bool there = std::any_of(m.versions.begin(), m.versions.end(), [&](auto& v) { return v.number == it->first; });
      if (kept.contains(it->first) || (there && it->second.rows.empty())) {
        ++it;
        continue;
      }
      removed.insert(*it);
      it = versions.erase(it);
    }
  }
  for (const auto& [number, v] : removed) {
    remove_rows(v.rows, number);
    if (!v.rows.empty()) tell(m.name, std::to_string(number), "UNLOADED", "another version has taken its place");
  }
}

void repository::remove_rows(const std::vector<std::string>& rows, std::int64_t version) {
  for (const auto& name : rows) usable().remove(name, std::to_string(version));
}

void repository::unload(std::string_view name) {
  const std::lock_guard lock(loading_);
  usable();
  std::map<std::int64_t, version_state> removed;
  {
    const std::lock_guard states(mutex_);
    const auto it = models_.find(name);
    if (it == models_.end())
      throw error(error_code::invalid_argument, fmt::format("[models] there is no model {}", json_string(shown(name, 80))));
    it->second.wanted = false;
    it->second.tried = true;
    it->second.reason = "unloaded";
    removed = std::exchange(it->second.versions, {});
  }
  for (const auto& [number, v] : removed) {
    remove_rows(v.rows, number);
    if (!v.rows.empty()) tell(std::string(name), std::to_string(number), "UNLOADED", "a client asked for it");
  }
}

void repository::set(const std::string& name, std::int64_t version, const char* now, std::string reason) {
  {
    const std::lock_guard states(mutex_);
    auto& v = models_[name].versions[version];
    // What is served stays so while it is loaded again, and where that fails.
    v.state = v.rows.empty() ? now : ready;
    v.reason = now == ready ? std::string() : reason;
  }
  if (now != loading) tell(name, std::to_string(version), now, reason);
}

void repository::tell(const std::string& name, const std::string& version, const char* now,
                      const std::string& reason) const {
  if (options_.on_change) options_.on_change({name, version, now, reason});
}

void repository::tell_ignored(const std::vector<ignored_entry>& all) const {
  for (const auto& i : all) tell(i.path, "", "IGNORED", i.reason);
}

std::vector<device> repository::devices() const {
  if (!options_.devices.empty()) return options_.devices;
  if (const auto& wanted = service_->options().device; wanted.is_required()) return {wanted.where};
  std::vector<device> all{device::cpu};
  const auto providers = find_model_engine().providers;
  if (std::find(providers.begin(), providers.end(), "CUDAExecutionProvider") != providers.end())
    for (const auto& d : sluice::devices())
      if (d.where.backend() == "cuda" && !d.lost) all.push_back(d.where);
  return all;
}

std::vector<model_repository::state> repository::index() const {
  const std::lock_guard lock(mutex_);
  std::vector<state> all;
  for (const auto& [name, m] : models_) {
    if (m.versions.empty())
      all.push_back({.name = name,
                     .version = {},
                     .state = m.wanted && !m.tried ? loading : unavailable,
                     .reason = m.reason.empty() ? "it is not loaded" : m.reason,
                     .wanted = m.wanted});
    // Readiness waits for one: what is served, else the highest.
    auto needed = std::find_if(m.versions.begin(), m.versions.end(), [](auto& v) { return !v.second.rows.empty(); });
    if (needed == m.versions.end() && !m.versions.empty()) --needed;
    for (auto v = m.versions.begin(); v != m.versions.end(); ++v)
      all.push_back({.name = name,
                     .version = std::to_string(v->first),
                     .state = v->second.state,
                     .reason = v->second.reason,
                     .wanted = m.wanted && v == needed});
  }
  return all;
}

model_repository::engine repository::engine_info() const {
  const auto e = find_model_engine();
  return {.name = "onnxruntime", .version = e.version, .path = e.path, .refused = e.refused};
}

}  // namespace sluice::serving::models

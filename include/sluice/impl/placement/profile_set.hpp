// The profiles in use: an immutable set behind an atomic pointer, so that a decision takes no lock.
#pragma once

#include <deque>
#include <mutex>

#include "sluice/impl/placement/predict.hpp"
#include "sluice/impl/placement/profile_file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

struct profile_set {
  std::vector<profile> profiles;      // the CPU's first
  std::vector<live_state*> live;      // one a profile
  std::vector<profile_info> sources;  // of these devices, and of those without a profile
  bool measured = false;              // a device other than the CPU is

  [[nodiscard]] int index_of(const device& d) const noexcept {  // -1: it has no profile
    for (std::size_t i = 0; i < profiles.size(); ++i)
      if (profiles[i].where == d) return static_cast<int>(i);
    return -1;
  }
};

// Work that takes the CPU less time wakes no device, and makes placement read no profile.
inline constexpr double worth_waking = 100e-6;

inline std::atomic<const profile_set*> published_set{nullptr};

// The set in use; null before the first look for one.
inline const profile_set* published() noexcept { return published_set.load(std::memory_order_acquire); }

inline std::mutex live_mutex, publishing, reading, calibrating;

// In a child, what the last three protect is what was published last.
inline const bool forks_are_handled = (base::after_fork_in_child([] {
                                         for (auto* m : {&publishing, &reading, &calibrating}) base::renew(*m);
                                       }),
                                       true);

inline live_state& live_of(const device& d) {
  const core::uninterrupted_lock lock(live_mutex);
  static auto* states = new std::deque<std::pair<device, live_state>>;
  for (auto& [where, state] : *states)
    if (where == d) return state;
  states->emplace_back(std::piecewise_construct, std::forward_as_tuple(d), std::forward_as_tuple());
  return states->back().second;
}

// Of a device with or without a profile; takes a lock for one without.
inline live_state& live_on(const profile_set& known, const device& d) {
  const int i = known.index_of(d);
  return i < 0 ? live_of(d) : *known.live[static_cast<std::size_t>(i)];
}

inline profile_set make_profile_set(std::vector<profile> profiles, std::vector<profile_info> sources) {
  if (profiles.empty() || !profiles[0].where.is_cpu()) profiles.insert(profiles.begin(), default_cpu(parallel_size()));
  profile_set s;
  s.sources = std::move(sources);
  for (const auto& p : profiles) {
    s.live.push_back(&live_of(p.where));
    s.measured = s.measured || (p.measured && !p.where.is_cpu());
  }
  s.profiles = std::move(profiles);
  return s;
}

inline const profile_set& default_profiles() {
  return core::first_use([] { return new const profile_set(make_profile_set({}, {})); });
}

// Puts each of `from` in the place of the entry of the same device; the CPU's is the first.
template <class T>
void merge_by_device(std::vector<T>& into, std::vector<T> from) {
  for (auto& f : from) {
    const auto it = std::find_if(into.begin(), into.end(), [&](const T& t) { return t.where == f.where; });
    if (it != into.end())
      *it = std::move(f);
    else if (f.where.is_cpu())
      into.insert(into.begin(), std::move(f));
    else
      into.push_back(std::move(f));
  }
}

// Uses measured profiles from now on, in place of those of the same devices, and the sources of others. Earlier sets are
// kept, for decisions that still read them: some 20 KiB a calibration.
inline void publish(std::vector<profile> measured, std::vector<profile_info> sources) {
  const std::lock_guard lock(publishing);
  const profile_set* old = published();
  for (const auto& p : measured)
    for (auto& c : live_of(p.where).corrections) c.forget();
  std::vector<profile> profiles = old != nullptr ? old->profiles : std::vector<profile>{};
  std::vector<profile_info> all = old != nullptr ? old->sources : std::vector<profile_info>{};
  merge_by_device(profiles, std::move(measured));
  merge_by_device(all, std::move(sources));
  published_set.store(new profile_set(make_profile_set(std::move(profiles), std::move(all))), std::memory_order_release);
}

// Reads this machine's file, unless that has been done. A caller that finds another one reading waits for it, or returns.
inline void read_profiles(bool wait) noexcept {
  if (published() != nullptr) return;
  std::unique_lock lock(reading, std::defer_lock);
  if (wait) lock.lock();
  if ((!wait && !lock.try_lock()) || published() != nullptr) return;
  try {
    auto [profiles, sources] = read_profile_file();
    publish(std::move(profiles), std::move(sources));
  } catch (...) {  // out of memory: the defaults stay in use
  }
}

// The set in use, or the defaults; the first work that is worth it makes placement read this machine's file.
inline const profile_set& profiles_for(const work& w) noexcept {
  if (const profile_set* s = published()) return *s;
  const profile_set& before = default_profiles();
  if (!(w.flops > 0 && predict_on(before.profiles[0], w, before.profiles).seconds >= worth_waking)) return before;
  read_profiles(false);
  const profile_set* s = published();
  return s != nullptr ? *s : before;
}

}  // namespace placement
}  // namespace SLUICE_ABI
}  // namespace sluice

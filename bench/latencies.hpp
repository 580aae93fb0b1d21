// How long calls take that several clients make one after the other.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

// Seconds of each call, ascending, of `clients` that call for a while; those of the first `warm` seconds are left out.
template <class Call>
std::vector<double> latencies(int clients, double warm, double seconds, Call call) {
  using clock = std::chrono::steady_clock;
  using span = std::chrono::duration<double>;
  std::vector<double> all;
  std::mutex mutex;
  std::vector<std::thread> threads;
  const auto begin = clock::now() + span(warm);
  const auto end = begin + span(seconds);
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&] {
      std::vector<double> own;
      for (auto at = clock::now(); at < end;) {
        call();
        const auto now = clock::now();
        if (at >= begin) own.push_back(span(now - at).count());
        at = now;
      }
      const std::lock_guard lock(mutex);
      all.insert(all.end(), own.begin(), own.end());
    });
  for (auto& t : threads) t.join();
  std::sort(all.begin(), all.end());
  return all;
}

inline double quantile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

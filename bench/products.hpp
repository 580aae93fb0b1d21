// Products and ways to make them, for matmul_bench and for the peers it is compared with.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ceilings.hpp"
#include "sluice/ops/matmul.hpp"

struct extents {
  std::int64_t m;
  std::int64_t k;
  std::int64_t n;
  [[nodiscard]] double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  }
  [[nodiscard]] double elements() const { return static_cast<double>(m * k + k * n + m * n); }
  [[nodiscard]] std::string str() const { return std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n); }
};

// Squares for the curve of latency against size, then shapes that are long in one direction.
inline std::vector<extents> product_extents() {
  if (running == run_size::tiny) return {{8, 8, 8}, {1, 16, 4}};
  std::vector<extents> all;
  for (const std::int64_t n : {8, 16, 32, 64, 128, 256, 512, 1024, 2048}) all.push_back({n, n, n});
  all.insert(all.end(), {{1, 1024, 1024}, {1024, 1024, 8}, {64, 4096, 64}});
  return all;
}

struct operands {
  extents e;
  sluice::tensor a;
  sluice::tensor b;

  operands(const extents& of, sluice::dtype type) : e(of), a({of.m, of.k}), b({of.k, of.n}) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> values(-1, 1);
    for (sluice::tensor* t : {&a, &b}) {
      auto* data = static_cast<float*>(t->data());
      for (std::int64_t i = 0; i < t->count(); ++i) data[i] = values(random);
      *t = t->as(type);
    }
  }

  [[nodiscard]] operands to(const sluice::device& where) const {
    operands there = *this;
    there.a = a.to(where);
    there.b = b.to(where);
    return there;
  }

  // Whether 64 elements of c agree with sums in f64, within what the dtype's rounding explains.
  [[nodiscard]] bool right(const sluice::tensor& c) const {
    const auto x = a.as(sluice::dtype::f64);
    const auto y = b.as(sluice::dtype::f64);
    const auto z = c.to("cpu").as(sluice::dtype::f64);
    const auto xv = x.view<double, 2>();
    const auto yv = y.view<double, 2>();
    const auto zv = z.view<double, 2>();
    const double step = a.dtype() == sluice::dtype::f64 ? 2.3e-16 : 1.2e-7;
    const double last = sluice::size_of(a.dtype()) == 2 ? 4e-3 : 0;
    std::mt19937 random(2);
    for (int sample = 0; sample < 64; ++sample) {
      const auto i = static_cast<std::int64_t>(random()) % e.m;
      const auto j = static_cast<std::int64_t>(random()) % e.n;
      double sum = 0;
      double magnitudes = 0;
      for (std::int64_t p = 0; p < e.k; ++p) {
        sum += xv(i, p) * yv(p, j);
        magnitudes += std::fabs(xv(i, p) * yv(p, j));
      }
      const double allowed = step * static_cast<double>(e.k + 4) * magnitudes + last * std::fabs(sum) + 1e-30;
      if (!(std::fabs(zv(i, j) - sum) <= allowed)) return false;
    }
    return true;
  }
};

// The same operands for all that ask for them one after the other: a benchmark's body is entered again and again.
inline const operands& made(const extents& e, sluice::dtype type) {
  static std::unique_ptr<operands> last;
  if (last == nullptr || last->e.str() != e.str() || last->a.dtype() != type) last = std::make_unique<operands>(e, type);
  return *last;
}

// A way to make the product of operands that are where it wants them.
using way = std::function<sluice::tensor(const operands&)>;

// `host` are the operands on the CPU, which the answer is compared with.
inline bool answers_right(const std::string& by, const operands& host, const operands& placed, const way& make) {
  return !first_time(by + host.e.str() + std::string(sluice::name_of(host.a.dtype()))) || host.right(make(placed));
}

// Eight threads that each make the product again and again: the rate of all, and the calls' times.
inline void eight_callers(benchmark::State& state, const operands& o, const way& make, double ceiling) {
  constexpr int callers = 8;
  const auto calls =
      static_cast<std::size_t>(by_run(2.0, std::max(8.0, 1e9 / o.e.flops()), std::max(8.0, 1e10 / o.e.flops())));
  std::vector<double> seconds;
  double total = 0;
  for (auto _ : state) {
    std::vector<std::vector<double>> each(callers);
    std::atomic<int> waiting{callers};
    std::vector<std::thread> threads;
    std::atomic<std::int64_t> first{INT64_MAX}, last{0};
    const auto origin = clock_type::now();
    for (auto& mine : each) {
      threads.emplace_back([&] {
        mine.reserve(calls);
        make(o);
        for (--waiting; waiting > 0;) std::this_thread::yield();
        std::int64_t now = (clock_type::now() - origin).count();
        for (auto f = first.load(); now < f && !first.compare_exchange_weak(f, now);) continue;
        for (std::size_t i = 0; i < calls; ++i) {
          const auto start = clock_type::now();
          benchmark::DoNotOptimize(make(o));
          mine.push_back(seconds_since(start));
        }
        now = (clock_type::now() - origin).count();
        for (auto l = last.load(); now > l && !last.compare_exchange_weak(l, now);) continue;
      });
    }
    for (auto& t : threads) t.join();
    const double elapsed = std::chrono::duration<double>(clock_type::duration(last - first)).count();
    state.SetIterationTime(elapsed);
    total += elapsed;
    for (const auto& mine : each) seconds.insert(seconds.end(), mine.begin(), mine.end());
  }
  std::sort(seconds.begin(), seconds.end());
  const double rate = o.e.flops() * static_cast<double>(seconds.size()) / total;
  show_rate(state, "flop/s", rate);
  if (ceiling > 0) state.counters["share"] = rate / ceiling;
  state.counters["calls"] = static_cast<double>(callers * calls);
  state.counters["median_ms"] = seconds[seconds.size() / 2] * 1e3;
  state.counters["worst_ms"] = seconds.back() * 1e3;
}

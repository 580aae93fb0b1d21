// A library's side of bench/peers/products: a process that multiplies when it is told to. A line of standard input,
// "DTYPE M K N CALLERS SECONDS", is a turn: CALLERS threads multiply the same operands, each into memory of its own, for
// SECONDS. The answer is a line of JSON: calls a second of all callers together, and the median and the longest of their
// calls.
#pragma once

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace driver {

struct product {
  std::string dtype;  // f32, f64 or bf16
  std::int64_t m = 0, k = 0, n = 0;
  bool operator==(const product&) const = default;
  [[nodiscard]] std::size_t itemsize() const { return dtype == "f64" ? 8 : dtype == "f32" ? 4 : 2; }
};

// Multiplies once.
using call = std::function<void()>;

struct library {
  std::string version;
  // c = a b, row-major and packed; c is the caller's. Empty: the library has no such product.
  std::function<call(const product&, const void* a, const void* b, void* c)> bind;
};

using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point start) { return std::chrono::duration<double>(clock::now() - start).count(); }

struct buffer {
  explicit buffer(std::size_t bytes) : data(std::aligned_alloc(64, (bytes + 63) / 64 * 64), std::free) {}
  std::unique_ptr<void, void (*)(void*)> data;
};

inline double element(const product& p, const void* data, std::int64_t i) {
  if (p.dtype == "f64") return static_cast<const double*>(data)[i];
  if (p.dtype == "f32") return static_cast<const float*>(data)[i];
  const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(data)[i]) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return static_cast<double>(value);
}

// Values of 8 bits of mantissa in [-1, 1), which every dtype has.
inline buffer made(const product& p, std::int64_t count, std::uint32_t seed) {
  buffer out(static_cast<std::size_t>(count) * p.itemsize());
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525U + 1013904223U;
    const float value = static_cast<float>(static_cast<int>(seed >> 24) - 128) / 128;
    if (p.dtype == "f64") static_cast<double*>(out.data.get())[i] = static_cast<double>(value);
    if (p.dtype == "f32") static_cast<float*>(out.data.get())[i] = value;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    if (p.dtype == "bf16") static_cast<std::uint16_t*>(out.data.get())[i] = static_cast<std::uint16_t>(bits >> 16);
  }
  return out;
}

// A product's operands, and a result and a call of each caller.
class work {
 public:
  work(const library& by, const product& p, int callers)
      : product_(p), a_(made(p, p.m * p.k, 1)), b_(made(p, p.k * p.n, 2)) {
    for (int i = 0; i < callers; ++i) {
      results_.emplace_back(static_cast<std::size_t>(p.m * p.n) * p.itemsize());
      std::memset(results_.back().data.get(), 0xff, static_cast<std::size_t>(p.m * p.n) * p.itemsize());
      calls_.push_back(by.bind(p, a_.data.get(), b_.data.get(), results_.back().data.get()));
      if (!calls_.back()) throw std::runtime_error("has no such product");
    }
  }

  [[nodiscard]] const call& of(int caller) const { return calls_[static_cast<std::size_t>(caller)]; }

  // Compares some elements with sums in f64.
  void check() const {
    const auto& p = product_;
    const double tolerance = p.dtype == "f64" ? 1e-14 : p.dtype == "f32" ? 1e-5 : 1e-2;
    const std::int64_t step = std::max<std::int64_t>(1, p.m * p.n / 37);
    for (std::int64_t at = 0; at < p.m * p.n; at += step) {
      double sum = 0, bound = 1;
      for (std::int64_t l = 0; l < p.k; ++l) {
        const double term = element(p, a_.data.get(), at / p.n * p.k + l) * element(p, b_.data.get(), l * p.n + at % p.n);
        sum += term;
        bound += std::abs(term);
      }
      const double found = element(p, results_[0].data.get(), at);
      if (!(std::abs(found - sum) <= tolerance * bound)) throw std::runtime_error("wrong answer");
    }
  }

 private:
  product product_;
  buffer a_, b_;
  std::vector<buffer> results_;
  std::vector<call> calls_;
};

struct times {
  std::vector<double> calls;  // seconds a call, of each batch
  double count = 0;
  clock::time_point first, last;
};

// How many calls are long against the clock, once the caches, the processor's frequency and sleeping threads have been
// warmed.
inline int batch_after_warming(const call& multiply, double seconds) {
  double once = 0;
  for (double spent = 0; spent == 0 || spent < seconds / 4; spent += once) {
    const auto start = clock::now();
    multiply();
    once = seconds_since(start);
  }
  return static_cast<int>(std::clamp(20e-6 / std::max(once, 1e-9), 1.0, 1e4));
}

// Calls until `seconds` have passed.
inline times timed(const call& multiply, int batch, double seconds) {
  times out;
  out.calls.reserve(4096);
  out.first = clock::now();
  while (std::chrono::duration<double>(out.last - out.first).count() < seconds) {
    const auto start = out.calls.empty() ? out.first : clock::now();
    for (int i = 0; i < batch; ++i) multiply();
    out.last = clock::now();
    out.calls.push_back(std::chrono::duration<double>(out.last - start).count() / batch);
    out.count += batch;
  }
  return out;
}

inline std::string turn(const work& w, int callers, double seconds) {
  std::vector<times> all(static_cast<std::size_t>(callers));
  if (callers == 1) {
    all[0] = timed(w.of(0), batch_after_warming(w.of(0), seconds), seconds);
  } else {
    std::barrier together(callers);
    std::vector<std::thread> threads;
    for (int i = 0; i < callers; ++i)
      threads.emplace_back([&, i] {
        const int batch = batch_after_warming(w.of(i), seconds);
        together.arrive_and_wait();
        all[static_cast<std::size_t>(i)] = timed(w.of(i), batch, seconds);
      });
    for (auto& t : threads) t.join();
  }
  double count = 0;
  std::vector<double> calls;
  auto first = all[0].first, last = all[0].last;
  for (const auto& t : all) {
    count += t.count;
    first = std::min(first, t.first);
    last = std::max(last, t.last);
    calls.insert(calls.end(), t.calls.begin(), t.calls.end());
  }
  std::sort(calls.begin(), calls.end());
  const double median = calls[calls.size() / 2];
  const double rate = callers == 1 ? 1 / median : count / std::chrono::duration<double>(last - first).count();
  const double fastest = callers == 1 ? 1 / calls.front() : rate;
  char text[200];
  std::snprintf(text, sizeof text, R"({"rate": %.9g, "fastest": %.9g, "median": %.9g, "longest": %.9g})", rate, fastest,
                median, calls.back());
  return text;
}

// Answers turns until standard input ends.
inline int serve(const library& by) {
  std::cout << R"({"version": ")" << by.version << "\"}" << std::endl;
  product last;
  int last_callers = 0;
  std::unique_ptr<work> w;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    product p;
    int callers = 0;
    double seconds = 0;
    in >> p.dtype >> p.m >> p.k >> p.n >> callers >> seconds;
    try {
      const bool is_new = !w || !(p == last) || callers != last_callers;
      if (is_new) {
        w = nullptr;
        w = std::make_unique<work>(by, p, callers);
        last = p;
        last_callers = callers;
      }
      const std::string said = turn(*w, callers, seconds);
      if (is_new) w->check();
      std::cout << said << std::endl;
    } catch (const std::exception& e) {
      w = nullptr;
      std::cout << R"({"none": ")" << e.what() << "\"}" << std::endl;
    }
  }
  return 0;
}

}  // namespace driver

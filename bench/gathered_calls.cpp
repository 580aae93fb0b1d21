// What gathering calls into batches gives: calls a second and their latencies, with it and without, of an endpoint whose run
// of b rows takes 1 ms + 0.1 ms b; what it costs a single caller; and whether each call of many gets the bits that it gets
// alone, whatever its neighbours.
//
//     gathered_calls [DEVICE [WORKERS]]        a device other than the CPU takes one run at a time: SLUICE_BACKEND_PATH
//     finds it
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "execution/executor.hpp"
#include "latencies.hpp"

namespace {

using sluice::tensor;

constexpr double first = 1e-3, each = 1e-4;
constexpr std::int64_t columns = 64;

double batch_seconds(const sluice::device&, std::int64_t rows) { return first + each * static_cast<double>(rows); }

enum class kind { sleeps, sums, returns };

struct server {
  server(const std::string& where, int workers, kind k, bool gathers) : named(where) {
    sluice::service_options o{.device = sluice::require(where)};
    o.compute_workers = workers;
    o.queue_length = 64;
    e = std::make_unique<sluice::serving::executor>(o);
    row.name = "rows";
    row.inputs = {{.name = "a"}};
    row.outputs = {{.name = "result"}};
    row.run = [this, k](std::span<const tensor> in, const sluice::call_context& c) { return run(k, in[0], c); };
    row.estimate = [this](std::span<const tensor> in) {
      sluice::work w{.operation = "rows", .result_bytes = in[0].extent(0) * 4};
      w.add_measured(named, batch_seconds(named, in[0].extent(0)));
      return w;
    };
    if (gathers) row.gather = {.limit = 64, .by = sluice::joining::rows, .on_cpu = true, .seconds = batch_seconds};
  }

  std::vector<tensor> run(kind k, const tensor& a, const sluice::call_context& c) {
    if (k == kind::sums) return {rowsum(a, c.where)};
    if (k == kind::sleeps) {
      const auto time = std::chrono::duration<double>(batch_seconds(c.where, a.extent(0)));
      std::unique_lock alone(device, std::defer_lock);
      if (!named.is_cpu()) alone.lock();
      std::this_thread::sleep_for(time);
    }
    return {tensor::zeros({a.extent(0)})};
  }

  tensor call(const tensor& a) {
    sluice::serving::request_context record;
    sluice::serving::call c(row, record, e->options);
    tensor result;
    e->run(c, [&] {
      c.take({a});
      auto done = e->submit(c);
      batches += done.where.gathered > 1 ? 1 : 0;
      result = done.results[0];
      return sluice::response{};
    });
    return result;
  }

  const sluice::device named;
  std::unique_ptr<sluice::serving::executor> e;
  sluice::endpoint row;
  std::mutex device;
  std::atomic<std::int64_t> batches{0};
};

void print_throughput(const std::string& where, int workers) {
  constexpr double seconds = 2;
  std::printf("%-8s %8s %8s %12s %12s %12s\n", "device", "callers", "", "calls/s", "median ms", "p99 ms");
  for (const int callers : {1, 8, 32})
    for (const bool gathers : {false, true}) {
      server s(where, workers, kind::sleeps, gathers);
      const auto a = tensor::zeros({1, columns});
      const auto all = latencies(callers, 0, seconds, [&] { s.call(a); });
      std::printf("%-8s %8d %8s %12.0f %12.2f %12.2f\n", where.c_str(), callers, gathers ? "gathered" : "alone",
                  static_cast<double>(all.size()) / seconds, quantile(all, 0.5) * 1e3, quantile(all, 0.99) * 1e3);
    }
}

void print_cost(const std::string& where, int workers) {
  server alone(where, workers, kind::returns, false), gathers(where, workers, kind::returns, true);
  const auto row = tensor::zeros({1, columns});
  std::vector<double> differences, usual;
  for (int i = 0; i < 21; ++i) {
    const double a = quantile(latencies(1, 0, 0.05, [&] { alone.call(row); }), 0.5);
    const double g = quantile(latencies(1, 0, 0.05, [&] { gathers.call(row); }), 0.5);
    differences.push_back(g - a);
    usual.push_back(a);
  }
  std::sort(differences.begin(), differences.end());
  std::sort(usual.begin(), usual.end());
  std::printf("one caller of a run that takes nothing: %.1f us, gathering adds %.1f us (medians of 21)\n",
              quantile(usual, 0.5) * 1e6, quantile(differences, 0.5) * 1e6);
}

int print_bits(const std::string& where, int workers) {
  constexpr int callers = 32, calls = 100'000;
  server s(where, workers, kind::sums, true);
  std::atomic<int> next{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < callers; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      while (next++ < calls) {
        tensor a({1 + static_cast<std::int64_t>(random() % 80), columns});
        auto* values = static_cast<float*>(a.data());
        for (std::int64_t i = 0; i < a.count(); ++i)
          values[i] = std::ldexp(static_cast<float>(random()), static_cast<int>(random() % 60) - 60);
        const auto own = rowsum(a, "cpu").contiguous(), given = s.call(a).contiguous();
        if (given.shape() != own.shape() || std::memcmp(given.data(), own.data(), own.bytes()) != 0) ++wrong;
      }
    });
  for (auto& t : threads) t.join();
  std::printf("%d calls of 1 to 80 rows among %d callers: %lld in batches with others, %d with other bits than alone\n",
              calls, callers, static_cast<long long>(s.batches), wrong.load());
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string where = argc > 1 ? argv[1] : "cpu";
  const int workers = argc > 2 ? std::atoi(argv[2]) : 2;
  print_throughput(where, workers);
  print_cost(where, workers);
  return print_bits(where, workers);
}

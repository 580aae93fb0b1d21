// ResNet-18 by sluice::model on a CUDA device: one call from memory of the device and from pinned memory of the host, and
// what several threads get; results beside the CPU's. bench/peers/model_torch.py runs it and PyTorch, and makes the table.
//
//     SLUICE_ONNXRUNTIME=FOLDER cuda_model MODELS [--rows 1,64] [--rounds 200] [--threads 32] [--warm]
//
// MODELS has resnet18.onnx and resnet18_f16.onnx, as tests/model/write_resnet18.py writes them. Lines are JSON objects;
// times are medians in microseconds.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include "sluice/model.hpp"

namespace {

using sluice::tensor;
using steady = std::chrono::steady_clock;

double microseconds_since(steady::time_point start) {
  return std::chrono::duration<double, std::micro>(steady::now() - start).count();
}

double median(std::vector<double> t) {
  std::nth_element(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(t.size() / 2), t.end());
  return t[t.size() / 2];
}

double median_of(int rounds, const std::function<void()>& call) {
  std::vector<double> times;
  for (int i = 0; i < rounds / 10 + 3; ++i) call();
  for (int i = 0; i < rounds; ++i) {
    const auto start = steady::now();
    call();
    times.push_back(microseconds_since(start));
  }
  return median(times);
}

tensor pixels(std::int64_t rows, sluice::dtype type, std::uint32_t seed) {
  tensor t({rows, 3, 224, 224});
  auto* p = static_cast<float*>(t.data());
  for (std::int64_t i = 0; i < t.count(); ++i) {
    seed = seed * 1664525u + 1013904223u;
    p[i] = static_cast<float>(seed >> 8) * 0x1p-22f - 2;
  }
  return t.as(type);
}

// In host memory that the device copies at full speed.
tensor pinned(const tensor& t, const sluice::device& where) {
  tensor copy(t.shape(), t.dtype(), where, sluice::memory::pinned);
  copy.assign(t);
  return copy;
}

void wait_for(const tensor& t) { static_cast<void>(t.data()); }

struct gap {
  double worst = 0, largest = 0;  // difference; value of the wanted
};

gap between(const tensor& given, const tensor& wanted) {
  const tensor a = given.to("cpu").as(sluice::dtype::f32), b = wanted.as(sluice::dtype::f32);
  const auto* p = static_cast<const float*>(std::as_const(a).data());
  const auto* q = static_cast<const float*>(std::as_const(b).data());
  gap g;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    g.worst = std::max(g.worst, std::isnan(p[i]) ? INFINITY : std::fabs(static_cast<double>(p[i]) - q[i]));
    g.largest = std::max(g.largest, std::fabs(static_cast<double>(q[i])));
  }
  return g;
}

// Rows a second of `threads`, each of which runs `x` again and again from the host and takes the results there.
double rows_a_second(const sluice::model& m, const tensor& x, int threads) {
  std::atomic<std::int64_t> calls{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&] {
      while (!stop) {
        wait_for(m.run({x}).front().to("cpu"));
        ++calls;
      }
    });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const auto start = steady::now();
  const std::int64_t before = calls;
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  const double rate =
      static_cast<double>(calls - before) / microseconds_since(start) * 1e6 * static_cast<double>(x.extent(0));
  stop = true;
  for (auto& t : all) t.join();
  return rate;
}

// A number that a library of the process gives, such as its version; 0 where it does not.
std::size_t version_of(const char* library, const char* function) {
  void* const module = ::dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  void* const symbol = module != nullptr ? ::dlsym(module, function) : nullptr;
  return symbol != nullptr ? reinterpret_cast<std::size_t (*)()>(symbol)() : 0;
}

struct kind {
  const char* name;
  const char* file;
  sluice::precision precision;
};

struct settings {
  std::string folder;
  std::vector<std::int64_t> rows{1, 64};
  int rounds = 200, threads = 32;
  bool warm = false;
};

void measure(const settings& s, const kind& k) {
  const std::string file = s.folder + "/" + k.file;
  const auto loading = steady::now();
  const auto m = sluice::model::load(file, {.where = "cuda:0", .precision = k.precision});
  const double load_us = microseconds_since(loading);
  static bool told = false;
  if (!std::exchange(told, true))
    std::printf("{\"onnxruntime\": \"%s\", \"cudnn\": %zu, \"cublaslt\": %zu}\n",
                sluice::find_model_engine().version.c_str(), version_of("libcudnn.so.9", "cudnnGetVersion"),
                version_of("libcublasLt.so.13", "cublasLtGetVersion"));
  const auto type = m.inputs().front().dtype;
  const tensor few = pixels(4, type, 7);
  const gap g = between(m.run({few}).front(), sluice::model::load(file).run({few}).front());
  std::printf("{\"kind\": \"%s\", \"load_ms\": %.0f, \"worst\": %.3g, \"largest\": %.3g}\n", k.name, load_us / 1e3, g.worst,
              g.largest);
  for (const auto rows : s.rows) {
    const tensor pageable = pixels(rows, type, 1), host = pinned(pageable, "cuda:0"), there = pageable.to("cuda:0");
    const auto first = steady::now();
    wait_for(m.run({there}).front());
    const double first_us = microseconds_since(first);
    const double device = median_of(s.rounds, [&] { wait_for(m.run({there}).front()); });
    const double from_host = median_of(s.rounds, [&] { wait_for(m.run({host}).front().to("cpu")); });
    const double from_pageable = median_of(s.rounds, [&] { wait_for(m.run({pageable}).front().to("cpu")); });
    std::printf(
        "{\"kind\": \"%s\", \"rows\": %lld, \"device_us\": %.1f, \"pinned_us\": %.1f, \"pageable_us\": %.1f, \"first_ms\": "
        "%.1f",
        k.name, static_cast<long long>(rows), device, from_host, from_pageable, first_us / 1e3);
    for (const int threads : {2, 4, s.threads})
      if (s.threads > 0) std::printf(", \"rows_a_second_%d\": %.0f", threads, rows_a_second(m, host, threads));
    std::printf("}\n");
  }
  if (!s.warm) return;
  const auto warming = steady::now();
  for (const auto& t : m.warm())
    std::printf("{\"kind\": \"%s\", \"warm_rows\": %lld, \"us\": %.1f}\n", k.name, static_cast<long long>(t.rows),
                t.seconds * 1e6);
  std::printf("{\"kind\": \"%s\", \"warm_ms\": %.0f}\n", k.name, microseconds_since(warming) / 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: cuda_model MODELS [--rows 1,64] [--rounds 200] [--threads 32] [--warm]\n");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // through a pipe, too
  settings s;
  s.folder = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--warm") s.warm = true;
    if (i + 1 == argc) break;
    if (option == "--rounds") s.rounds = std::atoi(argv[i + 1]);
    if (option == "--threads") s.threads = std::atoi(argv[i + 1]);
    if (option == "--rows") {
      s.rows.clear();
      for (const char* p = argv[i + 1]; *p != '\0'; p += *p == ',' ? 1 : 0)
        s.rows.push_back(std::strtoll(p, const_cast<char**>(&p), 10));
    }
  }
  int failed = 0;
  for (const kind& k : {kind{"strict", "resnet18.onnx", sluice::precision::strict},
                        kind{"tf32", "resnet18.onnx", sluice::precision::tensor_core},
                        kind{"f16", "resnet18_f16.onnx", sluice::precision::tensor_core}}) {
    try {
      measure(s, k);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "cuda_model: %s: %s\n", k.name, e.what());
      ++failed;
    }
  }
  return failed;
}

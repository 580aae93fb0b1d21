// Copies, conversions and fills: within the host beside memcpy on all threads; between the host and every device, from
// pinned and from ordinary memory; and on the device. Copies are compared with what they were made of before any timing.
//
//     copy_bench --benchmark_repetitions=3 [--run quick]
//
// Counters: bytes_per_second, bytes read and written ("within" a memory), or moved (between two); share, of memcpy's rate.
// What a device's bus and memory give by hand is in cuda_bench.
#include <cstring>

#include "ceilings.hpp"
#include "sluice/tensor.hpp"

namespace {

using sluice::dtype;
using sluice::tensor;

tensor counted(std::int64_t count, dtype type = dtype::f32) {
  tensor t({count});
  auto* values = static_cast<float*>(t.data());
  sluice::parallel_for((count + 65535) / 65536, [&](std::int64_t part) {
    for (std::int64_t i = part * 65536; i < std::min(count, (part + 1) * 65536); ++i)
      values[i] = static_cast<float>(i % 1021);
  });
  return t.as(type);
}

bool same(const tensor& a, const tensor& b) {
  const tensor x = a.to("cpu").contiguous(), y = b.to("cpu").contiguous();
  return x.bytes() == y.bytes() && std::memcmp(x.data(), y.data(), x.bytes()) == 0;
}

void wait_for(const tensor& t) { benchmark::DoNotOptimize(t.data()); }

std::string in_words(std::int64_t bytes) {
  return bytes < (1 << 20) ? std::to_string(bytes >> 10) + " KiB" : std::to_string(bytes >> 20) + " MiB";
}

// The target on its device, made from `from` again and again; `bytes` are what memory must move.
void assignments(benchmark::State& state, tensor& to, const tensor& from, double bytes, const tensor& wanted,
                 double ceiling) {
  to.assign(from);
  if (!same(to, wanted)) return state.SkipWithError("wrong answer");
  const bool host = to.device().is_cpu() && from.device().is_cpu();
  measure(
      state, {.bytes = bytes, .ceiling = ceiling}, host ? 1 : 10, [&] { to.assign(from); }, [&] { wait_for(to); });
}

std::int64_t large() { return by_run(std::int64_t{1} << 12, std::int64_t{1} << 24, std::int64_t{1} << 26); }  // elements

// Bytes that memcpy on all threads reads and writes a second.
double memory_rate() {
  static const double rate = [] {
    tensor to({large()}), from = counted(large());
    return 2 * ceilings::copy_rate(to.data(), std::as_const(from).data(), large() * 4, true);
  }();
  return rate;
}

void add_within(const sluice::device& where) {
  const double n = static_cast<double>(large());
  const std::string size = in_words(large() * 4);
  const double ceiling = where.is_cpu() ? memory_rate() : 0;
  const auto side = static_cast<std::int64_t>(by_run(64, 4096, 8192));
  const auto convert = [&](dtype to, dtype from, const std::string& name, double each) {
    add(name, "sluice", where.str(), sluice::name_of(from), size, [=](benchmark::State& state) {
      const tensor host = counted(large(), from), a = host.to(where);
      tensor out({large()}, to, where);
      assignments(state, out, a, each * n, host.as(to), ceiling);
    });
  };
  convert(dtype::f32, dtype::f32, "copy within", 8);
  convert(dtype::bf16, dtype::f32, "convert to bf16", 6);
  convert(dtype::f16, dtype::f32, "convert to f16", 6);
  convert(dtype::f32, dtype::bf16, "convert to f32", 6);
  convert(dtype::f64, dtype::f32, "convert to f64", 12);
  const double moved = 8.0 * static_cast<double>(side * side);
  add("transposed copy", "sluice", where.str(), "f32", std::to_string(side) + "x" + std::to_string(side),
      [=](benchmark::State& state) {
        const tensor host = counted(side * side).reshape({side, side}), a = host.to(where);
        tensor out({side, side}, dtype::f32, where);
        assignments(state, out, a.transpose(), moved, host.transpose(), ceiling);
      });
  add("fill", "sluice", where.str(), "f32", size, [=](benchmark::State& state) {
    tensor t;
    measure(
        state, {.bytes = 4 * n, .ceiling = ceiling}, where.is_cpu() ? 1 : 10,
        [&] { t = tensor::full({large()}, 1.5, dtype::f32, where); }, [&] { wait_for(t); });
  });
}

// Each copy ends before the next begins, as one that is waited for does.
void between(benchmark::State& state, std::int64_t bytes, const sluice::device& where, bool up, bool pinned) {
  const tensor values = counted(bytes / 4);
  tensor host = pinned ? tensor({bytes / 4}, dtype::f32, where, sluice::memory::pinned) : tensor({bytes / 4});
  tensor there({bytes / 4}, dtype::f32, where);
  (up ? host : there).assign(values);
  tensor& to = up ? there : host;
  const tensor& from = up ? host : there;
  to.assign(from);
  if (!same(to, values)) return state.SkipWithError("wrong answer");
  measure(state, {.bytes = static_cast<double>(bytes)}, [&] {
    to.assign(from);
    wait_for(to);
  });
}

void add_between(const sluice::device& where) {
  for (const std::int64_t bytes : {std::int64_t{4} << 10, std::int64_t{64} << 10, std::int64_t{1} << 20,
                                   std::int64_t{16} << 20, std::int64_t{256} << 20}) {
    if (running == run_size::tiny && bytes > (64 << 10)) continue;
    for (const bool up : {true, false})
      for (const bool pinned : {true, false})
        add(std::string(up ? "host to device, " : "device to host, ") + (pinned ? "pinned" : "ordinary"), "sluice",
            where.str(), "f32", in_words(bytes), [=](benchmark::State& s) { between(s, bytes, where, up, pinned); });
  }
}

void register_all() {
  for (const bool all : {false, true})
    add("copy within", all ? "memcpy, all threads" : "memcpy", "cpu", "f32", in_words(large() * 4),
        [all](benchmark::State& state) {
          tensor to({large()}), from = counted(large());
          void* target = to.data();
          const void* source = std::as_const(from).data();
          double rate = 0;
          for (auto _ : state) {
            const auto start = clock_type::now();
            rate = std::max(rate, 2 * ceilings::copy_rate(target, source, large() * 4, all));
            state.SetIterationTime(seconds_since(start));
          }
          show_rate(state, "bytes_per_second", rate);
        });
  for (const auto& where : first_devices()) {
    add_within(where);
    if (!where.is_cpu()) add_between(where);
  }
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }

// Order, memory and queues of the CUDA backend where several threads share its tensors.
#include <thread>

#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"
#include "testing.hpp"

using namespace testing;

namespace {

// Integers so small that every product and sum is exact: all orders of additions give the same bits.
tensor small_integers(const shape& extents, dtype type, std::uint64_t seed) {
  numbers n(seed);
  return made(extents, type, [&](std::int64_t) { return static_cast<double>(n.below(5) - 2); });
}

template <class F>
void on_threads(int count, F&& f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&, i] { f(i); });
  for (auto& t : threads) t.join();
}

std::uint64_t in_use(sluice::memory kind) { return sluice::memory_statistics("cuda", kind).in_use; }

}  // namespace

TEST_CASE("chains over tensors shared by many threads, every bit checked") {
  const tensor a = small_integers({96, 96}, dtype::f64, 1);
  const tensor b = small_integers({96, 96}, dtype::f64, 2);
  const tensor wanted = sluice::rowsum(sluice::matmul(sluice::matmul(a, b, "cpu"), b.transpose(), "cpu"), "cpu");
  const tensor ga = a.to("cuda");
  const tensor gb = b.to("cuda");
  std::atomic<int> wrong{0};
  on_threads(16, [&](int i) {
    for (int round = 0; round < 50; ++round) {
      const tensor left = round % 3 == 0 ? a.to("cuda") : ga;
      const tensor sums = sluice::rowsum(sluice::matmul(sluice::matmul(left, gb), gb.transpose()));
      if (!same_bits(sums, wanted)) ++wrong;
      if (i % 2 == 0)
        static_cast<void>(tensor::full({1 + 1000 * round}, i, dtype::f32, "cuda"));  // freed before it is filled
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("large copies between threads' work, from ordinary and from pinned memory") {
  std::atomic<int> wrong{0};
  on_threads(6, [&](int i) {
    const auto n = static_cast<std::int64_t>(3'000'001 + i * 700'001);
    const tensor ordinary = random({n}, dtype::f32, static_cast<std::uint64_t>(i + 1));
    tensor pinned({n}, dtype::f32, "cuda", sluice::memory::pinned);
    pinned.assign(ordinary);
    for (int round = 0; round < 4; ++round) {
      tensor back({n}, dtype::f32, "cuda", sluice::memory::pinned);
      back.assign((round % 2 == 0 ? ordinary : pinned).to("cuda"));
      if (!same_bits(back, ordinary) || !same_bits(pinned.to("cuda").to("cpu"), ordinary)) ++wrong;
    }
  });
  CHECK(wrong == 0);
  CHECK(in_use(sluice::memory::pinned) == 0);
}

TEST_CASE("memory comes from the pool, and what is too much is refused with the numbers") {
  CHECK(in_use(sluice::memory::device) == 0);
  for (int i = 0; i < 20; ++i) static_cast<void>(tensor::full({1 << 20}, 1, dtype::f32, "cuda"));
  const auto stats = sluice::memory_statistics("cuda", sluice::memory::device);
  CHECK(stats.reused > 0);
  CHECK(stats.pooled <= stats.limit);
  std::int64_t total = 0;
  for (const auto& d : sluice::devices())
    if (d.where == sluice::device("cuda:0")) total = static_cast<std::int64_t>(d.memory_total);
  const tensor kept = tensor::full({1000}, 3, dtype::f64, "cuda");
  for (int i = 0; i < 2; ++i)
    CHECK_REFUSED(tensor({total}, dtype::f32, "cuda"), out_of_memory, "no device memory for", "are free");
  CHECK(sluice::rowsum(kept).item<double>() == 3000);
  CHECK(sluice::rowsum(tensor::full({1 << 20}, 1, dtype::f32, "cuda")).item<float>() == (1 << 20));
  sluice::memory_trim("cuda", sluice::memory::device);
  CHECK(sluice::memory_statistics("cuda", sluice::memory::device).pooled <= 64u << 20);  // parts of pages that `kept` is on
}

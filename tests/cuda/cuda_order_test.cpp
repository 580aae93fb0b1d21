// Order, memory and queues of the CUDA backend where several threads share its tensors, on all GPUs there are.
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

// A GPU for each thread, in turn over all there are.
sluice::device gpu(int i) {
  static const auto all = devices_under_test();
  return all[static_cast<std::size_t>(i) % all.size()];
}
int gpus() { return static_cast<int>(devices_under_test().size()); }

std::uint64_t in_use(sluice::memory kind) { return sluice::memory_statistics(gpu(0), kind).in_use; }

}  // namespace

TEST_CASE("chains over tensors shared by many threads, every bit checked") {
  const tensor a = small_integers({96, 96}, dtype::f64, 1);
  const tensor b = small_integers({96, 96}, dtype::f64, 2);
  const tensor wanted = sluice::rowsum(sluice::matmul(sluice::matmul(a, b, "cpu"), b.transpose(), "cpu"), "cpu");
  std::vector<tensor> left;
  std::vector<tensor> right;
  for (int i = 0; i < gpus(); ++i) {
    left.push_back(a.to(gpu(i)));
    right.push_back(b.to(gpu(i)));
  }
  std::atomic<int> wrong{0};
  on_threads(16, [&](int i) {
    const sluice::device where = gpu(i);
    const tensor& gb = right[static_cast<std::size_t>(i % gpus())];
    for (int round = 0; round < 50; ++round) {
      const tensor ga = round % 3 == 0 ? a.to(where) : left[static_cast<std::size_t>(i % gpus())];
      const tensor sums = sluice::rowsum(sluice::matmul(sluice::matmul(ga, gb), gb.transpose()));
      if (sums.device() != where || !same_bits(sums, wanted)) ++wrong;
      if (i % 4 < 2) static_cast<void>(tensor::full({1 + 1000 * round}, i, dtype::f32, where));  // freed before it is filled
    }
  });
  CHECK(wrong == 0);
}

// Each product is made on the GPU after the one that made its operand, and the pinned memory in between is written by one
// and read by the other, both of which are ahead of this thread.
TEST_CASE("chains from one GPU to the next, every bit checked") {
  const tensor a = small_integers({160, 96}, dtype::f64, 3);
  const tensor b = small_integers({96, 96}, dtype::f64, 4);
  const tensor once = sluice::matmul(a, b, "cpu");
  const tensor wanted = sluice::rowsum(sluice::matmul(once, b, "cpu"), "cpu");
  std::atomic<int> wrong{0};
  on_threads(8, [&](int i) {
    tensor between({160, 96}, dtype::f64, gpu(i), sluice::memory::pinned);
    for (int round = 0; round < 30; ++round) {
      const sluice::device first = gpu(i + round);
      const sluice::device second = gpu(i + round + 1);
      between.assign(sluice::matmul(a.to(first), b.to(first)));
      if (!same_bits(sluice::rowsum(sluice::matmul(between.to(second), b.to(second))), wanted)) ++wrong;
      const tensor straight = sluice::matmul(a.to(second), b.to(second)).to(first);
      if (straight.device() != first || !same_bits(straight, once)) ++wrong;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("large copies between threads' work, from ordinary and from pinned memory") {
  std::atomic<int> wrong{0};
  on_threads(6, [&](int i) {
    const sluice::device where = gpu(i);
    const auto n = static_cast<std::int64_t>(3'000'001 + i * 700'001);
    const tensor ordinary = random({n}, dtype::f32, static_cast<std::uint64_t>(i + 1));
    tensor pinned({n}, dtype::f32, where, sluice::memory::pinned);
    pinned.assign(ordinary);
    for (int round = 0; round < 4; ++round) {
      tensor back({n}, dtype::f32, where, sluice::memory::pinned);
      back.assign((round % 2 == 0 ? ordinary : pinned).to(where));
      if (!same_bits(back, ordinary) || !same_bits(pinned.to(gpu(i + 1)).to("cpu"), ordinary)) ++wrong;
    }
  });
  CHECK(wrong == 0);
  CHECK(in_use(sluice::memory::pinned) == 0);
}

// Small results leave by a kernel where the device has work before them, and by a copy where it has none.
TEST_CASE("small results come back whole, at any offset and to any memory") {
  const tensor a = small_integers({64, 64}, dtype::f32, 5);
  const tensor wanted = sluice::matmul(a, a, "cpu");
  for (int i = 0; i < gpus(); ++i)
    for (const int rows : {1, 3, 8, 63}) {
      INFO(gpu(i).str(), ": ", rows, " rows");
      const tensor ga = a.to(gpu(i));
      const tensor product = sluice::matmul(ga, ga);
      for (const bool busy : {true, false})
        for (const int first : {0, 1}) {
          tensor ordinary = tensor::full({rows, 64}, -1, dtype::f32);
          tensor pinned({rows + 1, 64}, dtype::f32, gpu(i), sluice::memory::pinned);
          for (tensor onto : {ordinary, pinned.slice(0, first, first + rows)}) {
            const tensor made = busy ? sluice::matmul(ga, ga) : product;
            onto.assign(made.slice(0, first, first + rows));
            CHECK(same_bits(onto, wanted.slice(0, first, first + rows)));
          }
          tensor odd = tensor::full({7}, -1, dtype::f32);
          odd.assign((busy ? sluice::matmul(ga, ga) : product)[2].slice(0, 1 + first, 8 + first));
          CHECK(same_bits(odd, wanted[2].slice(0, 1 + first, 8 + first)));
        }
    }
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

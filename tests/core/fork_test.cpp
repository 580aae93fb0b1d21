// Children of fork compute, whatever the parent's threads were doing: at work, or about to be for the first time.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/parallel.hpp"
#include "sluice/placement.hpp"
#include "testing.hpp"

using namespace testing;

namespace {

// All that a program does on the CPU. `n` of 2 to 300.
bool computes(std::int64_t n) {
  const tensor a = tensor::full({n, n}, 0.5);
  const tensor b = tensor::full({n, n}, 2);
  const tensor c = sluice::matmul(a, b, n % 2 == 0 ? sluice::device::cpu : sluice::device::automatic);
  const tensor sums = sluice::rowsum(c.as(dtype::f64));
  const tensor halves = sluice::matmul(a.as(dtype::f16), b.as(dtype::f16), "cpu");
  static_cast<void>(sluice::refusals());
  static_cast<void>(sluice::memory_statistics("cpu"));
  static_cast<void>(sluice::place(sluice::work_of(sluice::matmul_op(), {a, b})));
  std::vector<std::atomic<int>> done(100);
  sluice::parallel_for(100, [&](std::int64_t i) { ++done[static_cast<std::size_t>(i)]; });
  for (const auto& d : done)
    if (d != 1) return false;
  const double expected = static_cast<double>(n);
  return sums[0].item<double>() == expected * expected && sums[n - 1].item<double>() == expected * expected &&
         halves[n - 1][0].item<double>() == expected;
}

// The status of a child that does `work`; SIGALRM when that takes ten seconds, which is a wait that never ends.
template <class Work>
int child_of(Work work) {
  const pid_t child = ::fork();
  if (child < 0) return -1;
  if (child == 0) {
    ::alarm(10);
    ::_exit(work() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

// Forks `times` while four threads compute, from before their first call on.
int fork_amid_work(int times) {
  std::atomic<bool> stop{false};
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t n = 2 + t; !stop; n = 2 + (n * 7 + t) % 200)
        if (!computes(n)) wrong = true;
    });
  int failed = 0;
  for (int i = 0; i < times; ++i) failed += child_of([i] { return computes(2 + i * 37 % 200); }) != 0;
  stop = true;
  for (auto& t : threads) t.join();
  return failed + (wrong ? 1000 : 0);
}

}  // namespace

#if !defined(__SANITIZE_THREAD__)  // which has no threads after a fork
TEST_CASE("a child forked amid the first calls of all computes") {
  // This process has not computed yet, so each child of it begins anew.
  for (int i = 0; i < 40; ++i) REQUIRE(child_of([] { return fork_amid_work(2) == 0; }) == 0);
}
#endif

TEST_CASE("a child forked while other threads multiply computes") { CHECK(fork_amid_work(150) == 0); }

TEST_CASE("a child of a child computes, and so does the parent") {
  CHECK(computes(50));
  CHECK(child_of([] { return computes(20) && child_of([] { return computes(30); }) == 0; }) == 0);
  CHECK(computes(60));
}

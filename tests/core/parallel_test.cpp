// The process's one thread pool. CTest runs this with several sizes.
#include "sluice/parallel.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "sluice/ops/matmul.hpp"
#include "testing.hpp"

using sluice::parallel_for;
using sluice::parallel_size;

namespace {

// How many run at once, and the most there ever were.
struct meter {
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  void enter() {
    const int n = ++now;
    for (int seen = most; n > seen && !most.compare_exchange_weak(seen, n);) {
    }
  }
  void leave() { --now; }
};

void busy(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

}  // namespace

TEST_CASE("the size is at least 1, and what SLUICE_THREADS says") {
  CHECK(parallel_size() >= 1);
  const char* wanted = std::getenv("SLUICE_THREADS");
  if (wanted != nullptr) CHECK(parallel_size() == std::atoi(wanted));
#if defined(__linux__)
  cpu_set_t allowed;
  if (wanted == nullptr && ::sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    CHECK(parallel_size() <= CPU_COUNT(&allowed));
#endif
}

TEST_CASE("a thread that is alone runs its loops itself, in order; others share theirs") {
  const auto me = std::this_thread::get_id();
  for (const bool alone : {true, false}) {
    const sluice::parallel_alone outer;
    { const sluice::parallel_alone inner(alone); }
    std::vector<std::int64_t> order;
    bool here = true;
    parallel_for(1000, [&](std::int64_t i) {
      order.push_back(i);
      here = here && std::this_thread::get_id() == me;
    });
    CHECK(here);
    CHECK(order.size() == 1000);
    CHECK(std::is_sorted(order.begin(), order.end()));
  }
  if (parallel_size() == 1) return;
  // Two that wait for one another end only side by side.
  const sluice::parallel_alone not_alone(false);
  std::atomic<int> here{0};
  parallel_for(2, [&](std::int64_t) {
    ++here;
    while (here < 2) std::this_thread::yield();
  });
  CHECK(here == 2);
}

TEST_CASE("every index runs once") {
  for (const std::int64_t count : {0, 1, 2, 3, 7, 64, 1000, 100000}) {
    std::vector<int> times(
        static_cast<std::size_t>(count));  // each written by whoever has the index: a race would be one here
    for (int round = 0; round < 20; ++round)
      parallel_for(count, [&](std::int64_t i) { ++times[static_cast<std::size_t>(i)]; });
    INFO(count);
    CHECK(std::all_of(times.begin(), times.end(), [](int t) { return t == 20; }));
  }
  parallel_for(-5, [](std::int64_t) { FAIL("called"); });
}

TEST_CASE("what a body writes is seen by the caller, and what the caller wrote by the bodies") {
  std::vector<std::int64_t> data(500);
  for (int round = 1; round < 300; ++round) {
    std::iota(data.begin(), data.end(), round);
    parallel_for(500, [&](std::int64_t i) { data[static_cast<std::size_t>(i)] *= 2; });
    REQUIRE(std::accumulate(data.begin(), data.end(), std::int64_t{0}) == 2 * (499 * 500 / 2 + 500 * round));
  }
}

TEST_CASE("no more threads than its size are at work at once") {
  meter m;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  parallel_for(400, [&](std::int64_t) {
    m.enter();
    busy(std::chrono::microseconds(50));
    {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    }
    m.leave();
  });
  CHECK(m.most <= parallel_size());
  CHECK(static_cast<int>(threads.size()) <= parallel_size());
  if (parallel_size() > 1) CHECK(m.most > 1);
}

TEST_CASE("many callers share the same threads") {
  meter m;
  std::atomic<std::int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 12; ++c)
    callers.emplace_back([&, c] {
      for (int round = 0; round < 40; ++round)
        parallel_for(1 + (c * 7 + round) % 50, [&](std::int64_t i) {
          m.enter();
          sum += i + 1;
          m.leave();
        });
    });
  for (auto& t : callers) t.join();
  std::int64_t expected = 0;
  for (int c = 0; c < 12; ++c)
    for (int round = 0; round < 40; ++round) {
      const std::int64_t n = 1 + (c * 7 + round) % 50;
      expected += n * (n + 1) / 2;
    }
  CHECK(sum == expected);
  CHECK(m.most <= parallel_size());
}

TEST_CASE("the first exception stops the loop and is thrown, and the pool goes on") {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> ran{0};
    bool thrown = false;
    try {
      parallel_for(100000, [&](std::int64_t i) {
        ++ran;
        if (i % 10 == 3) throw std::runtime_error("at " + std::to_string(i));
      });
    } catch (const std::runtime_error& e) {
      thrown = std::string(e.what()).starts_with("at ");
    }
    CHECK(thrown);
    CHECK(ran < 100000);
    int after = 0;
    parallel_for(1, [&](std::int64_t) { ++after; });
    CHECK(after == 1);
  }
}

TEST_CASE("a loop inside a body runs there, in order") {
  std::atomic<int> wrong{0};
  parallel_for(20, [&](std::int64_t) {
    const auto here = std::this_thread::get_id();
    std::int64_t next = 0;
    parallel_for(50, [&](std::int64_t i) {
      if (i != next++ || std::this_thread::get_id() != here) ++wrong;
      parallel_for(2, [&](std::int64_t) {});
    });
    if (next != 50) ++wrong;
  });
  CHECK(wrong == 0);
}

TEST_CASE("after an exception no index is handed out, were there ever so many") {
  const auto fails = [](std::int64_t i) {
    if (i % 3 == 1) throw std::logic_error("enough");
  };
  CHECK_THROWS_AS(parallel_for(std::int64_t{1} << 60, fails), std::logic_error);
  parallel_for(1, [&](std::int64_t) { CHECK_THROWS_AS(parallel_for(std::int64_t{1} << 60, fails), std::logic_error); });
}

TEST_CASE("an exception passes through nested loops") {
  CHECK_THROWS_AS(
      parallel_for(4, [](std::int64_t) { parallel_for(4, [](std::int64_t) { throw std::logic_error("deep"); }); }),
      std::logic_error);
}

TEST_CASE("a short loop is not starved by callers who come again and again") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> crowd;
  for (int c = 0; c < 3 * parallel_size() + 3; ++c)
    crowd.emplace_back([&] {
      while (!stop) parallel_for(8, [](std::int64_t) { busy(std::chrono::microseconds(20)); });
    });
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 30; ++i) parallel_for(1, [](std::int64_t) {});
  const auto took = std::chrono::steady_clock::now() - begin;
  stop = true;
  for (auto& t : crowd) t.join();
  CHECK(took < std::chrono::seconds(20));
}

TEST_CASE("helpers leave a long loop when a caller waits") {
  if (parallel_size() < 2) return;
  std::atomic<bool> stop{false};
  std::thread owner([&] {
    CHECK_THROWS_AS(parallel_for(std::int64_t{1} << 50,
                                 [&](std::int64_t) {
                                   if (stop) throw std::runtime_error("enough");
                                   busy(std::chrono::microseconds(100));
                                 }),
                    std::runtime_error);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto begin = std::chrono::steady_clock::now();
  int ran = 0;
  for (int i = 0; i < 10; ++i) parallel_for(1, [&](std::int64_t) { ++ran; });
  const auto took = std::chrono::steady_clock::now() - begin;
  stop = true;
  owner.join();
  CHECK(ran == 10);
  CHECK(took < std::chrono::seconds(5));
}

TEST_CASE("a child forked while all threads are at work computes alone") {
  std::atomic<bool> stop{false};
  std::atomic<int> at_work{0};
  std::vector<std::thread> owners;
  for (int i = 0; i < parallel_size(); ++i)
    owners.emplace_back([&] {
      while (!stop)
        parallel_for(1, [&](std::int64_t) {
          ++at_work;
          while (!stop) std::this_thread::yield();
        });
    });
  while (at_work < parallel_size()) std::this_thread::yield();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int ran = 0;  // no other thread is there to share it with
    parallel_for(1000, [&](std::int64_t) { ++ran; });
    ::_exit(ran == 1000 && parallel_size() == 1 ? 0 : 1);
  }
  int status = -1;
  pid_t ended = 0;
  for (int i = 0; i < 100 && ended == 0; ++i) {
    ended = ::waitpid(child, &status, WNOHANG);
    if (ended == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (ended == 0) {  // it waits for threads that it does not have
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  }
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  stop = true;
  for (auto& t : owners) t.join();
  int after = 0;
  parallel_for(1, [&](std::int64_t) { ++after; });
  CHECK(after == 1);
}

namespace {
thread_local bool application_thread = false;
std::atomic<int> strays{0};
std::atomic<int> handled{0};
}  // namespace

TEST_CASE("signals go to the application's threads") {
  application_thread = true;
  std::signal(SIGUSR1, [](int) {
    ++handled;
    if (!application_thread) ++strays;
  });
  // While the application's threads block it, only a helper could take one.
  sigset_t usr1;
  ::sigemptyset(&usr1);
  ::sigaddset(&usr1, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
  for (int i = 0; i < 50; ++i) {
    parallel_for(64, [](std::int64_t) { busy(std::chrono::microseconds(5)); });
    ::kill(::getpid(), SIGUSR1);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(handled == 0);
  ::pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::signal(SIGUSR1, SIG_DFL);
  CHECK(handled > 0);
  CHECK(strays == 0);
}

TEST_CASE("work that is cancelled ends between two indices, and says so") {
  std::atomic<bool> cancelled{false};
  std::atomic<int> ran{0};
  {
    const sluice::parallel_cancellation scope(cancelled);
    parallel_for(10, [&](std::int64_t) { ++ran; });
    CHECK(ran == 10);
    bool thrown = false;
    try {
      parallel_for(1'000'000'000, [&](std::int64_t) { cancelled = ++ran > 1000; });
    } catch (const sluice::error& e) {
      thrown = e.code() == sluice::error_code::cancelled;
    }
    CHECK(thrown);
    CHECK(ran < 1'000'000);
    const sluice::tensor a({64, 64}, sluice::dtype::f32);
    CHECK_THROWS_AS(static_cast<void>(sluice::matmul(a, a)), sluice::error);
  }
  parallel_for(10, [&](std::int64_t) { ran = 0; });  // and the thread's next work does not
  CHECK(ran == 0);
}

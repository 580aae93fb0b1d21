// The compute queue: order, bounds, deadlines, disconnected clients, permits that are lent, and niceness.
#include "execution/compute_queue.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sluice/parallel.hpp"

using sluice::serving::compute_queue;
using outcome = compute_queue::outcome;
using terms = compute_queue::terms;

namespace {

// Work that does not end before it is told to.
class gate {
 public:
  void open() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++inside;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void wait_for(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside >= count; });
  }
  int inside = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

void wait_until_waiting(const compute_queue& s, int count) {
  while (s.now().waiting != count) std::this_thread::yield();
}

int own_nice() {
  errno = 0;
  return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)));
}

// One worker, busy until the test opens the gate; jobs that arrive meanwhile wait.
struct taken {
  explicit taken(int queue_length) : s(1, queue_length, 0) {
    holder = std::thread([this] { s.run({}, [this] { door.pass(); }); });
    door.wait_for(1);
  }
  ~taken() {
    door.open();
    holder.join();
  }
  compute_queue s;
  gate door;
  std::thread holder;
};

}  // namespace

TEST_CASE("work is done on another thread, of lower priority, and what it throws comes back") {
  compute_queue s(2, 0, 7);
  std::thread::id where;
  int nice = 0;
  CHECK(s.run({}, [&] {
    where = std::this_thread::get_id();
    nice = own_nice();
  }) == outcome::done);
  CHECK(where != std::this_thread::get_id());
  CHECK(nice == std::min(19, own_nice() + 7));
  CHECK_THROWS_AS(s.run({}, [] { throw std::runtime_error("x"); }), std::runtime_error);
  CHECK(s.run({}, [] {}) == outcome::done);
  CHECK(s.now().free == 2);
}

TEST_CASE("so many at once, so many in the queue, and no more") {
  gate door;
  std::atomic<int> most{0}, at_once{0}, done{0};
  compute_queue s(2, 3, 0);
  std::vector<std::thread> callers;
  for (int i = 0; i < 5; ++i)
    callers.emplace_back([&] {
      done += s.run({}, [&] {
        const int now = ++at_once;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
        door.pass();
        --at_once;
      }) == outcome::done;
    });
  door.wait_for(2);
  wait_until_waiting(s, 3);
  CHECK(s.now().free == 0);
  bool ran = false;
  CHECK(s.run({}, [&] { ran = true; }) == outcome::full);
  CHECK(!ran);
  CHECK(s.seconds_to_wait() >= 1);
  door.open();
  for (auto& c : callers) c.join();
  CHECK(done == 5);
  CHECK(most == 2);
  CHECK(s.now().free == 2);
}

TEST_CASE("a deadline that passes in the queue, or before, is not computed for") {
  std::atomic<int> ran{0};
  taken t(10);
  const auto soon = compute_queue::clock::now() + std::chrono::milliseconds(20);
  CHECK(t.s.run({.deadline = soon}, [&] { ++ran; }) == outcome::expired);
  CHECK(compute_queue::clock::now() >= soon);
  CHECK(t.s.now().waiting == 0);
  compute_queue free(1, 0, 0);
  CHECK(free.run({.deadline = compute_queue::clock::now() - std::chrono::seconds(1)}, [&] { ++ran; }) == outcome::expired);
  CHECK(free.run({.deadline = compute_queue::clock::now() + std::chrono::hours(1)}, [&] { ++ran; }) == outcome::done);
  CHECK(ran == 1);
}

TEST_CASE("a client that has gone is not computed for") {
  compute_queue s(1, 0, 0);
  bool ran = false;
  CHECK(s.run({.gone = [] { return true; }}, [&] { ran = true; }) == outcome::gone);
  CHECK(!ran);
  CHECK(s.run({.gone = [] { return false; }}, [&] { ran = true; }) == outcome::done);
  CHECK(ran);
}

TEST_CASE("turns: by priority, and first come first served within one") {
  std::string order;
  std::vector<std::thread> callers;
  {
    taken t(10);
    for (const auto& [name, priority] : {std::pair{'c', 0}, {'e', 2}, {'a', 1}, {'d', 0}, {'b', 1}, {'f', 5}}) {
      const int before = t.s.now().waiting;
      callers.emplace_back([&t, &order, n = name, p = priority] { t.s.run({.priority = p}, [&] { order += n; }); });
      wait_until_waiting(t.s, before + 1);
    }
    t.door.open();
    for (auto& c : callers) c.join();
  }
  CHECK(order == "abcdef");
}

TEST_CASE("a job that releases its permit lets another run, and goes before those that have not begun") {
  compute_queue s(1, 10, 0);
  std::string order;
  gate door, last;
  std::thread first([&] {
    CHECK(s.run({}, [&](compute_queue::permit& own) {
      own.release();
      own.release();  // nothing is left to release
      door.pass();
      CHECK(own.acquire() == outcome::done);
      CHECK(own.acquire() == outcome::done);
      order += 'a';
    }) == outcome::done);
  });
  door.wait_for(1);
  CHECK(s.now().free == 1);
  std::thread second([&] {
    s.run({}, [&] {
      last.pass();
      order += 'b';
    });
  });
  last.wait_for(1);
  std::thread third([&] { s.run({}, [&] { order += 'c'; }); });
  wait_until_waiting(s, 1);
  door.open();
  wait_until_waiting(s, 2);
  last.open();
  for (auto* t : {&first, &second, &third}) t->join();
  CHECK(order == "bac");
  CHECK(s.now().free == 1);
}

TEST_CASE("a job whose priority is known late waits for those before it, within its deadline") {
  std::string order;
  gate door;
  compute_queue s(1, 10, 0);
  const auto run = [&](char name, int late, compute_queue::clock::time_point deadline) {
    return s.run({.deadline = deadline}, [&, name, late](compute_queue::permit& own) {
      if (late == 0) return void(order += name);
      door.pass();
      if (own.requeue(late) == outcome::done)
        order += name;
      else
        order += 'x';
    });
  };
  constexpr auto never = compute_queue::clock::time_point::max();
  std::thread first([&] { run('a', 5, never); });
  door.wait_for(1);
  std::thread second([&] { run('b', 0, never); });
  wait_until_waiting(s, 1);
  door.open();
  first.join();
  second.join();
  CHECK(order == "ba");
  run('c', 5, never);  // none waits: at once
  CHECK(order == "bac");

  gate hold;  // the deadline passes while another has the permit
  std::thread third([&] {
    s.run({.deadline = compute_queue::clock::now() + std::chrono::milliseconds(30)}, [&](compute_queue::permit& own) {
      own.release();
      hold.wait_for(1);
      CHECK(own.acquire() == outcome::expired);
    });
  });
  std::thread fourth([&] { s.run({}, [&] { hold.pass(); }); });
  third.join();
  hold.open();
  fourth.join();
  CHECK(s.now().free == 1);
}

// The worker that wakes for a job which is withdrawn meanwhile must not leave one that waits for a permit without its turn.
TEST_CASE("a job that is withdrawn passes its turn on") {
  compute_queue s(1, 10, 0);
  for (int i = 0; i < 300; ++i) {
    gate parked, holder;
    std::atomic<bool> resumed{false};
    std::thread low([&] {  // gives way to the holder, and waits for a permit behind it and the withdrawn job
      const std::function<void(compute_queue::permit&)> work = [&](compute_queue::permit& own) {
        parked.pass();
        CHECK(own.requeue(6) == outcome::done);
        resumed = true;
      };
      CHECK(s.run({}, work) == outcome::done);
    });
    parked.wait_for(1);
    std::thread first([&] { s.run({.priority = 1}, [&] { holder.pass(); }); });
    wait_until_waiting(s, 1);
    parked.open();
    holder.wait_for(1);
    const auto soon = compute_queue::clock::now() + std::chrono::microseconds(500);
    std::thread withdrawn([&] { s.run({.deadline = soon, .priority = 1}, [] {}); });
    std::this_thread::sleep_until(soon - std::chrono::microseconds(i % 20));
    holder.open();
    const auto end = compute_queue::clock::now() + std::chrono::seconds(20);
    while (!resumed && compute_queue::clock::now() < end) std::this_thread::yield();
    REQUIRE(resumed);
    for (auto* t : {&low, &first, &withdrawn}) t->join();
  }
}

TEST_CASE("the time to wait grows with what is at work and in the queue") {
  compute_queue s(1, 100, 0);
  CHECK(s.seconds_to_wait() == 1);
  s.run({}, [] { std::this_thread::sleep_for(std::chrono::milliseconds(300)); });
  gate door;
  std::vector<std::thread> callers;
  for (int i = 0; i < 21; ++i) callers.emplace_back([&] { s.run({}, [&] { door.pass(); }); });
  door.wait_for(1);
  wait_until_waiting(s, 20);
  CHECK(s.seconds_to_wait() >= 6);  // 21 times 0.3 s
  door.open();
  for (auto& c : callers) c.join();
}

TEST_CASE("the time to wait goes by the rate at which jobs end") {
  compute_queue s(2, 100, 0);
  std::vector<std::thread> callers;
  const auto add = [&](int n, auto work) {
    for (int i = 0; i < n; ++i) callers.emplace_back([&s, work] { s.run({}, [work] { work(); }); });
  };
  add(20, [] { std::this_thread::sleep_for(std::chrono::milliseconds(100)); });  // two at once: 20 a second
  for (auto& c : callers) c.join();
  callers.clear();
  gate door;
  add(2, [&] { door.pass(); });
  door.wait_for(2);
  add(80, [] {});
  wait_until_waiting(s, 80);
  CHECK(s.seconds_to_wait() >= 4);  // 81 of 20 a second, where one after the other would take 8 s
  CHECK(s.seconds_to_wait() <= 7);
  door.open();
  for (auto& c : callers) c.join();
}

TEST_CASE("the pool's helpers give way when asked to, and never the less for another call") {
  sluice::parallel_nice(5);
  sluice::parallel_nice(3);
  if (sluice::parallel_size() == 1) return;
  const auto own = std::this_thread::get_id();
  std::atomic<int> nice{-1};
  while (nice < 0)  // until a helper joins
    sluice::parallel_for(1000, [&](std::int64_t) {
      if (std::this_thread::get_id() != own) nice = own_nice();
    });
  CHECK(nice == std::min(19, own_nice() + 5));
}

// Threads: signals, niceness, names, and the worker group.
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "sluice/impl/base/thread.hpp"
#include "sluice/impl/base/worker_group.hpp"

using namespace sluice::base;

namespace {

bool is_blocked(int signal) {
  sigset_t now;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
  return ::sigismember(&now, signal) == 1;
}

#if defined(__linux__)
int niceness() { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid))); }
int niceness_of_process() { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid())); }
#endif

std::string thread_name() {
  char name[32] = "";
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

// Work for a group's threads: items are taken until close(), and those left then are finished.
class counter {
 public:
  void serve() {
    std::unique_lock lock(mutex_);
    threads_.insert(std::this_thread::get_id());
    changed_.notify_all();
    for (;;) {
      changed_.wait(lock, [&] { return closed_ || items_ > 0; });
      if (items_ == 0) return;
      --items_;
      ++done_;
    }
  }
  void add(int items) {
    const std::lock_guard lock(mutex_);
    items_ += items;
    changed_.notify_all();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  void wait_for_threads(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return threads_.size() == count; });
  }
  [[nodiscard]] int done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::thread::id> threads_;
  int items_ = 0;
  int done_ = 0;
  bool closed_ = false;
};

}  // namespace

TEST_CASE("a started thread has the application's signals blocked, and its starter's mask is unchanged") {
  sigset_t own, before;
  ::sigemptyset(&own);
  ::sigaddset(&own, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &own, &before);
  start_thread("", 0, [] {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE, SIGCHLD, SIGALRM}) CHECK(is_blocked(signal));
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
      CHECK_FALSE(is_blocked(signal));
  }).join();
  CHECK(is_blocked(SIGUSR2));
  CHECK_FALSE(is_blocked(SIGINT));
  {
    const signal_block block;
    CHECK(is_blocked(SIGINT));
  }
  CHECK_FALSE(is_blocked(SIGINT));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a started thread has its name and niceness, and what it owns is moved and destroyed") {
  auto owned = std::make_unique<int>(7);
  std::atomic<int> seen{0};
  start_thread("sluice-test-15b", 3, [&seen, own = std::move(owned)] {
    seen = *own;
    CHECK(thread_name() == "sluice-test-15b");
#if defined(__linux__)
    CHECK(niceness() == std::min(19, niceness_of_process() + 3));
    set_niceness(100);
    CHECK(niceness() == 19);
#endif
  }).join();
  CHECK(seen == 7);
#if defined(__linux__)
  CHECK(niceness() == niceness_of_process());
#endif
}

TEST_CASE("a worker group starts on demand, no more than its count, and finishes what is left") {
  counter c;
  worker_group workers({.name = "sluice-workers", .count = 3, .nice = 2}, [&] {
    CHECK(thread_name() == "sluice-workers");
#if defined(__linux__)
    CHECK(niceness() == std::min(19, niceness_of_process() + 2));
#endif
    CHECK(is_blocked(SIGTERM));
    c.serve();
  });
  CHECK(workers.size() == 0);
  CHECK(workers.start_one());
  CHECK(workers.size() == 1);
  c.wait_for_threads(1);
  workers.start_all();
  CHECK(workers.size() == 3);
  CHECK_FALSE(workers.start_one());
  c.wait_for_threads(3);
  c.add(1000);
  c.close();
  workers.join();
  CHECK(c.done() == 1000);
  CHECK(workers.size() == 0);
  workers.join();  // again: nothing to wait for
  CHECK(workers.options().count == 3);
}

TEST_CASE("a worker group starts from several threads at once") {
  counter c;
  {
    worker_group workers({.count = 8}, [&] { c.serve(); });
    std::atomic<int> started{0};
    std::vector<std::thread> starters;
    for (int i = 0; i < 4; ++i)
      starters.emplace_back([&] {
        while (workers.start_one()) ++started;
      });
    for (auto& t : starters) t.join();
    CHECK(started == 8);
    CHECK(workers.size() == 8);
    c.add(10);
    c.close();
  }  // the end joins
  CHECK(c.done() == 10);
}

TEST_CASE("a detached group does not wait, and a group without threads ends at once") {
  struct shared {
    std::mutex mutex;
    std::condition_variable changed;
    int begun = 0;
    bool released = false;
    int ended = 0;
  };
  const auto s = std::make_shared<shared>();
  {
    // The threads are released before the group ends, which owns the function that they run.
    worker_group workers({.count = 2}, [s] {
      std::unique_lock lock(s->mutex);
      ++s->begun;
      s->changed.notify_all();
      s->changed.wait(lock, [&] { return s->released; });
      ++s->ended;
      s->changed.notify_all();
    });
    workers.start_all();
    workers.detach();
    std::unique_lock lock(s->mutex);
    s->changed.wait(lock, [&] { return s->begun == 2; });
    s->released = true;
    s->changed.notify_all();
    s->changed.wait(lock, [&] { return s->ended == 2; });
    lock.unlock();
    ::usleep(20'000);  // until they have left the function
  }
  const worker_group none({.count = 0}, [] {});
  worker_group empty({.count = 0}, [] {});
  CHECK_FALSE(empty.start_one());
}

TEST_CASE("in a forked child a group neither waits nor starts") {
  counter c;
  worker_group workers({.count = 3}, [&] { c.serve(); });
  CHECK(workers.start_one());
  CHECK(workers.start_one());
  c.wait_for_threads(2);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    const bool started = workers.start_one();
    workers.join();  // the threads exist in the parent alone
    ::_exit(started || workers.size() != 0 ? 1 : 0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  c.close();
}

TEST_CASE("a function is called in the child of a fork") {
  static std::atomic<int> calls{0};
  after_fork_in_child([] { ++calls; });
  const pid_t child = ::fork();
  if (child == 0) ::_exit(calls == 1 ? 0 : 1);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(calls == 0);
}

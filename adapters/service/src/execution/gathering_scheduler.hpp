// Calls of one kind that wait for the same device, or for a worker, run as one batch.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <vector>

#include "execution/batch.hpp"
#include "execution/scheduler.hpp"

namespace sluice::serving {

// A call whose group may begin a batch does so at once, for those at the front of the group; any other releases its permit
// and waits until it is in a batch or is woken to begin one. A group may begin a batch
// - of a device, when none is under way; where batches are measured, also a second one of half of the rows that there are;
// - of the CPU, unless calls of its kind are still being decoded, or are the next to be, and would make the batch so much
//   better that it pays to wait for them. They are shared out to all workers: a call that finds a worker free waits for
//   nobody.
// Without a rule or an estimate, and on a connection's thread, calls compute alone; so do those with which the results of
// all that wait would be beyond limits.result_bytes: more calls than there are permits hold decoded inputs here.
class gathering_scheduler final : public scheduler {
 public:
  // Throws http_error (503, 504) when the client disconnects or the deadline passes while the call waits for others.
  call_result submit(call& c) override;
  void comes(call& c) override;
  void left(call& c) noexcept override;

  [[nodiscard]] int waiting() const;  // calls that wait for others

 private:
  using clock = std::chrono::steady_clock;
  struct piece {
    std::int64_t begin;
    std::vector<tensor> results;
  };
  // A call. All but `own` is under mutex_; `where` is its batch's while that is under way.
  struct member {
    call& own;
    placed_call where;
    std::int64_t rows;       // to be computed
    std::int64_t begun = 0;  // of these, in batches
    std::int64_t done = 0;
    int open = 0;          // batches under way with a part of it
    bool failed = false;   // one of them
    bool blocked = false;  // without a permit
    bool woken = false;    // to begin a batch
    std::exception_ptr error{};
    std::vector<piece> pieces{};
    std::condition_variable changed{};

    [[nodiscard]] bool is_over() const { return open == 0 && (failed || done == rows); }
    [[nodiscard]] bool is_begun() const { return begun == rows; }
    [[nodiscard]] bool is_late() const { return clock::now() >= own.context.deadline; }
  };
  struct group {
    std::list<member*> members{}, waiting{};  // all; those with rows that are in no batch, in their order
    int running = 0;                          // batches
    bool woken = false;                       // a call is, and has no permit yet

    [[nodiscard]] const call& like() const { return members.front()->own; }
  };
  struct batch {
    std::vector<member*> of{};
    std::vector<call_part> parts{};
    std::vector<std::vector<tensor>> results{};  // of each part; empty: it failed
  };
  using outcome = compute_queue::outcome;
  using held_lock = std::unique_lock<std::mutex>;

  group& enter(member& m);
  void exit(group& g, member& m);
  call_result alone(call& c);
  call_result alone(call& c, placed_call where);
  bool compute_with_others(group& g, member& m, held_lock& lock);
  bool withdraw(group& g, member& m);
  void block(group& g, member& m, held_lock& lock);
  [[noreturn]] void leave(group& g, member& m, held_lock& lock, outcome end);
  void run_batch(group& g, member& leader, held_lock& lock);
  batch take(group& g, const member& leader);
  void compute_batch(batch& b, const member& leader) const;
  void settle(group& g, batch& b);
  static call_result result_of(member& m);
  void report(const call& c, const device& where, std::int64_t rows) const;

  std::vector<waiting_part> parts_of(const group& g) const;
  [[nodiscard]] batch_terms terms_of(const group& g) const;
  [[nodiscard]] int coming(const group& g) const;
  [[nodiscard]] int share_of(const group& g, int coming) const;
  [[nodiscard]] bool may_begin(const group& g) const;
  [[nodiscard]] bool may_overlap(const group& g) const;
  void has_come(call& c);
  void wake_one(group& g);
  void wake_others(const group* but = nullptr);

  mutable std::mutex mutex_;
  std::list<group> groups_;
  std::map<const void*, int> coming_;  // calls that are being decoded, by kind
  std::int64_t waiting_bytes_ = 0;     // of the results of calls that wait for others
  const compute_queue* queue_ = nullptr;
  std::atomic<int> blocked_{0};  // calls that wait for others
};

}  // namespace sluice::serving

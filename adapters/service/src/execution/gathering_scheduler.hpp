// Calls of one kind that wait for the same device run as one batch.
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <vector>

#include "execution/scheduler.hpp"

namespace sluice::serving {

// Where no call like it is under way, a call computes at once, alone. Others like it release their permits meanwhile; when
// it ends, one of them computes for as many as endpoint::gather allows, and the rest wait for the next turn. Calls are alike
// when endpoint, device, precision, parameters and the specs of the inputs are equal. On the CPU, without a rule or an
// estimate, and on a connection's thread, calls compute alone and wait for nobody; nor do those with which the results of
// all that wait would be beyond limits.result_bytes: more calls than there are permits hold decoded inputs here.
class gathering_scheduler final : public scheduler {
 public:
  // Throws http_error (503, 504) when the client disconnects or the deadline passes while the call waits for others.
  call_result submit(call& c) override;

  [[nodiscard]] int waiting() const;  // calls that wait for others

 private:
  enum class state { waits, leads, joined, done, alone };
  struct member {
    call& own;
    placed_call where;
    state now = state::waits;  // under mutex_; the result is the leader's until it is `done`
    std::vector<tensor> results{};
    std::condition_variable changed{};
  };
  struct group {
    explicit group(const call& first);
    [[nodiscard]] bool takes(const call& c) const;

    const endpoint* row;
    device where;
    std::string_view precision;
    std::vector<double> parameters;
    std::vector<operand_spec> inputs;
    std::list<member*> waiting{};
  };
  class turn;

  group& group_of(const call& c, bool& is_new);
  void wait(group& g, member& m, std::unique_lock<std::mutex>& lock);
  call_result lead(group& g, member& m);
  std::vector<member*> take(group& g, member& leader);
  static bool compute_all(std::span<member* const> batch, const decision& decided);
  static call_result result_of(member& m);
  void settle(std::span<member* const> batch, state end);
  void pass_on(group& g);

  mutable std::mutex mutex_;
  std::list<group> groups_;         // each with a call under way
  std::int64_t waiting_bytes_ = 0;  // of the results of calls that wait for others
};

}  // namespace sluice::serving

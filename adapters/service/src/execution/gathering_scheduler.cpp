#include "execution/gathering_scheduler.hpp"

#include <algorithm>

#include "execution/endpoint_registry.hpp"
#include "execution/result_limits.hpp"

namespace sluice::serving {
namespace {

using clock = std::chrono::steady_clock;

bool may_gather(const call& c, const placed_call& where) {
  const auto& rule = c.row.gather;
  if (rule.limit < 2 || c.permit == nullptr || !where.decided || where.decided->where.is_cpu()) return false;
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    if (c.inputs[i].rank() < rule.least_rank || c.inputs[i].rank() >= c.row.inputs[i].max_rank) return false;
  return !c.inputs.empty();
}

// By memory, too: the results of a batch are within the limit of one call's.
std::int64_t most_of(const call& c) {
  const auto each = std::max<std::int64_t>(1, c.cost->result_bytes);
  return std::clamp<std::int64_t>(c.limits.result_bytes / each, 1, c.row.gather.limit);
}

tensor stacked(std::span<call* const> calls, std::size_t input, const device& where) {
  const tensor& first = calls[0]->inputs[input];
  std::vector<std::int64_t> extents{static_cast<std::int64_t>(calls.size())};
  for (int r = 0; r < first.rank(); ++r) extents.push_back(first.extent(r));
  tensor all(shape(extents), first.dtype(), where);
  for (std::size_t i = 0; i < calls.size(); ++i) all[static_cast<std::int64_t>(i)].assign(calls[i]->inputs[input]);
  return all;
}

// Of the inputs of all, which come from where those of the first call are.
work cost_of(const call& first, std::span<const tensor> inputs) {
  work all = first.row.estimate(inputs);
  all.precision = first.cost->precision;
  all.result_to = device::cpu;
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::min(all.operand_count, first.cost->operand_count)); ++i) {
    all.operands[i].where = first.cost->operands[i].where;
    all.operands[i].pinned = first.cost->operands[i].pinned;
  }
  return all;
}

// The results of each, on the CPU, in memory of their own: a slow client holds no other's.
std::vector<std::vector<tensor>> parts_of(std::span<const tensor> results, std::span<call* const> calls) {
  std::vector<std::vector<tensor>> parts(calls.size());
  for (const auto& all : results) {
    if (all.rank() == 0 || all.extent(0) != static_cast<std::int64_t>(calls.size()))
      throw error(error_code::invalid_argument, "[" + calls[0]->row.name + "] of " + std::to_string(calls.size()) +
                                                    " calls the result has the shape " + all.shape().str() +
                                                    ": its first extent must be their number");
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const tensor own = all[static_cast<std::int64_t>(i)];
      parts[i].push_back(own.device().is_cpu() ? own.clone() : own.to(device::cpu));
    }
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (!calls[i]->expects(parts[i])) check_results(calls[i]->row, specs_of(parts[i]), calls[i]->limits);
  return parts;
}

std::vector<std::vector<tensor>> compute_joint(std::span<call* const> calls, const decision& decided) {
  const call& first = *calls[0];
  std::vector<tensor> inputs;
  std::optional<call_account> account;
  for (std::size_t i = 0; i < first.inputs.size(); ++i) inputs.push_back(stacked(calls, i, decided.where));
  account.emplace(cost_of(first, inputs), decided);
  auto parts = parts_of(first.row.run(inputs, first.context), calls);
  account->succeeded();
  return parts;
}

}  // namespace

// Of a group: whatever becomes of the call that has it, the next one gets it.
class gathering_scheduler::turn {
 public:
  turn(gathering_scheduler& s, group& g) : scheduler_(s), group_(g) {}
  ~turn() { scheduler_.pass_on(group_); }
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;

 private:
  gathering_scheduler& scheduler_;
  group& group_;
};

gathering_scheduler::group::group(const call& first)
    : row(&first.row),
      where(first.context.where),
      precision(first.context.precision),
      parameters(first.context.parameters.begin(), first.context.parameters.end()),
      inputs(specs_of(first.inputs)) {}

bool gathering_scheduler::group::takes(const call& c) const {
  return row == &c.row && where == c.context.where && precision == c.context.precision &&
         std::equal(parameters.begin(), parameters.end(), c.context.parameters.begin(), c.context.parameters.end()) &&
         std::equal(inputs.begin(), inputs.end(), c.inputs.begin(), c.inputs.end(),
                    [](const operand_spec& s, const tensor& t) { return s.dtype == t.dtype() && s.shape == t.shape(); });
}

call_result gathering_scheduler::submit(call& c) {
  member m{.own = c, .where = choose_device(c)};
  if (!may_gather(c, m.where)) return compute(c, std::move(m.where));
  std::unique_lock lock(mutex_);
  bool is_new = false;
  group& g = group_of(c, is_new);
  if (!is_new) {
    // One that waits with a permit might keep it from the one it waits for.
    if (waiting_bytes_ + c.cost->result_bytes > c.limits.result_bytes || !c.permit->release()) {
      lock.unlock();
      return compute(c, std::move(m.where));
    }
    wait(g, m, lock);
  }
  const auto now = m.now;
  lock.unlock();
  if (is_new || now == state::leads) return lead(g, m);
  c.check_turn(c.permit->acquire());
  if (now == state::alone) return compute(c);
  return result_of(m);
}

gathering_scheduler::group& gathering_scheduler::group_of(const call& c, bool& is_new) {
  const auto it = std::find_if(groups_.begin(), groups_.end(), [&](const group& g) { return g.takes(c); });
  is_new = it == groups_.end();
  return is_new ? groups_.emplace_back(c) : *it;
}

// Until the call leads, or has been computed or given up by one that did.
void gathering_scheduler::wait(group& g, member& m, std::unique_lock<std::mutex>& lock) {
  constexpr std::chrono::milliseconds look{100};
  const call& c = m.own;
  g.waiting.push_back(&m);
  waiting_bytes_ += c.cost->result_bytes;
  try {
    while (m.now == state::waits) {
      m.changed.wait_until(lock, std::min(clock::now() + look, c.context.deadline));
      if (m.now != state::waits) break;
      if (clock::now() >= c.context.deadline) c.check_turn(compute_queue::outcome::expired);
      if (c.request.gone && c.request.gone()) c.check_turn(compute_queue::outcome::gone);
    }
  } catch (...) {
    g.waiting.remove(&m);
    waiting_bytes_ -= c.cost->result_bytes;
    throw;
  }
  m.changed.wait(lock, [&] { return m.now != state::joined; });
  waiting_bytes_ -= c.cost->result_bytes;
}

call_result gathering_scheduler::lead(group& g, member& m) {
  const turn own(*this, g);
  call& c = m.own;
  c.check_turn(c.permit->acquire());
  c.check_deadline();
  const auto batch = take(g, m);
  if (batch.size() == 1) return compute(c, std::move(m.where));
  const bool done = compute_all(batch, *m.where.decided);
  settle(batch, done ? state::done : state::alone);
  return done ? result_of(m) : compute(c);
}

// As one. False: one of the calls fails, or the leader's is cancelled, and each is to have its own error.
bool gathering_scheduler::compute_all(std::span<member* const> batch, const decision& decided) try {
  std::vector<call*> calls;
  for (auto* m : batch) calls.push_back(&m->own);
  auto parts = compute_joint(calls, decided);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    batch[i]->results = std::move(parts[i]);
    batch[i]->where.gathered = static_cast<int>(batch.size());
  }
  return true;
} catch (...) {
  return false;
}

call_result gathering_scheduler::result_of(member& m) {
  m.where.precision = m.own.context.precision;
  return {std::move(m.results), std::move(m.where)};
}

// The leader, and those that join it.
std::vector<gathering_scheduler::member*> gathering_scheduler::take(group& g, member& leader) {
  std::vector<member*> batch{&leader};
  const auto most = static_cast<std::size_t>(most_of(leader.own));
  const std::lock_guard lock(mutex_);
  const auto now = clock::now();
  batch.reserve(std::min(most, g.waiting.size() + 1));
  for (auto it = g.waiting.begin(); it != g.waiting.end() && batch.size() < most;) {
    member& m = **it;
    if (now >= m.own.context.deadline) {  // it ends by itself
      ++it;
      continue;
    }
    m.now = state::joined;
    m.own.ends(stage::queue);
    batch.push_back(&m);
    it = g.waiting.erase(it);
  }
  leader.own.ends(stage::queue);
  return batch;
}

void gathering_scheduler::settle(std::span<member* const> batch, state end) {
  const std::lock_guard lock(mutex_);
  for (auto* m : batch) {
    m->now = end;
    m->changed.notify_one();
  }
}

void gathering_scheduler::pass_on(group& g) {
  const std::lock_guard lock(mutex_);
  if (g.waiting.empty()) {
    groups_.remove_if([&](const group& other) { return &other == &g; });
    return;
  }
  member& next = *g.waiting.front();
  g.waiting.pop_front();
  next.now = state::leads;
  next.changed.notify_one();
}

int gathering_scheduler::waiting() const {
  const std::lock_guard lock(mutex_);
  std::size_t n = 0;
  for (const auto& g : groups_) n += g.waiting.size();
  return static_cast<int>(n);
}

}  // namespace sluice::serving

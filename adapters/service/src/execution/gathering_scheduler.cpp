#include "execution/gathering_scheduler.hpp"

#include <algorithm>

#include "execution/result_limits.hpp"

namespace sluice::serving {
namespace {

bool is_on_cpu(const call& c) { return c.context.where.is_cpu(); }

// How many rows of the call join others; 0: it computes alone.
std::int64_t rows_joining(const call& c, const placed_call& where) {
  if (c.permit == nullptr || !where.decided || (is_on_cpu(c) && !c.row.gather.on_cpu)) return 0;
  return rows_to_join(c);
}

int turn_of(const call& c) { return compute_queue::turn_of(c.priority()); }

}  // namespace

call_result gathering_scheduler::submit(call& c) {
  placed_call where = choose_device(c);
  const auto rows = rows_joining(c, where);
  if (rows == 0) {
    left(c);
    return alone(c, std::move(where));
  }
  member m{.own = c, .where = std::move(where), .rows = rows};
  held_lock lock(mutex_);
  queue_ = &c.permit->queue();
  has_come(c);
  group& g = enter(m);
  if (blocked_ > 0) wake_others(&g);
  bool computed = false;
  try {
    computed = compute_with_others(g, m, lock);
  } catch (...) {
    if (!lock) lock.lock();
    exit(g, m);
    throw;
  }
  exit(g, m);
  lock.unlock();
  if (computed) return result_of(m);
  if (m.error) std::rethrow_exception(m.error);
  return alone(c);
}

void gathering_scheduler::comes(call& c) {
  if (const void* kind = kind_on_cpu(c.row)) {
    const held_lock lock(mutex_);
    c.coming = true;
    ++coming_[kind];
  }
}

void gathering_scheduler::left(call& c) noexcept {
  if (kind_on_cpu(c.row) == nullptr) return;
  const held_lock lock(mutex_);
  has_come(c);
  wake_others();
}

void gathering_scheduler::has_come(call& c) {
  if (!std::exchange(c.coming, false)) return;
  const auto it = coming_.find(kind_on_cpu(c.row));
  if (--it->second == 0) coming_.erase(it);
}

gathering_scheduler::group& gathering_scheduler::enter(member& m) {
  auto it = std::find_if(groups_.begin(), groups_.end(), [&](const group& g) { return are_alike(g.like(), m.own); });
  if (it == groups_.end()) it = groups_.emplace(it);
  it->members.push_back(&m);
  const auto behind = [&](const member* other) { return turn_of(other->own) > turn_of(m.own); };
  it->waiting.insert(std::find_if(it->waiting.begin(), it->waiting.end(), behind), &m);
  return *it;
}

void gathering_scheduler::exit(group& g, member& m) {
  g.members.remove(&m);
  if (g.members.empty()) groups_.remove_if([&](const group& other) { return &other == &g; });
}

call_result gathering_scheduler::alone(call& c) { return alone(c, choose_device(c)); }

call_result gathering_scheduler::alone(call& c, placed_call where) {
  struct scope {
    gathering_scheduler& s;
    const bool has_permit;
    ~scope() {
      if (!has_permit || s.blocked_ == 0) return;
      const held_lock lock(s.mutex_);
      s.wake_others();
    }
  } const end{*this, c.permit != nullptr};
  auto done = serving::compute(c, std::move(where));
  if (c.row.gather.limit > 1) report(c, c.context.where, std::max<std::int64_t>(1, rows_to_join(c)));
  return done;
}

// Until all rows of the call are computed: false where a batch has failed, or there is no waiting: it is to compute alone.
// The call holds a permit here, and afterwards.
bool gathering_scheduler::compute_with_others(group& g, member& m, held_lock& lock) {
  call& c = m.own;
  while (!m.is_over()) {
    if (!m.is_begun()) {
      if (m.is_late()) leave(g, m, lock, outcome::expired);
      const bool fits = waiting_bytes_ + c.cost->result_bytes <= c.limits.result_bytes;
      const bool begins = may_begin(g);
      // One that waits with a permit might keep it from the one it waits for.
      if (!begins && (!fits || !c.permit->release()) && withdraw(g, m)) return false;
      if (begins || !fits) {
        run_batch(g, m, lock);
        continue;
      }
    } else {
      c.permit->release();
    }
    block(g, m, lock);
  }
  return !m.failed;
}

// False: rows of it are in batches already.
bool gathering_scheduler::withdraw(group& g, member& m) {
  if (m.begun > 0) return false;
  g.waiting.remove(&m);
  return true;
}

// Until the call is over, or is to begin a batch; then it has a permit.
void gathering_scheduler::block(group& g, member& m, held_lock& lock) {
  constexpr std::chrono::milliseconds look{100};
  call& c = m.own;
  const auto bytes = c.cost->result_bytes;
  auto end = outcome::done;
  m.blocked = true;
  waiting_bytes_ += bytes;
  ++blocked_;
  while (!m.is_over() && !m.woken && end == outcome::done) {
    const auto now = clock::now();
    m.changed.wait_until(lock, m.is_begun() ? now + look : std::min(now + look, c.context.deadline));
    if (m.is_over() || m.woken || m.is_begun()) continue;
    if (m.is_late())
      end = outcome::expired;
    else if (c.request.gone && c.request.gone())
      end = outcome::gone;
  }
  m.blocked = false;
  waiting_bytes_ -= bytes;
  --blocked_;
  if (end == outcome::done) {
    lock.unlock();
    end = c.permit->acquire();
    lock.lock();
  }
  if (std::exchange(m.woken, false)) g.woken = false;
  if (end != outcome::done) leave(g, m, lock, end);
  if (m.is_begun()) wake_one(g);  // another took its rows while it waited for a permit
}

// The rows that are in no batch are dropped. Throws http_error.
void gathering_scheduler::leave(group& g, member& m, held_lock& lock, outcome end) {
  g.waiting.remove(&m);
  m.rows = m.begun;
  wake_one(g);
  m.changed.wait(lock, [&] { return m.open == 0; });
  m.own.check_turn(end);
  m.own.fail_late();
}

void gathering_scheduler::run_batch(group& g, member& leader, held_lock& lock) {
  batch b = take(g, leader);
  if (b.parts.empty()) return;
  ++g.running;
  wake_one(g);
  lock.unlock();
  compute_batch(b, leader);
  lock.lock();
  --g.running;
  settle(g, b);
  wake_one(g);
  if (blocked_ > 0) wake_others(&g);
}

// From the front of what waits, but for calls that end by themselves: late ones, and those whose client has disconnected.
gathering_scheduler::batch gathering_scheduler::take(group& g, const member& leader) {
  const auto ends = [&](const member* m) {
    return m->is_late() || (m != &leader && m->own.request.gone && m->own.request.gone());
  };
  std::list<member*> ending;
  for (auto it = g.waiting.begin(); it != g.waiting.end();) {
    const auto at = it++;
    if (ends(*at)) ending.splice(ending.end(), g.waiting, at);
  }
  batch b;
  const auto waiting = parts_of(g);
  auto left = waiting.empty() ? 0 : rows_of_batch(waiting, terms_of(g));
  while (left > 0) {
    member& m = *g.waiting.front();
    const auto rows = std::min(left, m.rows - m.begun);
    if (m.begun == 0) m.own.ends(stage::queue);
    b.of.push_back(&m);
    b.parts.push_back({&m.own, m.begun, m.begun + rows});
    ++m.open;
    m.begun += rows;
    left -= rows;
    if (m.is_begun()) g.waiting.pop_front();
  }
  g.waiting.splice(g.waiting.end(), ending);
  return b;
}

// As one. Without results: one of the calls fails, or the leader's is cancelled, and each is to have its own error.
void gathering_scheduler::compute_batch(batch& b, const member& leader) const {
  member& first = *b.of[0];
  const call& c = first.own;
  std::int64_t rows = 0;
  for (const auto& p : b.parts) rows += p.rows();
  try {
    if (b.parts.size() == 1 && rows == rows_to_join(c)) {
      auto done = serving::compute(first.own, std::move(first.where));
      first.where = std::move(done.where);
      b.results.push_back(std::move(done.results));
    } else {
      b.results = compute_joint(b.parts, *first.where.decided);
    }
    report(c, c.context.where, rows);
  } catch (...) {
    b.results.clear();
    if (b.parts.size() == 1 && &first == &leader && rows == first.rows) first.error = std::current_exception();
  }
}

void gathering_scheduler::settle(group& g, batch& b) {
  for (std::size_t i = 0; i < b.parts.size(); ++i) {
    member& m = *b.of[i];
    --m.open;
    if (b.results.empty()) {
      m.failed = true;
      m.begun = m.rows;
      g.waiting.remove(&m);
    } else {
      m.done += b.parts[i].rows();
      m.pieces.push_back({b.parts[i].begin, std::move(b.results[i])});
      m.where.gathered = std::max(m.where.gathered, static_cast<int>(b.parts.size()));
    }
    if (m.open == 0) m.changed.notify_one();
  }
}

call_result gathering_scheduler::result_of(member& m) {
  call& c = m.own;
  std::sort(m.pieces.begin(), m.pieces.end(), [](const piece& a, const piece& b) { return a.begin < b.begin; });
  std::vector<std::vector<tensor>> parts;
  for (auto& p : m.pieces) parts.push_back(std::move(p.results));
  call_result done{parts.size() == 1 ? std::move(parts[0]) : concatenated(parts), std::move(m.where)};
  if (c.row.finish || !c.expects(done.results)) check_run_results(c.row, specs_of(done.results), c.limits);
  done.where.precision = c.context.precision;
  return done;
}

void gathering_scheduler::report(const call& c, const device& where, std::int64_t rows) const {
  if (!on_batch) return;
  const auto most = is_split(c.row, rows) ? c.row.gather.limit : rows;
  for (std::int64_t at = 0; at < rows; at += most) on_batch(c.row, where, std::min(most, rows - at));
}

std::vector<waiting_part> gathering_scheduler::parts_of(const group& g) const {
  std::vector<waiting_part> parts;
  parts.reserve(g.waiting.size());
  for (const auto* m : g.waiting)
    parts.push_back({.rows = m->rows - m->begun,
                     .result_bytes = m->own.cost->result_bytes,
                     .deadline = m->own.context.deadline,
                     .may_split = is_split(m->own.row, rows_to_join(m->own))});
  return parts;
}

batch_terms gathering_scheduler::terms_of(const group& g) const {
  const call& c = g.like();
  batch_terms terms{.rule = c.row.gather, .where = c.context.where, .result_bytes = c.limits.result_bytes};
  if (is_on_cpu(c)) terms.enough = share_of(g, coming(g));
  return terms;
}

// Calls that are being decoded, and those that are the next to be.
int gathering_scheduler::coming(const group& g) const {
  const void* kind = kind_of(g.like().row);
  const auto it = coming_.find(kind);
  return (it == coming_.end() ? 0 : it->second) + queue_->next_of(kind);
}

// What each worker would have of them and of those that wait: those that compute are free soon, and a batch that left them
// nothing would take longer than all of them together.
int gathering_scheduler::share_of(const group& g, int coming) const {
  const int workers = queue_->workers();
  return (static_cast<int>(g.waiting.size()) + coming + workers - 1) / workers;
}

bool gathering_scheduler::may_begin(const group& g) const {
  if (!is_on_cpu(g.like())) return g.running == 0 || may_overlap(g);
  const int more = coming(g);
  if (more == 0) return true;
  const int wanted = share_of(g, more) - static_cast<int>(g.waiting.size());
  return wanted <= 0 || !is_worth_waiting(parts_of(g), wanted, terms_of(g));
}

// A second batch of half of all there is: its inputs travel, and its caller wakes up, while the first is computed. Not while
// others wait for a worker, which it would keep from them: they could join. Measured batches alone: their endpoint expects
// that.
bool gathering_scheduler::may_overlap(const group& g) const {
  const endpoint& row = g.like().row;
  if (g.running != 1 || !row.gather.seconds || queue_->next_of(kind_of(row)) > 0) return false;
  std::int64_t all = 0, waiting = 0;
  for (const auto* m : g.members) all += m->rows - m->done;
  for (const auto* m : g.waiting) waiting += m->rows - m->begun;
  return 2 * waiting >= all;
}

void gathering_scheduler::wake_one(group& g) {
  if (g.woken || g.waiting.empty()) return;
  const auto it = std::find_if(g.waiting.begin(), g.waiting.end(), [](const member* m) { return m->blocked; });
  if (it == g.waiting.end() || !may_begin(g)) return;
  (*it)->woken = g.woken = true;
  (*it)->changed.notify_one();
}

// On the CPU: what they wait for may have come to another group, or a worker may compute no more.
void gathering_scheduler::wake_others(const group* but) {
  for (auto& g : groups_)
    if (&g != but && is_on_cpu(g.like())) wake_one(g);
}

int gathering_scheduler::waiting() const {
  const held_lock lock(mutex_);
  std::size_t n = 0;
  for (const auto& g : groups_)
    n += static_cast<std::size_t>(
        std::count_if(g.waiting.begin(), g.waiting.end(), [](const member* m) { return m->blocked && !m->woken; }));
  return static_cast<int>(n);
}

}  // namespace sluice::serving

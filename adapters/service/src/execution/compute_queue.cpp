#include "execution/compute_queue.hpp"

#include <algorithm>
#include <cmath>

#include "sluice/parallel.hpp"

namespace sluice::serving {
namespace {

constexpr int first_turn = 0;  // of a job that has begun, before all others
constexpr auto never = compute_queue::clock::time_point::max();
double seconds_between(compute_queue::clock::time_point a, compute_queue::clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

compute_queue::compute_queue(int count, int queue_length, int nice)
    : count_(count),
      queue_length_(queue_length),
      workers_({.name = "sluice-compute", .count = count + queue_length, .nice = nice}, [this] { serve(); }) {}

compute_queue::~compute_queue() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wanted_.notify_all();
  workers_.join();
}

compute_queue::outcome compute_queue::run(const terms& t, const std::function<void()>& work) {
  return run(t, [&](permit&) { work(); });
}

compute_queue::outcome compute_queue::run(const terms& t, const std::function<void(permit&)>& work) {
  job j{.asked = t, .work = work, .turn = turn_of(t.priority)};
  const auto waiting = t.begin_wait ? t.begin_wait() : nullptr;
  if (t.begin_wait && !waiting) return outcome::full;
  {
    std::unique_lock lock(mutex_);
    if (!t.bypass_queue_limit && admitted() >= count_ + queue_length_) return outcome::full;
    const int active = workers_.size() - parked_;
    if (idle_ <= static_cast<int>(queue_.size()) && active < count_ && !start_worker() && active == 0) {
      begin(j);  // no thread to be had: the caller does the work
      lock.unlock();
      const outcome end = run_on_worker(j);
      lock.lock();
      end_turn(j, end);
      if (has_next()) wanted_.notify_one();
      if (j.error) std::rethrow_exception(j.error);
      return end;
    }
    enqueue(j);
  }
  wanted_.notify_one();
  const outcome end = wait_for(j);
  if (j.error && end == outcome::done) std::rethrow_exception(j.error);
  return end;
}

// Until the job is done. One that nobody waits for any more is withdrawn from the queue, or cancelled.
compute_queue::outcome compute_queue::wait_for(job& j) {
  constexpr std::chrono::milliseconds look{100};
  auto dropped = outcome::done;
  std::unique_lock own(j.mutex);
  const auto ended = [&] { return j.end.has_value(); };
  while (!j.changed.wait_until(own, std::min(clock::now() + look, dropped == outcome::done ? j.asked.deadline : never),
                               ended)) {
    if (dropped != outcome::done) continue;
    const bool late = clock::now() >= j.asked.deadline;
    if (!late && !(j.asked.gone && j.asked.gone())) continue;
    dropped = late ? outcome::expired : outcome::gone;
    own.unlock();
    if (withdraw(j)) return dropped;
    j.cancelled = true;
    own.lock();
  }
  return dropped == outcome::done ? *j.end : dropped;
}

// False if the job has begun.
bool compute_queue::withdraw(job& j) {
  const std::lock_guard lock(mutex_);
  if (!j.waiting || j.has_begun) return false;
  queue_.remove(&j);
  resume_next();  // a worker that woke for this job may have left it the turn
  if (has_next()) wanted_.notify_one();
  return true;
}

// Behind all jobs of the same turn.
void compute_queue::enqueue(job& j) {
  const auto behind = std::find_if(queue_.begin(), queue_.end(), [&](const job* other) { return other->turn > j.turn; });
  queue_.insert(behind, &j);
  j.waiting = true;
}

bool compute_queue::start_worker() {
  if (!workers_.start_one()) return false;
  ++idle_;
  return true;
}

// Whether a worker without a job may take the first.
bool compute_queue::has_next() const { return has_free_permit() && !queue_.empty() && !queue_.front()->has_begun; }

void compute_queue::begin(job& j) {
  if (const auto it = std::find(queue_.begin(), queue_.end(), &j); it != queue_.end()) queue_.erase(it);
  working_.push_back(&j);
  j.waiting = false;
  j.since = clock::now();
}

void compute_queue::stop(job& j) {
  working_.remove(&j);
  j.seconds += std::chrono::duration<double>(clock::now() - j.since).count();
}

// Gives free permits to the workers whose turn is next.
void compute_queue::resume_next() {
  while (has_free_permit() && !queue_.empty() && queue_.front()->has_begun) {
    job& j = *queue_.front();
    begin(j);
    --parked_;
    j.resumed.notify_one();
  }
}

void compute_queue::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [&] { return ending_ || has_next(); });
    if (!has_next()) return;
    --idle_;
    job& j = *queue_.front();
    begin(j);
    resume_next();
    lock.unlock();
    const outcome end = run_on_worker(j);
    lock.lock();
    ++idle_;
    end_turn(j, end);
    lock.unlock();
    {
      const std::lock_guard own(j.mutex);
      j.end = end;
      j.changed.notify_one();
    }  // `j` is the caller's, and may be destroyed from here on
    lock.lock();
  }
}

// Of a job that has run: others take its turn.
void compute_queue::end_turn(job& j, outcome end) {
  if (j.waiting) {  // its permit was not acquired again
    --parked_;
    --released_;
  } else {
    stop(j);
  }
  if (end == outcome::done) count_end(j);
  resume_next();
}

// While others wait, the times from end to end are the rate at which the queue moves on, whatever the workers share.
void compute_queue::count_end(const job& j) {
  const auto add = [](double& mean, double latest) { mean = mean == 0 ? latest : mean + (latest - mean) / 8; };
  const auto now = clock::now();
  add(usual_, j.seconds);
  if (last_end_ != clock::time_point{}) add(interval_, seconds_between(last_end_, now));
  last_end_ = queue_.empty() ? clock::time_point{} : now;
}

// Does the work, unless it is too late or its client has disconnected.
compute_queue::outcome compute_queue::run_on_worker(job& j) {
  if (j.since >= j.asked.deadline) return outcome::expired;
  try {
    if (j.asked.gone && j.asked.gone()) return outcome::gone;
    j.has_begun = true;
    permit own(*this, j);
    const parallel_cancellation scope(j.cancelled);
    j.work(own);
  } catch (...) {
    j.error = std::current_exception();
  }
  return outcome::done;
}

// Has the job's worker hold no permit. False: no other thread can be had to use it, so the job keeps it.
bool compute_queue::lend(job& j) {
  if (idle_ == 0 && !start_worker()) return false;
  stop(j);
  j.waiting = true;
  ++parked_;
  return true;
}

// Waits in the queue until the job has a permit.
compute_queue::outcome compute_queue::resume(job& j, std::unique_lock<std::mutex>& lock) {
  enqueue(j);
  resume_next();
  if (has_next()) wanted_.notify_one();
  const auto there = [&] { return !j.waiting; };
  if (j.asked.deadline == clock::time_point::max()) {
    j.resumed.wait(lock, there);
  } else if (!j.resumed.wait_until(lock, j.asked.deadline, there)) {
    queue_.remove(&j);
    ++released_;
    return outcome::expired;
  }
  lock.unlock();
  return j.asked.gone && j.asked.gone() ? outcome::gone : outcome::done;
}

bool compute_queue::permit::release() {
  const std::lock_guard lock(queue_.mutex_);
  if (job_.waiting) return true;
  if (!queue_.lend(job_)) return false;
  ++queue_.released_;
  queue_.resume_next();
  if (queue_.has_next()) queue_.wanted_.notify_one();
  return true;
}

compute_queue::outcome compute_queue::permit::acquire() {
  std::unique_lock lock(queue_.mutex_);
  if (!job_.waiting) return outcome::done;
  --queue_.released_;
  job_.turn = first_turn;
  return queue_.resume(job_, lock);
}

compute_queue::outcome compute_queue::permit::requeue(int priority) {
  std::unique_lock lock(queue_.mutex_);
  const int turn = turn_of(priority);
  const bool none_before = queue_.queue_.empty() || queue_.queue_.front()->turn > turn;
  if (turn <= job_.turn || none_before || !queue_.lend(job_)) return outcome::done;
  job_.turn = turn;
  return queue_.resume(job_, lock);
}

int compute_queue::seconds_to_wait() const {
  const std::lock_guard lock(mutex_);
  const double each = interval_ > 0 ? interval_ : usual_ / count_;
  // A job that has run for long is expected to take as long again.
  double longest = 0;
  for (const job* j : working_) longest = std::max(longest, seconds_between(j->since, clock::now()));
  const double all = each * static_cast<double>(queue_.size() + 1) + std::max(0.0, longest - usual_);
  return static_cast<int>(std::clamp(std::ceil(all), 1.0, 3600.0));
}

int compute_queue::admitted() const { return static_cast<int>(working_.size() + queue_.size()) + released_; }

bool compute_queue::has_place_for(int count) const {
  const std::lock_guard lock(mutex_);
  return admitted() + count <= count_ + queue_length_;
}

compute_queue::counts compute_queue::now() const {
  const std::lock_guard lock(mutex_);
  const int here = static_cast<int>(working_.size() + queue_.size());  // a worker may not have taken the latest yet
  return {std::max(0, count_ - here), std::max(0, here - count_)};
}

int compute_queue::next_of(const void* kind) const {
  const std::lock_guard lock(mutex_);
  int n = 0;
  for (const job* j : queue_) {
    if (j->has_begun) continue;
    if (j->asked.kind != kind) break;
    ++n;
  }
  return n;
}

}  // namespace sluice::serving

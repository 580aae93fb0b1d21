#include "execution/compute_queue.hpp"

#include <algorithm>
#include <cmath>
#include <system_error>

#include "execution/background.hpp"

namespace sluice::serving {
namespace {

int turn_of(int priority) { return priority == 0 ? 3 : 2 * std::min(priority, 1'000'000); }

}  // namespace

compute_queue::~compute_queue() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wanted_.notify_all();
  for (auto& t : threads_) t.join();
}

compute_queue::outcome compute_queue::run(const terms& t, const std::function<void()>& work) {
  job j{.asked = t, .work = work};
  {
    std::unique_lock lock(mutex_);
    if (!t.patient && static_cast<int>(working_.size() + queue_.size()) >= count_ + queue_length_) return outcome::full;
    if (idle_ <= static_cast<int>(queue_.size()) && threads_.size() < static_cast<std::size_t>(count_)) start_thread();
    if (threads_.empty()) {  // the system gives none
      lock.unlock();
      work();
      return outcome::done;
    }
    enqueue(j);
  }
  wanted_.notify_one();
  std::unique_lock own(j.mutex);
  const auto ended = [&] { return j.end.has_value(); };
  if (t.deadline != clock::time_point::max() && !j.changed.wait_until(own, t.deadline, ended)) {
    own.unlock();
    const std::lock_guard lock(mutex_);
    if (j.waiting) {
      queue_.remove(&j);
      return outcome::expired;
    }
    own.lock();
  }
  j.changed.wait(own, ended);
  if (j.error) std::rethrow_exception(j.error);
  return *j.end;
}

// Behind all that have no later turn.
void compute_queue::enqueue(job& j) {
  const auto behind = std::find_if(queue_.begin(), queue_.end(), [&](const job* other) {
    return turn_of(other->asked.priority) > turn_of(j.asked.priority);
  });
  queue_.insert(behind, &j);
}

void compute_queue::start_thread() try {
  threads_.push_back(background(nice_, [this] { serve(); }));
  ++idle_;
} catch (const std::system_error&) {  // those that there are do the work
}

void compute_queue::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    --idle_;
    job& j = *queue_.front();
    working_.splice(working_.end(), queue_, queue_.begin());
    const auto here = std::prev(working_.end());
    j.waiting = false;
    j.begun = clock::now();
    lock.unlock();
    const outcome end = settle(j);
    const double seconds = std::chrono::duration<double>(clock::now() - j.begun).count();
    lock.lock();
    if (end == outcome::done && !j.asked.patient) usual_ = usual_ == 0 ? seconds : usual_ + (seconds - usual_) / 8;
    working_.erase(here);
    ++idle_;
    lock.unlock();
    {
      const std::lock_guard own(j.mutex);
      j.end = end;
      j.changed.notify_one();
    }  // `j` is the caller's, and gone from here on
    lock.lock();
  }
}

// Does the work, unless nobody wants it any more.
compute_queue::outcome compute_queue::settle(job& j) {
  if (j.begun >= j.asked.deadline) return outcome::expired;
  try {
    if (j.asked.gone && j.asked.gone()) return outcome::gone;
    j.work();
  } catch (...) {
    j.error = std::current_exception();
  }
  return outcome::done;
}

int compute_queue::seconds_to_wait() const {
  const std::lock_guard lock(mutex_);
  double each = usual_;
  for (const job* j : working_) each = std::max(each, std::chrono::duration<double>(clock::now() - j->begun).count());
  const double all = each * static_cast<double>(queue_.size() + 1) / count_;
  return static_cast<int>(std::clamp(std::ceil(all), 1.0, 3600.0));
}

compute_queue::counts compute_queue::now() const {
  const std::lock_guard lock(mutex_);
  const int here = static_cast<int>(working_.size() + queue_.size());  // a thread may be on its way to the latest
  return {std::max(0, count_ - here), std::max(0, here - count_)};
}

}  // namespace sluice::serving

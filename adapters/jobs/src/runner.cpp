#include "runner.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/text.hpp"
#include "http/trace.hpp"
#include "sluice/npy.hpp"

namespace sluice::serving::jobs {
namespace {

constexpr double progress_interval = 0.2;  // seconds between events of a job

double now_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// What an older release left is started over: nobody is there to say so.
template <class Run>
pipeline_summary resumed(pipeline_options options, Run&& run) try {
  return run(options);
} catch (const error& e) {
  if (e.code() != error_code::unsupported) throw;
  options.resume = resume::never;
  return run(options);
}

[[noreturn]] void fail_unknown(std::string_view id) {
  throw http_error{404, "not_found", fmt::format("[jobs] there is no job {}", shown(id))};
}

}  // namespace

runner::runner(const job_options& o, const service_options& of_service)
    : options_(o),
      service_(of_service),
      files_(o.data_directories),
      folder_(o.folder),
      store_(open_store(folder_.database())),
      workers_({.name = "sluice-jobs", .count = o.running, .nice = of_service.compute_nice}, [this] { serve(); }) {
  for (auto& j : store_->load()) take_up(std::move(j));
  make_room();
  folder_.sweep([&](const std::string& id) {
    return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& e) { return e.second->now.id == id; });
  });
  const std::lock_guard lock(mutex_);
  for (int i = std::min(o.running, queue_length()); i > 0; --i) start_worker();
}

runner::~runner() {
  drain();
  workers_.join();
}

// A job as the previous process left it.
void runner::take_up(job j) {
  auto e = std::make_shared<entry>();
  if (!has_ended(j.state)) {
    j.next_run();
    // The last step of a job renames its result: a kill after it leaves only the state to update.
    const bool whole = j.state == state::running && folder::open(folder_.result(j.id));
    j.state = whole ? state::done : state::queued;
    j.seconds_left = whole ? 0 : -1;
    if (whole) j.ended = now_seconds();
    if (whole) j.bytes = j.bytes_total, j.rows = j.rows_total;
    store_->update(j);
  }
  const auto number = j.number;
  e->now = std::move(j);
  jobs_.emplace(number, std::move(e));
}

job runner::submit(order o) {
  auto e = std::make_shared<entry>();
  e->now.asked = std::move(o);
  e->now.id = request_id({});
  e->now.created = now_seconds();
  files_.inspect(e->now, service_.limits.elements);
  const std::lock_guard lock(mutex_);
  if (queue_length() >= options_.queued + std::max(0, options_.running - workers_.size() + idle_))
    throw http_error{429,
                     "busy",
                     fmt::format("[jobs] {} jobs wait, the most allowed: retry later", queue_length()),
                     {{"Retry-After", std::to_string(seconds_to_wait())}}};
  if (idle_ <= queue_length() && workers_.size() < options_.running) start_worker();
  store_->add(e->now);
  jobs_.emplace(e->now.number, e);
  changed_.notify_all();
  return e->now;
}

std::vector<job> runner::list(std::size_t most) const {
  const std::lock_guard lock(mutex_);
  std::vector<job> all;
  for (auto it = jobs_.rbegin(); it != jobs_.rend() && all.size() < most; ++it) all.push_back(it->second->now);
  return all;
}

const std::shared_ptr<runner::entry>& runner::at(const std::string& id) const {
  const auto it = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& e) { return e.second->now.id == id; });
  if (it == jobs_.end()) fail_unknown(id);
  return it->second;
}

job runner::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return at(id)->now;
}

std::optional<job> runner::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto e = at(id);
  if (has_ended(e->now.state)) {
    store_->remove(e->now.number);
    folder_.remove_files(id);
    jobs_.erase(e->now.number);
    changed_.notify_all();
    return std::nullopt;
  }
  e->cancelled = true;
  if (e->now.state == state::running)
    e->stop.request_stop();
  else
    ends(*e, state::cancelled, {}, {});
  return e->now;
}

base::file_descriptor runner::open_result(const std::string& id, bool totals) const {
  const auto j = find(id);
  if (j.state != state::done)
    throw http_error{
        409, "not_done",
        fmt::format("[jobs] job {} {}", id,
                    has_ended(j.state) ? fmt::format("is {}: it has no result", name_of(j.state))
                                       : fmt::format("is {}: its result exists once it is done", name_of(j.state)))};
  if (totals && !j.asked.column_totals)
    throw http_error{404, "not_found", fmt::format("[jobs] job {} was not asked for column totals", id)};
  auto file = folder::open(totals ? folder_.totals(id) : folder_.result(id));
  if (!file) throw error(error_code::io, fmt::format("[jobs] the result of job {} cannot be opened", id));
  return file;
}

std::optional<job> runner::wait(const std::string& id, std::int64_t event, double most) const {
  std::unique_lock lock(mutex_);
  const auto there = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& e) { return e.second->now.id == id; });
  if (there == jobs_.end()) return std::nullopt;
  const auto e = there->second;
  const auto removed = [&] { return !jobs_.contains(e->now.number); };
  changed_.wait_for(lock, std::chrono::duration<double>(most), [&] { return e->now.event > event || ending_ || removed(); });
  if (ending_ || removed()) return std::nullopt;
  return e->now;
}

std::shared_ptr<void> runner::take_event_stream() {
  const bool free = ++*streams_ <= options_.event_streams;
  auto taken = std::shared_ptr<void>(streams_.get(), [counted = streams_](void*) { --*counted; });
  return free ? taken : nullptr;
}

void runner::drain() noexcept {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  for (const auto& [number, e] : jobs_) e->stop.request_stop();
  changed_.notify_all();
}

// Removes the oldest ended jobs beyond the number that is kept.
void runner::make_room() {
  std::vector<std::pair<double, std::int64_t>> over;
  for (const auto& [number, e] : jobs_)
    if (has_ended(e->now.state)) over.emplace_back(e->now.ended, number);
  std::sort(over.begin(), over.end());
  for (std::size_t i = 0; i + static_cast<std::size_t>(options_.kept) < over.size(); ++i) {
    const auto it = jobs_.find(over[i].second);
    store_->remove(it->first);
    folder_.remove_files(it->second->now.id);
    jobs_.erase(it);
  }
}

void runner::start_worker() {
  if (workers_.start_one())
    ++idle_;
  else if (workers_.size() == 0)
    throw error(error_code::unavailable, "[jobs] the system gives no thread to run a job on");
}

std::shared_ptr<runner::entry> runner::next_queued() const {
  for (const auto& [number, e] : jobs_)
    if (e->now.state == state::queued) return e;
  return nullptr;
}

void runner::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::shared_ptr<entry> next;
    changed_.wait(lock, [&] { return ending_ || (next = next_queued()) != nullptr; });
    if (ending_) return;
    --idle_;
    work_on(*next, lock);
    ++idle_;
  }
}

void runner::work_on(entry& e, std::unique_lock<std::mutex>& lock) {
  e.now.state = state::running;
  e.counted = -1;
  ++e.now.event;
  keep(e.now);
  changed_.notify_all();
  const job asked = e.now;
  const auto& wanted = service_.device;
  pipeline_options o{.where = !wanted.is_preferred() ? wanted.where : place(work{}, wanted).where,
                     .progress = [&](const pipeline_progress& p) { progress(e, p); },
                     .progress_interval = progress_interval,
                     .cancel = e.stop.get_token(),
                     .sync_interval = options_.sync_seconds,
                     .column_totals = asked.asked.column_totals ? folder_.totals(asked.id) : std::string()};
  state end = state::failed;
  std::string_view code;
  std::string detail;
  lock.unlock();
  try {
    const auto done = compute(asked, o);
    end = state::done;
    lock.lock();
    worked_bytes_ += done.bytes - std::max<std::int64_t>(0, e.counted);
    e.now.resumed_bytes = done.resumed_bytes;
    lock.unlock();
  } catch (const http_error& r) {
    code = r.code, detail = r.detail;
  } catch (const error& x) {
    end = x.code() == error_code::cancelled ? state::cancelled : state::failed;
    code = sluice::name_of(x.code()), detail = folder_.without_path(x.what());
  } catch (const std::bad_alloc&) {
    code = sluice::name_of(error_code::out_of_memory);
  } catch (...) {
    code = sluice::name_of(error_code::internal), detail = "[jobs] the job failed";
  }
  lock.lock();
  if (end == state::cancelled && !e.cancelled) return interrupted(e);
  ends(e, end, end == state::failed ? code : std::string_view{}, end == state::failed ? detail : std::string());
}

pipeline_summary runner::compute(const job& j, const pipeline_options& options) const {
  const auto in = files_.open_input(j.asked);
  folder::make_private(folder_.result(j.id));
  if (!options.column_totals.empty()) folder::make_private(options.column_totals);
  if (j.asked.operation == "rowsum")
    return resumed(options, [&](const auto& o) { return rowsum_file(in, folder_.result(j.id), o); });
  const auto p = precision_named(j.asked.precision).options.value_or(precision::strict);
  const auto b = files_.open_operand(j.asked);
  tensor resident({b.rows(), b.columns()}, b.dtype());
  b.read_rows(0, resident);
  b.check_unchanged();
  return resumed(options, [&](const auto& o) { return matmul_file(in, resident, folder_.result(j.id), o, p); });
}

void runner::progress(entry& e, const pipeline_progress& p) {
  const std::lock_guard lock(mutex_);
  auto& j = e.now;
  // The first report may include bytes of an earlier run: bytes until then are counted at the end.
  if (e.counted >= 0) worked_bytes_ += p.bytes_done - j.bytes, e.counted += p.bytes_done - j.bytes;
  e.counted = std::max<std::int64_t>(0, e.counted);
  j.bytes_total = p.bytes_total;
  j.bytes = p.bytes_done;
  j.rows = p.rows_done;
  j.bytes_per_second = p.bytes_per_second;
  j.seconds = p.seconds;
  j.seconds_left = p.seconds_left;
  ++j.event;
  changed_.notify_all();
}

void runner::ends(entry& e, state s, std::string_view code, const std::string& detail) {
  e.now.state = s;
  e.now.code = code;
  e.now.detail = detail;
  e.now.seconds_left = s == state::done ? 0 : -1;
  e.now.ended = now_seconds();
  ++e.now.event;
  if (s != state::done) folder_.remove_files(e.now.id);
  keep(e.now);
  try {
    make_room();
  } catch (const error&) {  // of the store: the next end of a job tries again
  }
  changed_.notify_all();
}

// By a drain: the next process resumes it.
void runner::interrupted(entry& e) {
  e.now.state = state::queued;
  ++e.now.event;
  keep(e.now);
  changed_.notify_all();
}

// A state that cannot be stored (the disk is full) costs the next process a repetition.
void runner::keep(const job& j) noexcept try { store_->update(j); } catch (...) {
}

int runner::queue_length() const {
  return static_cast<int>(
      std::count_if(jobs_.begin(), jobs_.end(), [](const auto& e) { return e.second->now.state == state::queued; }));
}

// Until the first running job should be done.
int runner::seconds_to_wait() const {
  double least = 3600;
  for (const auto& [number, e] : jobs_)
    if (e->now.state == state::running && e->now.seconds_left >= 0) least = std::min(least, e->now.seconds_left);
  return static_cast<int>(std::clamp(std::ceil(least < 3600 ? least : 10), 1.0, 3600.0));
}

void runner::print_metrics(std::string& out) const {
  std::map<state, int> count;
  std::int64_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, e] : jobs_) ++count[e->now.state];
    bytes = worked_bytes_;
  }
  out += "# HELP sluice_jobs Jobs that are kept, by state.\n# TYPE sluice_jobs gauge\n";
  for (const auto s : {state::queued, state::running, state::done, state::failed, state::cancelled})
    out += fmt::format("sluice_jobs{{state=\"{}\"}} {}\n", name_of(s), count[s]);
  out += fmt::format(
      "# HELP sluice_job_bytes_total Bytes of files that jobs have processed.\n# TYPE sluice_job_bytes_total counter\n"
      "sluice_job_bytes_total {}\n"
      "# HELP sluice_job_event_streams Streams of jobs' events that are open.\n# TYPE sluice_job_event_streams gauge\n"
      "sluice_job_event_streams {}\n",
      bytes, streams_->load());
}

}  // namespace sluice::serving::jobs

#include "runner.hpp"

#include <algorithm>
#include <cmath>
#include <system_error>

#include <fmt/format.h>

#include "execution/background.hpp"
#include "sluice/npy.hpp"
#include "http/http_error.hpp"
#include "http/text.hpp"
#include "http/trace.hpp"

namespace sluice::serving::jobs {
namespace {

constexpr double progress_interval = 0.2;  // seconds between events of a job

double now_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::map<std::string, data_directories> opened(const std::map<std::string, std::string>& named) {
  std::map<std::string, data_directories> all;
  for (const auto& [name, path] : named) {
    if (name.empty() || name.find('/') != name.npos)
      throw error(error_code::invalid_argument,
                  fmt::format("[service] data_directories has the name {}: it must have a character, and no '/'",
                              json_string(name)));
    all.emplace(name, data_directories({path}));
  }
  return all;
}

[[noreturn]] void fail_unknown(std::string_view id) {
  throw http_error{404, "not_found", fmt::format("[jobs] there is no job {}", shown(id))};
}

}  // namespace

runner::runner(const service_options& o)
    : options_(o), data_(opened(o.data_directories)), folder_(o.jobs.folder), store_(open_store(folder_.database())) {
  for (auto& j : store_->load()) take_up(std::move(j));
  make_room();
  folder_.sweep([&](const std::string& id) {
    return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& e) { return e.second->now.id == id; });
  });
  const std::lock_guard lock(mutex_);  // the first thread is at work while the next is started
  for (int i = std::min(o.jobs.running, queue_length()); i > 0; --i) start_thread();
}

runner::~runner() {
  drain();
  for (auto& t : threads_) t.join();
}

// As the process before left it.
void runner::take_up(job j) {
  auto e = std::make_shared<entry>();
  if (!has_ended(j.state)) {
    j.next_run();
    // The result's last step is its name: a kill behind it leaves nothing to be done but to say so.
    const bool whole = j.state == state::running && folder::open(folder_.result(j.id)).get() >= 0;
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

file_stream runner::open(const order& o, const std::string& input, bool whole_npy) const {
  const auto slash = std::min(input.find('/'), input.size());
  const auto found = data_.find(input.substr(0, slash));
  if (found == data_.end())
    throw http_error{404, "not_found", fmt::format("[jobs] there is no data directory {}", shown(input.substr(0, slash)))};
  const auto file = found->second.open(std::string_view(input).substr(std::min(slash + 1, input.size())));
  file_stream_options options;
  if (!whole_npy) {
    options.columns = o.columns;
    options.byte_offset = o.offset;
    if (!o.dtype.empty()) options.dtype = parse_dtype(o.dtype);
  }
  return file_stream::opened(file.get(), options, input);
}

// Refuses at once what could only fail later, and learns how large it is.
void runner::inspect(job& j) const {
  const auto in = open(j.asked, j.asked.input, false);
  j.asked.columns = in.columns();
  j.asked.dtype = name_of(in.dtype());
  j.bytes_total = in.bytes();
  j.rows_total = in.rows();
  if (j.asked.operand.empty()) return;
  const auto b = open(j.asked, j.asked.operand, true);
  const std::int64_t elements = checked_product(b.rows(), b.columns());
  if (elements > options_.limits.elements)
    throw error(error_code::limit_exceeded, fmt::format("[jobs] {} has {} elements: an operand may have {}", j.asked.operand,
                                                        elements, options_.limits.elements));
  if (b.shape().rank() != 2 || b.rows() != in.columns() || b.dtype() != in.dtype())
    throw error(error_code::invalid_argument,
                fmt::format("[jobs] {} is {} of {}, {} is {} of {}: the operand must be ({}, n) of {}", j.asked.input,
                            in.shape().str(), name_of(in.dtype()), j.asked.operand, b.shape().str(), name_of(b.dtype()),
                            in.columns(), name_of(in.dtype())));
}

job runner::submit(order o) {
  auto e = std::make_shared<entry>();
  e->now.asked = std::move(o);
  e->now.id = request_id({});
  e->now.created = now_seconds();
  inspect(e->now);
  const std::lock_guard lock(mutex_);
  if (queue_length() >=
      options_.jobs.queued + std::max(0, options_.jobs.running - static_cast<int>(threads_.size()) + idle_))
    throw http_error{429,
                  "busy",
                  fmt::format("[jobs] {} jobs wait, and no more may: try again", queue_length()),
                  {{"Retry-After", std::to_string(seconds_to_wait())}}};
  if (idle_ <= queue_length() && static_cast<int>(threads_.size()) < options_.jobs.running) start_thread();
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

descriptor runner::open_result(const std::string& id, bool totals) const {
  const auto j = find(id);
  if (j.state != state::done)
    throw http_error{
        409, "not_done",
        fmt::format("[jobs] job {} {}", id,
                    has_ended(j.state) ? fmt::format("is {}: it has no result", name_of(j.state))
                                       : fmt::format("is {}: its result is there when it is done", name_of(j.state)))};
  if (totals && !j.asked.column_totals)
    throw http_error{404, "not_found", fmt::format("[jobs] job {} was not asked for column totals", id)};
  auto file = folder::open(totals ? folder_.totals(id) : folder_.result(id));
  if (file.get() < 0) throw error(error_code::io, fmt::format("[jobs] the result of job {} cannot be opened", id));
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
  const bool free = ++*streams_ <= options_.jobs.event_streams;
  auto seat = std::shared_ptr<void>(streams_.get(), [counted = streams_](void*) { --*counted; });
  return free ? seat : nullptr;
}

void runner::drain() noexcept {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  for (const auto& [number, e] : jobs_) e->stop.request_stop();
  changed_.notify_all();
}

// The oldest that have ended go, beyond the number that is kept.
void runner::make_room() {
  std::vector<std::pair<double, std::int64_t>> over;
  for (const auto& [number, e] : jobs_)
    if (has_ended(e->now.state)) over.emplace_back(e->now.ended, number);
  std::sort(over.begin(), over.end());
  for (std::size_t i = 0; i + static_cast<std::size_t>(options_.jobs.kept) < over.size(); ++i) {
    const auto it = jobs_.find(over[i].second);
    store_->remove(it->first);
    folder_.remove_files(it->second->now.id);
    jobs_.erase(it);
  }
}

void runner::start_thread() try {
  threads_.push_back(background(options_.compute_nice, [this] { serve(); }));
  ++idle_;
} catch (const std::system_error&) {
  if (threads_.empty()) throw error(error_code::unavailable, "[jobs] the system gives no thread to run a job on");
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
  pipeline_options o{.where = !options_.device.is_preferred() ? options_.device.where : place(work{}, options_.device).where,
                     .progress = [&](const pipeline_progress& p) { progress(e, p); },
                     .progress_interval = progress_interval,
                     .cancel = e.stop.get_token(),
                     .sync_interval = options_.jobs.sync_seconds,
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
  const auto in = open(j.asked, j.asked.input, false);
  if (j.asked.operation == "rowsum") return rowsum_file(in, folder_.result(j.id), options);
  const auto b = open(j.asked, j.asked.operand, true);
  tensor resident({b.rows(), b.columns()}, b.dtype());
  b.read_rows(0, resident);
  b.check_unchanged();
  return matmul_file(in, resident, folder_.result(j.id), options);
}

void runner::progress(entry& e, const pipeline_progress& p) {
  const std::lock_guard lock(mutex_);
  auto& j = e.now;
  // The first call may tell of bytes that a run before did: those until then count at the end.
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
  } catch (const error&) {  // of the store: there is room the next time
  }
  changed_.notify_all();
}

// By a drain: the next process goes on.
void runner::interrupted(entry& e) {
  e.now.state = state::queued;
  ++e.now.event;
  keep(e.now);
  changed_.notify_all();
}

// What the store cannot be told (its disk is full), the next process finds out by doing it again.
void runner::keep(const job& j) noexcept try { store_->update(j); } catch (...) {
}

int runner::queue_length() const {
  return static_cast<int>(
      std::count_if(jobs_.begin(), jobs_.end(), [](const auto& e) { return e.second->now.state == state::queued; }));
}

// Until one of those at work should be done.
int runner::seconds_to_wait() const {
  double least = 3600;
  for (const auto& [number, e] : jobs_)
    if (e->now.state == state::running && e->now.seconds_left >= 0) least = std::min(least, e->now.seconds_left);
  return static_cast<int>(std::clamp(std::ceil(least < 3600 ? least : 10), 1.0, 3600.0));
}

void runner::metrics_text(std::string& out) const {
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
      "# HELP sluice_job_bytes_total Bytes of files that jobs worked on.\n# TYPE sluice_job_bytes_total counter\n"
      "sluice_job_bytes_total {}\n"
      "# HELP sluice_job_event_streams Streams of jobs' events that are open.\n# TYPE sluice_job_event_streams gauge\n"
      "sluice_job_event_streams {}\n",
      bytes, streams_->load());
}

}  // namespace sluice::serving::jobs

#include "result_file.hpp"

#include <fmt/format.h>

#include "sluice/npy.hpp"
#include "source.hpp"

namespace sluice::files {
namespace {

constexpr std::size_t write_bytes = 256 << 10;  // at once: less would be a call of the system for each piece
constexpr double worth_keeping = 0.25;          // seconds of work that was not synced yet
constexpr std::int64_t most_piece_bytes = std::int64_t{1} << 31;  // that a journal is believed

job_lines job_of(const run_plan& plan) {
  const auto& in = plan.in;
  job_lines job{{"operation", plan.operation},
                {"input", in.source().fingerprint()},
                {"dtype", std::string(name_of(in.dtype()))},
                {"rows", std::to_string(in.rows())},
                {"columns", std::to_string(in.columns())},
                {"column_totals", plan.options.column_totals.empty() ? "no" : "yes"}};
  job.insert(job.end(), plan.more.begin(), plan.more.end());
  return job;
}

// A clock counts nanoseconds in 63 bits: who never wants a sync says infinity.
clock::duration sync_pause(double seconds) {
  constexpr double ages = 1e9;
  return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(std::min(ages, std::max(0.0, seconds))));
}

std::span<const std::byte> bytes_of(const tensor& t) { return {static_cast<const std::byte*>(t.data()), t.bytes()}; }

}  // namespace

result_file::result_file(const run_plan& plan, watch& w)
    : plan_(plan),
      watch_(w),
      cut_(plan.cut),
      job_(job_of(plan)),
      out_(plan.path, plan.operation, plan.in.source().files()),
      row_(is_floating(plan.type)) {
  const auto& totals_path = plan.options.column_totals;
  const bool lasts = plan.in.seekable();
  if (plan.options.resume == resume::required && !lasts)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} comes once: there is no going on with a run over it", plan.operation, plan.in.path()));
  if (!totals_path.empty()) totals_out_.emplace(totals_path, plan.operation, plan.in.source().files());
  const bool fresh = plan.options.resume == resume::never || !out_.journal();
  if (fresh && plan.options.resume == resume::required)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {}.journal is not there: there is no run to go on with", plan.operation, plan.path));
  if (totals_out_) totals_out_->start_again();
  if (fresh) {
    if (totals_out_) totals_.emplace(cut_, plan.in.dtype(), plan.operation);
    const std::string text = header(std::max<std::int64_t>(0, plan.in.rows()));
    out_.start_again();
    out_.write(0, std::as_bytes(std::span(text)));
    written_ = static_cast<std::int64_t>(text.size());
  } else {
    go_on(*out_.journal());
  }
  next_sync_ = clock::now() + sync_pause(plan.options.sync_interval);
  if (!lasts) next_sync_ = clock::time_point::max();
}

// The partial file is not to be written any more when out_ goes.
result_file::~result_file() {
  if (sync_.valid()) sync_.wait();
}

rowsum_operation::totals result_file::totals() const noexcept {
  using enum rowsum_operation::totals;
  return !totals_ ? none : column_totals::brought_by_pieces(cut_) ? by_piece : from_rows;
}

std::int64_t result_file::rows() const noexcept {
  return plan_.in.rows() >= 0 ? cut_.row(pieces_) : bytes_ / std::max<std::int64_t>(1, cut_.row_bytes());
}

std::string result_file::header(std::int64_t rows) const {
  shape extents = plan_.extents;
  if (extents.rank() > 0 && extents[0] < 0) extents[0] = rows;
  return npy_header_bytes(plan_.type, extents);
}

std::int64_t result_file::result_bytes(std::int64_t pieces) const {
  return static_cast<std::int64_t>(header(plan_.in.rows()).size()) + cut_.row(pieces) * plan_.row_bytes;
}

void result_file::go_on(const std::string& text) {
  const std::string path = plan_.path + ".journal";
  const journal j = journal::parse(text, path, plan_.operation);
  j.check_job(job_, path, plan_.operation);
  cut_.rows_per_piece = j.rows_per_piece;
  cut_.part_columns = j.part_columns;
  check_journal(j);
  if (totals_out_) totals_.emplace(cut_, plan_.in.dtype(), plan_.operation);
  const auto parts = static_cast<std::uint64_t>(j.pieces % cut_.parts_per_row());
  const std::size_t in_row = row_.state_words(parts);
  const std::size_t in_totals = totals_ ? totals_->state_words(j.pieces) : 0;
  if (j.sums.size() != in_row + in_totals)
    throw error(error_code::malformed, fmt::format("[{}] {} is harmed: it has {} sums, and {} belong there", plan_.operation,
                                                   path, j.sums.size(), in_row + in_totals));
  row_.restore(parts, std::span(j.sums).first(in_row));
  if (totals_) totals_->restore(j.pieces, std::span(j.sums).subspan(in_row));
  pieces_ = j.pieces;
  bytes_ = cut_.byte(j.pieces);
  written_ = j.bytes;
  lasting_ = true;
  watch_.go_on_from(bytes_);
  out_.go_on(j.bytes);
}

void result_file::check_journal(const journal& j) const {
  const auto refuse = [&](const std::string& why) {
    throw error(error_code::malformed, fmt::format("[{}] {}.journal is harmed: {}", plan_.operation, plan_.path, why));
  };
  const std::int64_t row = std::max<std::int64_t>(1, cut_.row_bytes());
  const std::int64_t parts = j.part_columns / 1024;
  if (j.part_columns != cut_.columns && (j.part_columns > cut_.columns || j.part_columns % 1024 != 0 || parts == 0 ||
                                         (parts & (parts - 1)) != 0 || j.rows_per_piece != 1))
    refuse(fmt::format("rows of {} columns are cut into parts of {}", cut_.columns, j.part_columns));
  if (j.rows_per_piece > 1 && j.rows_per_piece > most_piece_bytes / row)
    refuse(fmt::format("pieces have {} rows of {} bytes", j.rows_per_piece, row));
  if (j.pieces > cut_.pieces()) refuse(fmt::format("{} of {} pieces are done", j.pieces, cut_.pieces()));
  if (j.bytes != result_bytes(j.pieces))
    refuse(fmt::format("the result of {} pieces has {} bytes instead of {}", j.pieces, j.bytes, result_bytes(j.pieces)));
}

journal result_file::snapshot() const {
  journal j{job_, cut_.rows_per_piece, cut_.part_columns, pieces_, written_, {}};
  row_.append_state(j.sums);
  if (totals_) totals_->append_state(j.sums);
  return j;
}

void result_file::take(piece_result&& result) {
  static_cast<void>(std::as_const(result.rows).data());  // a device's work is waited for before the time counts
  const stage_timer timer(watch_.stages.write);
  harmed_ = true;
  if (result.totals.count() > 0) totals_->take(result.totals);
  if (result.kept.count() > 0) totals_->take(pieces_, result.kept);
  if (cut_.cuts_rows())
    join(result.rows);
  else
    append(bytes_of(result.rows));
  bytes_ += result.input_bytes;
  ++pieces_;
  harmed_ = false;
}

void result_file::join(const tensor& parts) {
  row_.add(parts.data());
  if ((pieces_ + 1) % cut_.parts_per_row() != 0) return;
  std::vector<std::byte> sum;
  append_rounded(row_.take(), plan_.type, sum);
  append(sum);
}

void result_file::append(std::span<const std::byte> bytes) {
  if (waiting_.empty() && bytes.size() >= write_bytes) {
    out_.write(written_, bytes);
    written_ += static_cast<std::int64_t>(bytes.size());
    return;
  }
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
  if (waiting_.size() >= write_bytes) flush();
}

void result_file::flush() {
  if (waiting_.empty()) return;
  out_.write(written_, waiting_);
  written_ += static_cast<std::int64_t>(waiting_.size());
  waiting_.clear();
}

void result_file::sync_when_due() {
  if (sync_.valid() && sync_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) wait_for_sync();
  if (sync_.valid() || clock::now() < next_sync_) return;
  flush();
  sync_begin_ = clock::now();
  // A thread of its own: a disk may take seconds, and the pool's threads read meanwhile.
  sync_ = std::async(std::launch::async, [this, text = snapshot().text()] {
    plan_.in.check_unchanged();
    out_.sync(text);
  });
}

// Where syncs are slow, they are rare: they take a fifth of the time at most.
void result_file::wait_for_sync() {
  if (!sync_.valid()) return;
  sync_.get();
  lasting_ = true;
  const auto now = clock::now();
  next_sync_ = now + sync_pause(std::max(4 * seconds_between(sync_begin_, now), plan_.options.sync_interval));
}

void result_file::save() noexcept {
  try {
    wait_for_sync();
    if (harmed_ || !plan_.in.seekable() || (!lasting_ && watch_.seconds() < worth_keeping)) return;
    flush();
    plan_.in.check_unchanged();
    out_.sync(snapshot().text());
  } catch (...) {  // the failure that brought us here is the one to tell of; the last sync stays
  }
}

void result_file::commit() {
  wait_for_sync();
  flush();
  plan_.in.check_unchanged();
  if (plan_.in.rows() < 0) {
    const std::string text = header(rows());
    if (text.size() != header(0).size())
      throw error(error_code::internal, fmt::format("[{}] a header for {} rows does not fit", plan_.operation, rows()));
    out_.write(0, std::as_bytes(std::span(text)));
  }
  if (totals_out_) {
    harmed_ = true;  // finish() takes the sums away
    const tensor totals = totals_->finish();
    const std::string text = npy_header_bytes(totals.dtype(), totals.shape());
    totals_out_->write(0, std::as_bytes(std::span(text)));
    totals_out_->write(static_cast<std::int64_t>(text.size()), bytes_of(totals));
    totals_out_->commit();
  }
  out_.commit();
}

}  // namespace sluice::files

#include "sessions.hpp"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

namespace sluice::serving::models {
namespace {

std::string time_text(double seconds) {
  return seconds < 1e-3  ? fmt::format("{:.0f} us", seconds * 1e6)
         : seconds < 0.1 ? fmt::format("{:.2f} ms", seconds * 1e3)
                         : fmt::format("{:.0f} ms", seconds * 1e3);
}

std::string str(const batch_time& t) {
  return fmt::format("{} row{} {}", t.rows, t.rows == 1 ? "" : "s", time_text(t.seconds));
}

// What the file's extents say; extents that are free beside the rows count as 0.
std::int64_t result_bytes_of(const sluice::model& m, std::int64_t rows) {
  std::int64_t bytes = 0;
  for (const auto& f : m.outputs()) {
    std::int64_t one = m.is_batched() ? rows : 1;
    for (std::size_t i = m.is_batched() ? 1 : 0; i < f.extents.size(); ++i) one *= std::max<std::int64_t>(f.extents[i], 0);
    bytes += one * static_cast<std::int64_t>(size_of(f.dtype));
  }
  return bytes;
}

}  // namespace

double session::seconds(std::int64_t rows) const {
  const auto& last = times.back();
  if (rows > last.rows) {
    const double whole = static_cast<double>(rows / last.rows) * last.seconds;
    return rows % last.rows == 0 ? whole : whole + seconds(rows % last.rows);
  }
  const auto above = std::find_if(times.begin(), times.end(), [&](const batch_time& t) { return t.rows >= rows; });
  // On a GPU a batch is padded to the next size that was captured.
  if (above == times.begin() || above->rows == rows || !runs.where().is_cpu()) return above->seconds;
  const auto& below = *(above - 1);
  const double part = static_cast<double>(rows - below.rows) / static_cast<double>(above->rows - below.rows);
  return below.seconds + part * (above->seconds - below.seconds);
}

sessions::sessions(const std::filesystem::path& file, const options& o) {
  std::exception_ptr first;
  for (const auto& where : o.where) try {
      auto loaded = sluice::model::load(file, {.where = where, .precision = o.precision, .largest_batch = o.largest_batch});
      auto times = loaded.warm();
      all_.push_back({std::move(loaded), std::move(times)});
    } catch (const error& e) {
      if (o.all_of_them) throw;
      if (!first) first = std::current_exception();
      refused_ += fmt::format("; {}: {}", where.str(), e.what());
    }
  if (all_.empty()) std::rethrow_exception(first);
}

std::int64_t sessions::largest_batch() const {
  std::int64_t largest = 1;
  for (const auto& s : all_) largest = std::max(largest, s.runs.largest_batch());
  return largest;
}

std::string sessions::str() const {
  std::string text;
  for (const auto& s : all_) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", s.runs.where().str(), models::str(s.times.front()));
    if (s.times.size() > 1) text += ", " + models::str(s.times.back());
  }
  return text + refused_;
}

std::vector<tensor> sessions::run(std::span<const tensor> inputs, const device& where) const {
  return on(where).runs.run(inputs);
}

std::int64_t sessions::rows_of(std::span<const tensor> inputs) const {
  return first().is_batched() ? inputs[0].extent(0) : 1;
}

sluice::work sessions::work_of(std::string_view name, std::span<const tensor> inputs) const {
  const std::int64_t rows = rows_of(inputs);
  sluice::work w{.operation = name, .dtype = inputs[0].dtype(), .result_to = device::cpu};
  for (const auto& in : inputs) {
    if (w.operand_count == max_operands) break;
    auto& operand = w.operands[static_cast<std::size_t>(w.operand_count++)];
    operand.where = in.device();
    operand.bytes = static_cast<std::int64_t>(in.bytes());
  }
  w.result_bytes = result_bytes_of(first(), rows);
  for (const auto& s : all_) w.add_measured(s.runs.where(), s.seconds(rows));
  return w;
}

const session& sessions::on(const device& where) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const session& s) { return s.runs.where() == where; });
  return found == all_.end() ? all_.front() : *found;
}

}  // namespace sluice::serving::models

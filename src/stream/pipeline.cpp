#include "sluice/pipeline.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "output.hpp"
#include "sluice/npy.hpp"
#include "sluice/parallel.hpp"
#include "sluice/placement.hpp"
#include "source.hpp"

namespace sluice {
inline namespace v0 {
namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) { return std::chrono::duration<double>(clock::now() - start).count(); }

// What one thread reads and sums at once on the CPU: it stays in the caches in between. On two cores 256 KiB gave 14.6 GB/s,
// 512 KiB 16.4, 1 MiB 18.5, and more no more.
constexpr std::int64_t cpu_piece_bytes = 1 << 20;
// Sums that wait to be written.
constexpr std::int64_t waiting_bytes = 8 << 20;

// A file's rows as pieces of work, numbered in the file's order: each some whole rows, or each a part of one row that begins
// and ends where sums may be joined.
struct cutting {
  cutting(const file_stream& file, std::int64_t piece_bytes) : in(file), part_columns(file.columns()) {
    const std::int64_t row = in.row_bytes();
    const std::int64_t size = static_cast<std::int64_t>(size_of(in.dtype()));
    if (row / 2 > piece_bytes && in.columns() > 1024) {
      part_columns = 1024;
      while (part_columns * 2 * size <= piece_bytes && part_columns * 2 < in.columns()) part_columns *= 2;
      parts_per_row = (in.columns() + part_columns - 1) / part_columns;
      pieces = checked_product(in.rows(), parts_per_row);
    } else {
      rows_per_piece = std::max<std::int64_t>(1, piece_bytes / std::max(row, sum_bytes()));
      pieces = in.rows() / rows_per_piece + (in.rows() % rows_per_piece != 0);
    }
  }

  [[nodiscard]] bool cuts_rows() const { return parts_per_row > 1; }
  [[nodiscard]] dtype sum_dtype() const {
    const dtype rounded = rowsum_dtype(in.dtype());
    return cuts_rows() && rounded == dtype::f32 ? dtype::f64 : rounded;
  }
  [[nodiscard]] std::int64_t sum_bytes() const { return static_cast<std::int64_t>(size_of(sum_dtype())); }
  [[nodiscard]] std::int64_t sums_per_piece() const { return rows_per_piece; }

  // Rows and bytes before piece i; what sums there are before it.
  [[nodiscard]] std::int64_t row(std::int64_t i) const { return std::min(in.rows(), i / parts_per_row * rows_per_piece); }
  [[nodiscard]] std::int64_t sum(std::int64_t i) const { return cuts_rows() ? i : row(i); }
  [[nodiscard]] std::int64_t byte(std::int64_t i) const {
    const std::int64_t column = i % parts_per_row * part_columns;
    return row(i) * in.row_bytes() + column * static_cast<std::int64_t>(size_of(in.dtype()));
  }
  [[nodiscard]] shape extents(std::int64_t i) const {
    if (!cuts_rows()) return {row(i + 1) - row(i), in.columns()};
    return {1, std::min(part_columns, in.columns() - i % parts_per_row * part_columns)};
  }

  const file_stream& in;
  std::int64_t part_columns;
  std::int64_t parts_per_row = 1;
  std::int64_t rows_per_piece = 1;
  std::int64_t pieces = 0;
};

// join_rowsums for parts that come one by one, with one number a level in memory: as a binary counter carries.
template <class T>
class part_joiner {
 public:
  void add(T part) {
    for (std::uint64_t n = count_++; n % 2 == 1; n /= 2) part = joined_with_last(part);
    levels_.push_back(part);
  }
  T take() {
    T sum = levels_.back();
    levels_.pop_back();
    while (!levels_.empty()) sum = joined_with_last(sum);
    count_ = 0;
    return sum;
  }

 private:
  T joined_with_last(T part) {
    T pair[2] = {levels_.back(), part};
    levels_.pop_back();
    return join_rowsums(std::span<T>(pair));
  }

  std::vector<T> levels_;
  std::uint64_t count_ = 0;
};

// The result file: takes the pieces' sums in order.
class sums_writer {
 public:
  sums_writer(const cutting& cut, const std::string& path)
      : cut_(cut), rounded_(rowsum_dtype(cut.in.dtype())), file_(path, "rowsum_file", cut.in.source().files()) {
    file_.start_again();
    const shape& all = cut.in.shape();
    const std::string header = npy_header_bytes(rounded_, all.first(all.rank() - 1));
    append(std::as_bytes(std::span(header)));
    if (!is_floating(rounded_)) joiner_.emplace<part_joiner<std::int64_t>>();
  }

  void take(const tensor& sums) {
    const tensor host = sums.to(device::cpu);
    if (!cut_.cuts_rows()) return append({static_cast<const std::byte*>(host.data()), host.bytes()});
    finished_.clear();
    if (is_floating(rounded_))
      join(std::get<part_joiner<double>>(joiner_), static_cast<const double*>(host.data()), host.count());
    else
      join(std::get<part_joiner<std::int64_t>>(joiner_), static_cast<const std::int64_t*>(host.data()), host.count());
    append(finished_);
  }

  void commit() { file_.commit(); }

 private:
  template <class T>
  void join(part_joiner<T>& joiner, const T* parts, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      joiner.add(parts[i]);
      if (++parts_ % cut_.parts_per_row == 0) finish(joiner.take());
    }
  }
  void finish(std::int64_t sum) { keep(sum); }
  void finish(double sum) {
    if (sum != sum) sum = std::numeric_limits<double>::quiet_NaN();  // one bit pattern, as rowsum promises
    if (rounded_ == dtype::f32)
      keep(static_cast<float>(sum));
    else
      keep(sum);
  }
  template <class T>
  void keep(T value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    finished_.insert(finished_.end(), bytes.begin(), bytes.end());
  }
  void append(std::span<const std::byte> bytes) {
    file_.write(offset_, bytes);
    offset_ += static_cast<std::int64_t>(bytes.size());
  }

  const cutting& cut_;
  dtype rounded_;
  stream::output file_;
  std::int64_t offset_ = 0;
  std::int64_t parts_ = 0;
  std::variant<part_joiner<double>, part_joiner<std::int64_t>> joiner_;
  std::vector<std::byte> finished_;
};

// Progress and cancellation.
class watch {
 public:
  watch(const cutting& cut, const pipeline_options& options)
      : cut_(cut), options_(options), next_(options.progress_interval) {}

  void check_cancel(std::int64_t piece) const {
    if (options_.cancel.stop_requested())
      throw error(error_code::cancelled,
                  fmt::format("[rowsum_file] cancelled after {} of {} bytes", cut_.byte(piece), cut_.in.bytes()));
  }
  void report(std::int64_t piece, bool last) {
    const double now = seconds();
    if (!options_.progress || (!last && now < next_)) return;
    next_ = now + options_.progress_interval;
    options_.progress({cut_.byte(piece), cut_.in.bytes(), cut_.row(piece), now, 0, -1});
  }
  [[nodiscard]] double seconds() const { return seconds_since(start_); }

 private:
  const cutting& cut_;
  const pipeline_options& options_;
  clock::time_point start_ = clock::now();
  double next_;
};

void read_piece(const cutting& cut, std::int64_t i, tensor& to, bool parallel) {
  const std::span<std::byte> memory{static_cast<std::byte*>(to.data()), to.bytes()};
  if (parallel)
    read_parallel(cut.in.source(), cut.byte(i), memory);
  else
    cut.in.source().read(cut.byte(i), memory);
}

// Slices are many pieces: long enough that starting threads costs nothing, short enough that other callers of the pool get
// their turn and that progress is seen on a slow disk.
class cpu_stage {
 public:
  cpu_stage(const cutting& cut, const watch& w) : cut_(cut), watch_(w) {
    const std::int64_t waiting = std::max<std::int64_t>(1, waiting_bytes / (cut.sums_per_piece() * cut.sum_bytes()));
    longest_ = std::min<std::int64_t>(64 * parallel_size(), waiting);
    length_ = std::min<std::int64_t>(4 * parallel_size(), longest_);
  }

  // Of the slice that begins with piece `first`, whose number of pieces it returns in `count`.
  tensor sums(std::int64_t first, std::int64_t& count) {
    count = std::min(length_, cut_.pieces - first);
    const std::int64_t before = cut_.sum(first);
    tensor out({cut_.sum(first + count) - before}, cut_.sum_dtype());
    auto* const to = static_cast<std::byte*>(out.data());
    const auto start = clock::now();
    parallel_for(count, [&](std::int64_t k) {
      const std::int64_t i = first + k;
      watch_.check_cancel(i);
      tensor piece(cut_.extents(i), cut_.in.dtype());  // from the pool: page-aligned, and warm from the piece before
      read_piece(cut_, i, piece, false);
      auto target =
          tensor::wrap(to + (cut_.sum(i) - before) * cut_.sum_bytes(), out.dtype(), {piece.extent(0)}, {1}, nullptr);
      detail::call_rowsum(piece, target);
    });
    const double took = seconds_since(start);
    if (took < 0.01) length_ = std::min(length_ * 2, longest_);
    if (took > 0.1) length_ = std::max<std::int64_t>(length_ / 2, std::min<std::int64_t>(parallel_size(), longest_));
    return out;
  }

 private:
  const cutting& cut_;
  const watch& watch_;
  std::int64_t longest_;
  std::int64_t length_;
};

// One piece at a time through pinned memory: while the device copies and sums one, the next is read.
class device_stage {
 public:
  device_stage(const cutting& cut, const device& where) : cut_(cut), where_(where) {}

  tensor sums(std::int64_t i, std::int64_t& count) {
    count = 1;
    tensor& host = ring_[static_cast<std::size_t>(i % 2)];
    host = tensor();  // waits for the copy of two pieces ago, and gives its memory back
    host = tensor(cut_.extents(i), cut_.in.dtype(), where_, memory::pinned);
    read_piece(cut_, i, host, true);
    return cut_.cuts_rows() ? rowsum_unrounded(host, where_) : rowsum(host, where_);
  }

 private:
  const cutting& cut_;
  device where_;
  std::array<tensor, 2> ring_;
};

device chosen_device(const file_stream& in, const device& wanted) {
  work w;
  w.operation = "rowsum";
  w.dtype = in.dtype();
  w.bytes = static_cast<double>(in.bytes());
  return place(w, wanted).where;
}

}  // namespace

std::string_view pipeline_summary::slowest_stage() const { return stages.compute > stages.read ? "compute" : "read"; }

pipeline_summary rowsum_file(const file_stream& in, const std::string& out_path, const pipeline_options& options) {
  const device where = chosen_device(in, options.where);
  const std::int64_t chunk = in.chunk_bytes() > 0 ? in.chunk_bytes() : 16 << 20;
  const cutting cut(in, where.is_cpu() ? std::min(cpu_piece_bytes, chunk) : chunk);
  watch w(cut, options);
  sums_writer out(cut, out_path);
  cpu_stage on_cpu(cut, w);
  device_stage on_device(cut, where);
  tensor waiting;
  for (std::int64_t first = 0, count = 0; first < cut.pieces; first += count) {
    w.check_cancel(first);
    tensor sums = where.is_cpu() ? on_cpu.sums(first, count) : on_device.sums(first, count);
    // The slice before: a device has had the time of one read to finish it.
    if (first > 0) out.take(waiting);
    waiting = std::move(sums);
    w.report(first + count, false);
  }
  if (cut.pieces > 0) out.take(waiting);
  in.check_unchanged();
  w.check_cancel(cut.pieces);
  out.commit();
  w.report(cut.pieces, true);
  return {in.rows(), in.bytes(), 0, w.seconds(), {where}, {}, {}};
}

}  // namespace v0
}  // namespace sluice

// for_each_chunk: the caller's own function, on the caller's thread; the next chunk is read and copied meanwhile.
#include <future>

#include <fmt/format.h>

#include "engine.hpp"
#include "sluice/parallel.hpp"
#include "where.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace {

constexpr const char* name = "for_each_chunk";
constexpr std::int64_t chosen_chunk_bytes = 16 << 20;

void check_options(const file_stream& in, const pipeline_options& options, std::int64_t first_row) {
  if (options.resume != resume::automatic || !options.column_totals.empty())
    throw error(error_code::invalid_argument,
                fmt::format("[{}] nothing is written: resume and column_totals must be left alone", name));
  if (first_row < 0 || (in.rows() >= 0 && first_row > in.rows()))
    throw error(error_code::invalid_argument,
                fmt::format("[{}] first_row is {}: {} has {} rows", name, first_row, in.path(), in.rows()));
  if (first_row > 0 && !in.seekable())
    throw error(error_code::invalid_argument,
                fmt::format("[{}] first_row is {}: the bytes of {} come once, from row 0", name, first_row, in.path()));
}

class chunk_loop {
 public:
  chunk_loop(const file_stream& in, const std::function<void(const row_chunk&)>& use, const files::chosen& where,
             files::watch& w)
      : in_(in), use_(use), where_(where), watch_(w) {
    const std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes() : chosen_chunk_bytes;
    cut_ = files::cut_rows(in.rows(), in.columns(), static_cast<std::int64_t>(size_of(in.dtype())), bytes, 1);
  }

  void run(std::int64_t first_row) {
    first_row_ = row_ = first_row;
    watch_.check_cancel(0);
    in_.source().begin();
    if (in_.seekable())
      run_ahead();
    else
      run_in_order();
    in_.check_unchanged();
  }

  [[nodiscard]] std::int64_t rows() const { return row_ - first_row_; }
  [[nodiscard]] std::int64_t bytes() const { return rows() * in_.row_bytes(); }

 private:
  [[nodiscard]] std::int64_t rows_of_next(std::int64_t row) const {
    return std::min(cut_.rows_per_piece, cut_.rows_at_most() - row);
  }
  [[nodiscard]] const device& next_device() {
    return where_.devices[static_cast<std::size_t>(chunks_++) % where_.devices.size()];
  }
  [[nodiscard]] tensor host_memory(std::int64_t rows, const device& where) const {
    const shape extents{rows, in_.columns()};
    return where.is_cpu() ? tensor(extents, in_.dtype()) : tensor(extents, in_.dtype(), where, memory::pinned);
  }
  [[nodiscard]] row_chunk on_device(const tensor& host, std::int64_t row, const device& where) const {
    return {host.to(where), row, in_.byte_offset() + row * in_.row_bytes()};
  }

  void run_ahead() {
    const auto ahead = [this](std::int64_t row) {
      return std::async(std::launch::async, [this, row, where = next_device()] {
        tensor host = host_memory(rows_of_next(row), where);
        const stage_timer timer(watch_.stages.read);
        files::read_parallel(in_.source(), row * in_.row_bytes(), files::memory_of(host));
        return on_device(host, row, where);
      });
    };
    std::future<row_chunk> next;
    if (row_ < in_.rows()) next = ahead(row_);
    while (next.valid()) {
      const row_chunk chunk = next.get();
      const std::int64_t following = row_ + chunk.rows.extent(0);
      if (following < in_.rows()) next = ahead(following);
      hand_over(chunk);
    }
  }

  void run_in_order() {
    for (bool more = true; more && row_ < cut_.rows_at_most();) {
      const device where = next_device();
      const tensor host = next_rows(where);
      more = host.extent(0) == rows_of_next(row_);
      if (host.extent(0) > 0) hand_over(on_device(host, row_, where));
    }
    if (in_.rows() >= 0) files::expect_end(in_, watch_, {bytes(), rows()});
  }

  tensor next_rows(const device& where) {
    tensor host = host_memory(rows_of_next(row_), where);
    const auto memory = files::memory_of(host);
    const std::size_t n = files::read_next(in_, memory, watch_, {bytes(), rows()});
    return n == memory.size() ? host : files::first_bytes(host, cut_, n);
  }

  void hand_over(const row_chunk& chunk) {
    watch_.check_cancel(bytes());
    {
      const stage_timer timer(watch_.stages.compute);
      use_(chunk);
    }
    row_ += chunk.rows.extent(0);
    watch_.check_cancel(bytes());
    watch_.report(bytes(), rows());
  }

  using stage_timer = files::stage_timer;
  const file_stream& in_;
  const std::function<void(const row_chunk&)>& use_;
  const files::chosen& where_;
  files::watch& watch_;
  files::cutting cut_;
  std::int64_t first_row_ = 0;
  std::int64_t row_ = 0;
  std::int64_t chunks_ = 0;
};

}  // namespace

pipeline_summary for_each_chunk(const file_stream& in, const std::function<void(const row_chunk&)>& use,
                                const pipeline_options& options, std::int64_t first_row) {
  check_options(in, options, first_row);
  const auto where = files::choose(name, in, options, nullptr);
  const std::int64_t bytes = in.rows() < 0 ? -1 : (in.rows() - first_row) * in.row_bytes();
  files::watch w(options, name, bytes);
  chunk_loop loop(in, use, where, w);
  loop.run(first_row);
  w.report(loop.bytes(), loop.rows(), true);
  pipeline_summary s;
  s.rows = loop.rows();
  s.bytes = loop.bytes();
  s.devices = where.devices;
  s.reason = where.reason;
  s.stages = w.stages.seconds(1, 1);
  s.seconds = w.seconds();
  return s;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

// for_each_chunk: the caller's own function, on the caller's thread; the next chunk is read and copied meanwhile.
#pragma once

#include <fmt/format.h>

#include "sluice/impl/base/background_task.hpp"
#include "sluice/impl/files/device_choice.hpp"
#include "sluice/impl/files/executor.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

inline constexpr const char* for_each_name = "for_each_chunk";
inline constexpr std::int64_t chosen_chunk_bytes = 16 << 20;

inline void check_loop_options(const file_stream& in, const pipeline_options& options, std::int64_t first_row) {
  if (options.resume != resume::automatic || !options.column_totals.empty() || options.result_dtype)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] nothing is written: resume, column_totals and result_dtype must keep their defaults",
                            for_each_name));
  if (first_row < 0 || (in.rows() >= 0 && first_row > in.rows()))
    throw error(error_code::invalid_argument,
                fmt::format("[{}] first_row is {}: {} has {} rows", for_each_name, first_row, in.path(), in.rows()));
  if (first_row > 0 && !in.seekable())
    throw error(error_code::invalid_argument, fmt::format("[{}] first_row is {}: {} can be read once only, from row 0",
                                                          for_each_name, first_row, in.path()));
}

class chunk_loop {
 public:
  chunk_loop(const file_stream& in, const std::function<void(const row_chunk&)>& use, const files::device_choice& where,
             files::run_monitor& w)
      : in_(in), use_(use), where_(where), monitor_(w) {
    const std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes() : chosen_chunk_bytes;
    chunks_ = files::plan_rows(in.rows(), in.columns(), static_cast<std::int64_t>(size_of(in.dtype())), bytes, 1);
  }

  void run(std::int64_t first_row) {
    first_row_ = row_ = first_row;
    monitor_.check_cancel(0);
    source_of(in_).begin();
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
    return std::min(chunks_.rows_per_chunk, chunks_.rows_at_most() - row);
  }
  [[nodiscard]] const device& next_device() {
    return where_.devices[static_cast<std::size_t>(sent_++) % where_.devices.size()];
  }
  [[nodiscard]] tensor host_memory(std::int64_t rows, const device& where) const {
    const shape extents{rows, in_.columns()};
    return where.is_cpu() ? tensor(extents, in_.dtype()) : tensor(extents, in_.dtype(), where, memory::pinned);
  }
  [[nodiscard]] row_chunk on_device(const tensor& host, std::int64_t row, const device& where) const {
    return {host.to(where), row, in_.byte_offset_of(row)};
  }

  void run_ahead() {
    const auto ahead = [this](std::int64_t row) {
      return base::background_task<row_chunk>("sluice-read", [this, row, where = next_device()] {
        tensor host = host_memory(rows_of_next(row), where);
        const stage_timer timer(monitor_.stages.read);
        files::read_parallel(source_of(in_), row * in_.row_bytes(), files::memory_of(host));
        return on_device(host, row, where);
      });
    };
    base::background_task<row_chunk> next;
    if (row_ < in_.rows()) next = ahead(row_);
    while (next.valid()) {
      const row_chunk chunk = next.get();
      const std::int64_t following = row_ + chunk.rows.extent(0);
      if (following < in_.rows()) next = ahead(following);
      pass_on_chunk(chunk);
    }
  }

  void run_in_order() {
    for (bool more = true; more && row_ < chunks_.rows_at_most();) {
      const device where = next_device();
      const tensor host = next_rows(where);
      more = host.extent(0) == rows_of_next(row_);
      if (host.extent(0) > 0) pass_on_chunk(on_device(host, row_, where));
    }
    if (in_.rows() >= 0) files::expect_end(in_, monitor_, {bytes(), rows()});
  }

  tensor next_rows(const device& where) {
    tensor host = host_memory(rows_of_next(row_), where);
    const auto memory = files::memory_of(host);
    const std::size_t n = files::read_next(in_, memory, monitor_, {bytes(), rows()});
    return n == memory.size() ? host : files::first_bytes(host, chunks_, n);
  }

  void pass_on_chunk(const row_chunk& chunk) {
    monitor_.check_cancel(bytes());
    {
      const stage_timer timer(monitor_.stages.compute);
      use_(chunk);
    }
    row_ += chunk.rows.extent(0);
    monitor_.check_cancel(bytes());
    monitor_.report(bytes(), rows());
  }

  using stage_timer = files::stage_timer;
  const file_stream& in_;
  const std::function<void(const row_chunk&)>& use_;
  const files::device_choice& where_;
  files::run_monitor& monitor_;
  files::chunk_plan chunks_;
  std::int64_t first_row_ = 0;
  std::int64_t row_ = 0;
  std::int64_t sent_ = 0;  // chunks
};

}  // namespace files

SLUICE_FUNC pipeline_summary for_each_chunk(const file_stream& in, const std::function<void(const row_chunk&)>& use,
                                            const pipeline_options& options, std::int64_t first_row) {
  files::check_loop_options(in, options, first_row);
  const auto where = files::choose_devices(files::for_each_name, in, options, nullptr);
  const std::int64_t bytes = in.rows() < 0 ? -1 : (in.rows() - first_row) * in.row_bytes();
  files::run_monitor w(options, files::for_each_name, bytes);
  files::chunk_loop loop(in, use, where, w);
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

// A run: an op over all chunks of a stream, into a file. rowsum_file.hpp and matmul_file.hpp say which op.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/impl/files/cpu_executor.hpp"
#include "sluice/impl/files/device_choice.hpp"
#include "sluice/impl/files/device_executor.hpp"
#include "sluice/impl/files/executor.hpp"
#include "sluice/parallel.hpp"
#include "sluice/pipeline.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

inline void run_chunks(const run_plan& plan, const chunk_op& what, const std::vector<device>& devices, result_file& out,
                       run_monitor& w) {
  w.check_cancel(out.bytes());
  source_of(plan.in).begin();
  if (std::all_of(devices.begin(), devices.end(), [](const device& d) { return d.is_cpu(); }))
    run_over(plan.in, cpu_executor(plan, what, out, w));
  else
    run_over(plan.in, device_executor(plan, what, devices, out, w));
  w.check_cancel(out.bytes());
}

inline constexpr std::int64_t device_chunk_bytes = 16 << 20;  // 46 GB/s through a bus of 55; 4 MiB 40, 8 MiB 42, 32 MiB 44

inline bool on_cpu(const std::vector<device>& devices) {
  return std::all_of(devices.begin(), devices.end(), [](const device& d) { return d.is_cpu(); });
}

inline std::int64_t element_bytes(const file_stream& in) { return static_cast<std::int64_t>(size_of(in.dtype())); }

inline pipeline_summary summary_of(const run_plan& plan, const files::device_choice& where, const files::result_file& out,
                                   const files::run_monitor& w) {
  pipeline_summary s;
  s.rows = out.rows();
  s.bytes = out.bytes() - w.resumed();
  s.resumed_bytes = w.resumed();
  s.devices = where.devices;
  s.reason = where.reason;
  const bool cpu = on_cpu(where.devices);
  const bool once = !plan.in.seekable();
  const int readers = cpu ? cpu_readers(plan, out.chunks()) : readers_of(plan.in, std::ssize(where.devices));
  s.stages = w.stages.seconds(once ? 1 : readers, !cpu ? 1 : once ? parallel_size() : readers);
  s.seconds = w.seconds();
  return s;
}

// `make` returns the chunk op for the chunks of the run, which are those of an earlier run where one is resumed.
template <class F>
inline pipeline_summary run_to_file(const run_plan& plan, const files::device_choice& where, F&& make) {
  files::run_monitor w(plan.options, plan.operation, plan.in.bytes());
  files::result_file out(plan, w);
  try {
    const auto what = make(out);
    files::run_chunks(plan, what, where.devices, out, w);
  } catch (...) {
    out.save();
    throw;
  }
  out.commit();
  w.report(out.bytes(), out.rows(), true);
  return summary_of(plan, where, out, w);
}

}  // namespace files

SLUICE_FUNC std::string_view pipeline_summary::slowest_stage() const {
  const std::pair<double, std::string_view> all[] = {
      {stages.read, "read"}, {stages.copy, "copy"}, {stages.compute, "compute"}, {stages.write, "write"}};
  return std::max_element(std::begin(all), std::end(all), [](const auto& a, const auto& b) { return a.first < b.first; })
      ->second;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

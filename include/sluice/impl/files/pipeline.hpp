// rowsum_file and matmul_file: an op over all chunks of a stream, into a file.
#pragma once

#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "sluice/impl/files/cpu_executor.hpp"
#include "sluice/impl/files/device_choice.hpp"
#include "sluice/impl/files/device_executor.hpp"
#include "sluice/impl/files/executor.hpp"
#include "sluice/npy.hpp"
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
    run_on_cpu(plan, what, out, w);
  else
    run_on_devices(plan, what, devices, out, w);
  w.check_cancel(out.bytes());
}

// What one thread reads and computes at once on the CPU: it stays in the caches in between. Smaller pieces were slower and
// larger ones no faster on two shared cores, whose ceilings moved by a factor of two between hours: 256 KiB gave 15 GB/s,
// 512 KiB 16 to 17, 1 MiB 18 to 21, up to 8 MiB 18 to 19.
inline constexpr std::int64_t cpu_chunk_bytes = 1 << 20;
inline constexpr std::int64_t cpu_product_bytes = 4 << 20;    // products gain from taller pieces
inline constexpr std::int64_t device_chunk_bytes = 16 << 20;  // 46 GB/s through a bus of 55; 4 MiB 40, 8 MiB 42, 32 MiB 44
inline constexpr std::int64_t cpu_total_bytes = 16 << 20;     // 1,024 rows of them, when columns are summed too
inline constexpr std::int64_t device_total_bytes = 128 << 20;

inline bool on_cpu(const std::vector<device>& devices) {
  return std::all_of(devices.begin(), devices.end(), [](const device& d) { return d.is_cpu(); });
}

inline std::int64_t element_bytes(const file_stream& in) { return static_cast<std::int64_t>(size_of(in.dtype())); }

inline chunk_plan plan_for_rowsum(const file_stream& in, const pipeline_options& options,
                                  const std::vector<device>& devices) {
  const bool cpu = on_cpu(devices);
  std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes() : cpu ? cpu_chunk_bytes : device_chunk_bytes;
  if (cpu) bytes = std::min(bytes, cpu_chunk_bytes);
  const auto sum = static_cast<std::int64_t>(size_of(rowsum_dtype(in.dtype())));
  const chunk_plan c = files::plan_for_sums(in.rows(), in.columns(), element_bytes(in), bytes, sum);
  return options.column_totals.empty() ? c : files::column_totals::fit(c, bytes, cpu ? cpu_total_bytes : device_total_bytes);
}

inline chunk_plan plan_for_matmul(const file_stream& in, std::int64_t result_row_bytes, const std::vector<device>& devices) {
  const std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes()
                             : on_cpu(devices)    ? cpu_product_bytes
                                                  : device_chunk_bytes;
  return files::plan_rows(in.rows(), in.columns(), element_bytes(in), bytes, in.chunk_bytes() > 0 ? 1 : result_row_bytes);
}

inline pipeline_summary summary_of(const run_plan& plan, const files::device_choice& where, const files::result_file& out,
                                   const files::run_monitor& w) {
  pipeline_summary s;
  s.rows = out.rows();
  s.bytes = out.bytes() - w.resumed();
  s.resumed_bytes = w.resumed();
  s.devices = where.devices;
  s.reason = where.reason;
  const bool once = !plan.in.seekable();
  const int readers = files::readers_of(plan.in, on_cpu(where.devices) ? 0 : std::ssize(where.devices));
  s.stages = w.stages.seconds(once ? 1 : readers, !on_cpu(where.devices) ? 1 : once ? parallel_size() : readers);
  s.seconds = w.seconds();
  return s;
}

// `make` gives the operation, for the way that rows are cut in the end.
template <class F>
inline pipeline_summary run_plan_of(const run_plan& plan, const files::device_choice& where, F&& make) {
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

// The same for all ways that lead to a file.
inline std::string place_of(const std::string& path) {
  const std::filesystem::path p(path);
  const std::filesystem::path folder = p.has_parent_path() ? p.parent_path() : ".";
  std::error_code failure;
  const auto found = std::filesystem::weakly_canonical(folder, failure);
  return ((failure ? folder : found) / p.filename()).string();
}

// Each of the two writes to names of its own: totals at OUT.npy.partial would be renamed to OUT.npy.
inline void check_totals_path(const char* operation, const std::string& out_path, const pipeline_options& options) {
  if (options.column_totals.empty()) return;
  const std::string out = place_of(out_path);
  const std::string totals = place_of(options.column_totals);
  for (const char* mine : files::output::suffixes)
    for (const char* theirs : files::output::suffixes)
      if (out + mine == totals + theirs)
        throw error(error_code::invalid_argument,
                    fmt::format("[{}] the result {} and its column totals {} would both write {}: their names must differ "
                                "in more than .partial or .journal",
                                operation, out_path, options.column_totals, out + mine));
}

// Tells one b from another. No guard against a forged one.
inline std::uint64_t digest_of(const tensor& b) {
  const tensor host = b.to(device::cpu).contiguous();
  const auto* p = static_cast<const std::byte*>(host.data());
  std::uint64_t hash = 0x2545f4914f6cdd1d;
  for (std::size_t i = 0; i < host.bytes(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, p + i, std::min<std::size_t>(8, host.bytes() - i));
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
  }
  return hash;
}

// The bits of a product depend on the device that makes it.
inline std::string kinds_of(const std::vector<device>& devices) {
  std::string kinds;
  for (const auto& d : devices)
    for (const auto& info : sluice::devices())
      if (info.where == d) kinds += (kinds.empty() ? "" : "; ") + info.description;
  return kinds;
}

}  // namespace files

SLUICE_FUNC std::string_view pipeline_summary::slowest_stage() const {
  const std::pair<double, std::string_view> all[] = {
      {stages.read, "read"}, {stages.copy, "copy"}, {stages.compute, "compute"}, {stages.write, "write"}};
  return std::max_element(std::begin(all), std::end(all), [](const auto& a, const auto& b) { return a.first < b.first; })
      ->second;
}

SLUICE_FUNC pipeline_summary rowsum_file(const file_stream& in, const std::string& out_path,
                                         const pipeline_options& options) {
  constexpr const char* name = "rowsum_file";
  files::check_totals_path(name, out_path, options);
  const auto where = files::choose_devices(name, in, options, nullptr);
  const dtype type = rowsum_dtype(in.dtype());
  const files::run_plan plan{name,
                             in,
                             options,
                             out_path,
                             files::plan_for_rowsum(in, options, where.devices),
                             type,
                             in.shape().first(in.shape().rank() - 1),
                             static_cast<std::int64_t>(size_of(type)),
                             {}};
  return files::run_plan_of(plan, where,
                            [](const files::result_file& out) { return files::rowsum_chunks(out.cut(), out.totals()); });
}

SLUICE_FUNC pipeline_summary matmul_file(const file_stream& in, const tensor& b, const std::string& out_path,
                                         const pipeline_options& options, precision p) {
  constexpr const char* name = "matmul_file";
  if (!options.column_totals.empty())
    throw error(error_code::invalid_argument, "[matmul_file] column_totals are rowsum_file's: leave them out");
  if (b.rank() != 2)
    throw error(error_code::invalid_argument,
                fmt::format("[matmul_file] b is {}: it must have two dimensions", b.shape().str()));
  static_cast<void>(
      result_of(matmul_op(), {{in.dtype(), {0, in.columns()}}, {b.dtype(), b.shape()}}));  // throws what does not fit
  const auto where = files::choose_devices(name, in, options, &b);
  const std::int64_t row = checked_product(b.extent(1), static_cast<std::int64_t>(size_of(b.dtype())));
  const files::run_plan plan{
      name,
      in,
      options,
      out_path,
      files::plan_for_matmul(in, row, where.devices),
      b.dtype(),
      {in.rows(), b.extent(1)},
      row,
      {{"b", fmt::format("{} with strides {}, {:016x}", b.shape().str(), b.strides().str(), files::digest_of(b))},
       {"precision", p == precision::strict ? "strict" : "tensor_core"},
       {"devices", files::kinds_of(where.devices)}}};
  return files::run_plan_of(plan, where,
                            [&](const files::result_file&) { return files::matmul_chunks(b, where.devices, p); });
}

}  // namespace SLUICE_ABI
}  // namespace sluice

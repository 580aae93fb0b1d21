#include "sluice/pipeline.hpp"

#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "engine.hpp"
#include "sluice/npy.hpp"
#include "sluice/parallel.hpp"
#include "where.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace {

using files::cutting;
using files::run_plan;

// What one thread reads and computes at once on the CPU: it stays in the caches in between. Smaller pieces were slower and
// larger ones no faster on two shared cores, whose ceilings moved by a factor of two between hours: 256 KiB gave 15 GB/s,
// 512 KiB 16 to 17, 1 MiB 18 to 21, up to 8 MiB 18 to 19.
constexpr std::int64_t cpu_piece_bytes = 1 << 20;
constexpr std::int64_t cpu_product_bytes = 4 << 20;    // products gain from taller pieces
constexpr std::int64_t device_chunk_bytes = 16 << 20;  // 46 GB/s through a bus of 55; 4 MiB 40, 8 MiB 42, 32 MiB 44
constexpr std::int64_t cpu_total_bytes = 16 << 20;     // 1,024 rows of them, when columns are summed too
constexpr std::int64_t device_total_bytes = 128 << 20;

bool on_cpu(const std::vector<device>& devices) {
  return std::all_of(devices.begin(), devices.end(), [](const device& d) { return d.is_cpu(); });
}

std::int64_t element_bytes(const file_stream& in) { return static_cast<std::int64_t>(size_of(in.dtype())); }

cutting cut_for_rowsum(const file_stream& in, const pipeline_options& options, const std::vector<device>& devices) {
  const bool cpu = on_cpu(devices);
  std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes() : cpu ? cpu_piece_bytes : device_chunk_bytes;
  if (cpu) bytes = std::min(bytes, cpu_piece_bytes);
  const auto sum = static_cast<std::int64_t>(size_of(rowsum_dtype(in.dtype())));
  const cutting c = files::cut_for_sums(in.rows(), in.columns(), element_bytes(in), bytes, sum);
  return options.column_totals.empty() ? c
                                       : files::column_totals::fit(c, bytes, cpu ? cpu_total_bytes : device_total_bytes);
}

cutting cut_for_matmul(const file_stream& in, std::int64_t result_row_bytes, const std::vector<device>& devices) {
  const std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes()
                             : on_cpu(devices)    ? cpu_product_bytes
                                                  : device_chunk_bytes;
  return files::cut_rows(in.rows(), in.columns(), element_bytes(in), bytes, in.chunk_bytes() > 0 ? 1 : result_row_bytes);
}

pipeline_summary summary_of(const run_plan& plan, const files::chosen& where, const files::result_file& out,
                            const files::watch& w) {
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
pipeline_summary run(const run_plan& plan, const files::chosen& where, F&& make) {
  files::watch w(plan.options, plan.operation, plan.in.bytes());
  files::result_file out(plan, w);
  try {
    const auto what = make(out);
    files::run_pieces(plan, what, where.devices, out, w);
  } catch (...) {
    out.save();
    throw;
  }
  out.commit();
  w.report(out.bytes(), out.rows(), true);
  return summary_of(plan, where, out, w);
}

// The same for all ways that lead to a file.
std::string place_of(const std::string& path) {
  const std::filesystem::path p(path);
  const std::filesystem::path folder = p.has_parent_path() ? p.parent_path() : ".";
  std::error_code failure;
  const auto found = std::filesystem::weakly_canonical(folder, failure);
  return ((failure ? folder : found) / p.filename()).string();
}

// Each of the two writes to names of its own: totals at OUT.npy.partial would be renamed to OUT.npy.
void check_totals_path(const char* operation, const std::string& out_path, const pipeline_options& options) {
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
std::uint64_t digest(const tensor& b) {
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
std::string kinds_of(const std::vector<device>& devices) {
  std::string kinds;
  for (const auto& d : devices)
    for (const auto& info : sluice::devices())
      if (info.where == d) kinds += (kinds.empty() ? "" : "; ") + info.description;
  return kinds;
}

}  // namespace

pipeline_summary rowsum_file(const file_stream& in, const std::string& out_path, const pipeline_options& options) {
  constexpr const char* name = "rowsum_file";
  check_totals_path(name, out_path, options);
  const auto where = files::choose(name, in, options, nullptr);
  const dtype type = rowsum_dtype(in.dtype());
  const run_plan plan{name,
                      in,
                      options,
                      out_path,
                      cut_for_rowsum(in, options, where.devices),
                      type,
                      in.shape().first(in.shape().rank() - 1),
                      static_cast<std::int64_t>(size_of(type)),
                      {}};
  return run(plan, where, [](const files::result_file& out) { return files::rowsum_operation(out.cut(), out.totals()); });
}

pipeline_summary matmul_file(const file_stream& in, const tensor& b, const std::string& out_path,
                             const pipeline_options& options, precision p) {
  constexpr const char* name = "matmul_file";
  if (!options.column_totals.empty())
    throw error(error_code::invalid_argument, "[matmul_file] column_totals are rowsum_file's: leave them out");
  if (b.rank() != 2)
    throw error(error_code::invalid_argument,
                fmt::format("[matmul_file] b is {}: it must have two dimensions", b.shape().str()));
  static_cast<void>(result_of(matmul_op(), {{in.dtype(), {0, in.columns()}}, {b.dtype(), b.shape()}}));  // throws what does not fit
  const auto where = files::choose(name, in, options, &b);
  const std::int64_t row = checked_product(b.extent(1), static_cast<std::int64_t>(size_of(b.dtype())));
  const run_plan plan{name,
                      in,
                      options,
                      out_path,
                      cut_for_matmul(in, row, where.devices),
                      b.dtype(),
                      {in.rows(), b.extent(1)},
                      row,
                      {{"b", fmt::format("{} with strides {}, {:016x}", b.shape().str(), b.strides().str(), digest(b))},
                       {"precision", p == precision::strict ? "strict" : "tensor_core"},
                       {"devices", kinds_of(where.devices)}}};
  return run(plan, where, [&](const files::result_file&) { return files::matmul_operation(b, where.devices, p); });
}

}  // namespace SLUICE_ABI
}  // namespace sluice

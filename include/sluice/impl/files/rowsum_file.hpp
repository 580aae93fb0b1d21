// rowsum_file: sums of rows, and of columns in the same pass.
#pragma once

#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "sluice/impl/files/column_totals.hpp"
#include "sluice/impl/files/pipeline.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// What one thread reads and computes at once on the CPU: it stays in the caches in between. Smaller chunks were slower and
// larger ones no faster on two shared cores, whose ceilings moved by a factor of two between hours: 256 KiB gave 15 GB/s,
// 512 KiB 16 to 17, 1 MiB 18 to 21, up to 8 MiB 18 to 19.
inline constexpr std::int64_t cpu_chunk_bytes = 1 << 20;
inline constexpr std::int64_t cpu_total_bytes = 16 << 20;  // 1,024 rows of them, when columns are summed too
inline constexpr std::int64_t device_total_bytes = 128 << 20;

class rowsum_chunks final : public chunk_op {
 public:
  // Sums of parts of rows are joined before they are rounded to `result`.
  rowsum_chunks(const chunk_plan& chunks, totals_mode t, dtype of, dtype result)
      : options_{chunks.splits_rows() ? unrounded_rowsum_dtype(of) : result}, totals_(t) {}

  [[nodiscard]] chunk_result run(const tensor& rows) const override {
    chunk_result r;
    r.rows = rowsum(rows, rows.device(), options_);
    if (totals_ == totals_mode::by_chunk) r.totals = rowsum_unrounded(rows.transpose(), rows.device());
    return r;
  }
  [[nodiscard]] bool keeps_rows() const noexcept override { return totals_ == totals_mode::from_rows; }

 private:
  rowsum_options options_;
  totals_mode totals_;
};

// `sum` bytes of the result a row.
inline chunk_plan plan_for_rowsum(const file_stream& in, const pipeline_options& options, const std::vector<device>& devices,
                                  std::int64_t sum) {
  const bool cpu = on_cpu(devices);
  const std::int64_t usual = cpu ? fitting_chunk_bytes(in, in.row_bytes(), sum, cpu_chunk_bytes) : device_chunk_bytes;
  std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes() : usual;
  if (cpu) bytes = std::min(bytes, usual);
  const chunk_plan c = files::plan_for_sums(in.rows(), in.columns(), element_bytes(in), bytes, sum);
  return options.column_totals.empty() ? c : files::column_totals::fit(c, bytes, cpu ? cpu_total_bytes : device_total_bytes);
}

// Equal for all paths that lead to one file.
inline std::string place_of(const std::string& path) {
  const std::filesystem::path p(path);
  const std::filesystem::path folder = p.has_parent_path() ? p.parent_path() : ".";
  std::error_code failure;
  const auto found = std::filesystem::weakly_canonical(folder, failure);
  return ((failure ? folder : found) / p.filename()).string();
}

// The two must not share temporary names: totals at OUT.npy.partial would be renamed to OUT.npy.
inline void check_totals_path(const char* operation, const std::string& out_path, const pipeline_options& options) {
  if (options.column_totals.empty() || out_path.empty()) return;
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

inline pipeline_summary rowsum_to(const destination& to, const file_stream& in, const pipeline_options& options) {
  constexpr const char* name = "rowsum_file";
  check_totals_path(name, to.path, options);
  const dtype type = result_of(rowsum_op(), {{in.dtype(), {0, in.columns()}}}, rowsum_options{options.result_dtype}).dtype;
  static_cast<void>(npy_header_bytes(type, {0}));  // throws what no .npy has
  const auto where = choose_devices(name, in, options, nullptr);
  const auto sum = static_cast<std::int64_t>(size_of(type));
  run_key more;
  if (type != rowsum_dtype(in.dtype())) more.emplace_back("result_dtype", name_of(type));
  const run_plan plan{name,
                      in,
                      options,
                      to,
                      plan_for_rowsum(in, options, where.devices, sum),
                      type,
                      in.shape().first(in.shape().rank() - 1),
                      sum,
                      more,
                      cpu_budget_bytes};
  return run_to_file(plan, where,
                     [&](const result_file& out) { return rowsum_chunks(out.chunks(), out.totals(), in.dtype(), type); });
}

}  // namespace files

SLUICE_FUNC pipeline_summary rowsum_file(const file_stream& in, const std::string& out_path,
                                         const pipeline_options& options) {
  return files::rowsum_to({out_path}, in, options);
}

SLUICE_FUNC pipeline_summary rowsum_file(const file_stream& in, const write_callback& write,
                                         const pipeline_options& options) {
  return files::rowsum_to({"", &write}, in, options);
}

}  // namespace SLUICE_ABI
}  // namespace sluice

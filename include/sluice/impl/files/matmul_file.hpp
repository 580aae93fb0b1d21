// matmul_file: rows of a stream times a matrix in memory.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sluice/impl/files/pipeline.hpp"
#include "sluice/ops/matmul.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

inline constexpr std::int64_t cpu_product_bytes = 4 << 20;  // of a chunk on the CPU, whatever the number of threads
// For as many threads as there usually are: with half of 16 threads products took 1.5 times as long.
inline constexpr std::int64_t product_budget_bytes = 4 * cpu_budget_bytes;

class matmul_chunks final : public chunk_op {
 public:
  matmul_chunks(const tensor& b, const std::vector<device>& devices, precision p) : precision_(p) {
    for (const auto& d : devices) there_.push_back(b.to(d));  // with its strides
  }

  [[nodiscard]] chunk_result run(const tensor& rows) const override {
    for (const auto& b : there_)
      if (b.device() == rows.device()) return {matmul(rows, b, rows.device(), precision_), {}, {}, 0};
    throw error(error_code::internal, "[matmul_file] a chunk is on a device without b");
  }

 private:
  std::vector<tensor> there_;
  precision precision_;
};

inline chunk_plan plan_for_matmul(const file_stream& in, std::int64_t result_row_bytes, const std::vector<device>& devices) {
  const std::int64_t bytes = in.chunk_bytes() > 0 ? in.chunk_bytes()
                             : on_cpu(devices)    ? cpu_product_bytes
                                                  : device_chunk_bytes;
  return files::plan_rows(in.rows(), in.columns(), element_bytes(in), bytes, in.chunk_bytes() > 0 ? 1 : result_row_bytes);
}

// Distinguishes one b from another; no guard against forgery.
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

inline std::string kinds_of(const std::vector<device>& devices) {
  std::string kinds;
  for (const auto& d : devices)
    for (const auto& info : sluice::devices())
      if (info.where == d) kinds += (kinds.empty() ? "" : "; ") + info.description;
  return kinds;
}

// What the bits of a product depend on: strict's on the operands alone, others' on the device and b's strides, too.
inline run_key product_key(const tensor& b, const std::vector<device>& devices, precision p) {
  const bool strict = p == precision::strict;
  const auto layout = strict ? std::string() : fmt::format(" with strides {}", b.strides().str());
  run_key key{{"precision", std::string(precision_of(matmul_op(), p)->name)},
              {"order", strict ? "chains of 1024" : "any"},  // journals without it are of products in another order
              {"b", fmt::format("{}{}, {:016x}", b.shape().str(), layout, digest_of(b))}};
  if (!strict) key.emplace_back("devices", kinds_of(devices));
  return key;
}

inline pipeline_summary matmul_to(const destination& to, const file_stream& in, const tensor& b,
                                  const pipeline_options& options, precision p) {
  constexpr const char* name = "matmul_file";
  if (!options.column_totals.empty())
    throw error(error_code::invalid_argument, "[matmul_file] column_totals are rowsum_file's: leave them out");
  if (options.result_dtype)
    throw error(error_code::invalid_argument, "[matmul_file] result_dtype is rowsum_file's: a product has the file's dtype");
  if (b.rank() != 2)
    throw error(error_code::invalid_argument,
                fmt::format("[matmul_file] b is {}: it must have two dimensions", b.shape().str()));
  static_cast<void>(
      result_of(matmul_op(), {{in.dtype(), {0, in.columns()}}, {b.dtype(), b.shape()}}));  // throws what does not fit
  const auto where = choose_devices(name, in, options, &b);
  const std::int64_t row = checked_product(b.extent(1), static_cast<std::int64_t>(size_of(b.dtype())));
  const run_plan plan{name,
                      in,
                      options,
                      to,
                      plan_for_matmul(in, row, where.devices),
                      b.dtype(),
                      {in.rows(), b.extent(1)},
                      row,
                      product_key(b, where.devices, p),
                      product_budget_bytes};
  return run_to_file(plan, where, [&](const result_file&) { return matmul_chunks(b, where.devices, p); });
}

}  // namespace files

SLUICE_FUNC pipeline_summary matmul_file(const file_stream& in, const tensor& b, const std::string& out_path,
                                         const pipeline_options& options, precision p) {
  return files::matmul_to({out_path}, in, b, options, p);
}

SLUICE_FUNC pipeline_summary matmul_file(const file_stream& in, const tensor& b, const write_callback& write,
                                         const pipeline_options& options, precision p) {
  return files::matmul_to({"", &write}, in, b, options, p);
}

}  // namespace SLUICE_ABI
}  // namespace sluice

// What is computed of a chunk, on the device that holds it.
#pragma once

#include "sluice/impl/files/chunk_plan.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// What comes of a piece.
struct chunk_result {
  tensor rows;                   // to be written; sums of a row's part are not rounded yet
  tensor totals;                 // of columns, not rounded; empty when nobody asked or the rows are kept
  tensor kept;                   // the piece itself, on the CPU, where totals are made of it later
  std::int64_t input_bytes = 0;  // of the piece
};

class chunk_op {
 public:
  virtual ~chunk_op() = default;
  [[nodiscard]] virtual chunk_result run(const tensor& rows) const = 0;
  // Whether the host's copy of a piece is still needed after run().
  [[nodiscard]] virtual bool keeps_rows() const noexcept { return false; }
};

class rowsum_chunks final : public chunk_op {
 public:
  enum class totals { none, by_chunk, from_rows };
  rowsum_chunks(const chunk_plan& cut, totals t) : unrounded_(cut.splits_rows()), totals_(t) {}

  [[nodiscard]] chunk_result run(const tensor& rows) const override {
    chunk_result r;
    r.rows = unrounded_ ? rowsum_unrounded(rows, rows.device()) : rowsum(rows, rows.device());
    if (totals_ == totals::by_chunk) r.totals = rowsum_unrounded(rows.transpose(), rows.device());
    return r;
  }
  [[nodiscard]] bool keeps_rows() const noexcept override { return totals_ == totals::from_rows; }

 private:
  bool unrounded_;
  totals totals_;
};

class matmul_chunks final : public chunk_op {
 public:
  matmul_chunks(const tensor& b, const std::vector<device>& devices, precision p) : precision_(p) {
    for (const auto& d : devices) there_.push_back(b.to(d));  // its strides as they are: the bits depend on them
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

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

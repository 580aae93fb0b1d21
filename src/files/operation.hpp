// What is done with a piece of rows, on the device that it is on.
#pragma once

#include "cutting.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice::files {

// What comes of a piece.
struct piece_result {
  tensor rows;                   // to be written; sums of a row's part are not rounded yet
  tensor totals;                 // of columns, not rounded; empty when nobody asked or the rows are kept
  tensor kept;                   // the piece itself, on the CPU, where totals are made of it later
  std::int64_t input_bytes = 0;  // of the piece
};

class operation {
 public:
  virtual ~operation() = default;
  [[nodiscard]] virtual piece_result run(const tensor& rows) const = 0;
  // Whether the host's copy of a piece is still needed after run().
  [[nodiscard]] virtual bool keeps_rows() const noexcept { return false; }
};

class rowsum_operation final : public operation {
 public:
  enum class totals { none, by_piece, from_rows };
  rowsum_operation(const cutting& cut, totals t) : unrounded_(cut.cuts_rows()), totals_(t) {}

  [[nodiscard]] piece_result run(const tensor& rows) const override {
    piece_result r;
    r.rows = unrounded_ ? rowsum_unrounded(rows, rows.device()) : rowsum(rows, rows.device());
    if (totals_ == totals::by_piece) r.totals = rowsum_unrounded(rows.transpose(), rows.device());
    return r;
  }
  [[nodiscard]] bool keeps_rows() const noexcept override { return totals_ == totals::from_rows; }

 private:
  bool unrounded_;
  totals totals_;
};

class matmul_operation final : public operation {
 public:
  matmul_operation(const tensor& b, const std::vector<device>& devices, precision p) : precision_(p) {
    for (const auto& d : devices) there_.push_back(b.to(d));  // its strides as they are: the bits depend on them
  }

  [[nodiscard]] piece_result run(const tensor& rows) const override {
    for (const auto& b : there_)
      if (b.device() == rows.device()) return {matmul(rows, b, rows.device(), precision_), {}, {}, 0};
    throw error(error_code::internal, "[matmul_file] a piece is on a device without b");
  }

 private:
  std::vector<tensor> there_;
  precision precision_;
};

}  // namespace sluice::files

// Totals of columns, in rowsum's order over rows. Pieces of 1,024 * 2^k rows bring theirs, which join as parts of a row do.
// Where 1,024 rows are too much memory, the 32 lanes of every column are kept here instead, and rows are added as they come.
#pragma once

#include "cutting.hpp"
#include "joiner.hpp"
#include "sluice/tensor.hpp"

namespace sluice::files {

class column_totals {
 public:
  // Throws limit_exceeded, with the numbers, when the lanes would take too much memory.
  column_totals(const cutting& cut, dtype of, const char* operation);

  // Cuts rows so that pieces bring their own totals, where 1,024 rows are at most `most` bytes; else leaves them as they
  // are.
  static cutting fit(const cutting& cut, std::int64_t bytes, std::int64_t most);
  static bool brought_by_pieces(const cutting& cut) { return !cut.cuts_rows() && cut.rows_per_piece % 1024 == 0; }

  void take(const tensor& unrounded);                 // a piece's own
  void take(std::int64_t piece, const tensor& rows);  // its rows, on the CPU

  // Of all rows.
  [[nodiscard]] tensor finish();

  // State after `pieces` of them: how long it is, and there and back.
  [[nodiscard]] std::size_t state_words(std::int64_t pieces) const;
  void append_state(words& out) const;
  void restore(std::int64_t pieces, std::span<const std::uint64_t> state);

 private:
  [[nodiscard]] std::uint64_t joined(std::int64_t pieces) const;
  [[nodiscard]] bool block_is_open(std::int64_t pieces) const;
  void clear_lanes();
  void fold();

  cutting cut_;
  dtype of_;
  bool floating_;
  bool by_pieces_;
  joiner blocks_;
  words lanes_;        // 32 of every column, lane after lane
  bool open_ = false;  // rows are in the lanes
};

}  // namespace sluice::files

// A stream's rows as pieces of work, numbered in the stream's order: each some whole rows, or each a part of one row that
// begins and ends where sums may be joined.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "sluice/shape.hpp"

namespace sluice::files {

struct cutting {
  std::int64_t rows = -1;  // -1: not known before the end
  std::int64_t columns = 0;
  std::int64_t element_bytes = 4;
  std::int64_t rows_per_piece = 1;
  std::int64_t part_columns = 0;  // of a row that is cut; else all of them

  [[nodiscard]] bool cuts_rows() const { return part_columns < columns; }
  [[nodiscard]] std::int64_t parts_per_row() const { return cuts_rows() ? (columns - 1) / part_columns + 1 : 1; }
  [[nodiscard]] std::int64_t row_bytes() const { return columns * element_bytes; }
  [[nodiscard]] std::int64_t piece_bytes() const { return rows_per_piece * part_columns * element_bytes; }  // at most
  [[nodiscard]] std::int64_t rows_at_most() const { return rows < 0 ? std::numeric_limits<std::int64_t>::max() : rows; }

  // As if without end where that is not known.
  [[nodiscard]] std::int64_t pieces() const {
    if (rows < 0) return std::numeric_limits<std::int64_t>::max();
    if (cuts_rows()) return checked_product(rows, parts_per_row());
    return rows / rows_per_piece + (rows % rows_per_piece != 0 ? 1 : 0);
  }
  // Rows that are whole before piece i, and bytes before it.
  [[nodiscard]] std::int64_t row(std::int64_t i) const {
    return std::min(rows_at_most(), i / parts_per_row() * rows_per_piece);
  }
  [[nodiscard]] std::int64_t byte(std::int64_t i) const {
    return row(i) * row_bytes() + i % parts_per_row() * part_columns * element_bytes;
  }
  [[nodiscard]] std::int64_t first_column(std::int64_t i) const { return i % parts_per_row() * part_columns; }
  [[nodiscard]] shape extents(std::int64_t i) const {
    if (cuts_rows()) return {1, std::min(part_columns, columns - first_column(i))};
    return {std::min(rows_per_piece, rows_at_most() - row(i)), columns};
  }
};

// Whole rows, about `bytes` of them and of what comes of them at most.
inline cutting cut_rows(std::int64_t rows, std::int64_t columns, std::int64_t element_bytes, std::int64_t bytes,
                        std::int64_t result_row_bytes) {
  cutting c{rows, columns, element_bytes, 1, columns};
  c.rows_per_piece = std::max<std::int64_t>(1, bytes / std::max<std::int64_t>({1, c.row_bytes(), result_row_bytes}));
  return c;
}

// The same for sums, where rows of more than twice that are cut.
inline cutting cut_for_sums(std::int64_t rows, std::int64_t columns, std::int64_t element_bytes, std::int64_t bytes,
                            std::int64_t sum_bytes) {
  cutting c = cut_rows(rows, columns, element_bytes, bytes, sum_bytes);
  if (c.row_bytes() / 2 <= bytes || columns <= 1024) return c;
  c.part_columns = 1024;
  while (c.part_columns * 2 * element_bytes <= bytes && c.part_columns * 2 < columns) c.part_columns *= 2;
  return c;
}

}  // namespace sluice::files

// How the rows of a stream are cut into chunks, numbered in the stream's order: each chunk is some whole rows, or a part of
// one row that begins and ends where sums may be joined.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "sluice/shape.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// Bytes that all threads together may hold: chunks, mapped regions, and results that wait for those before them. Each thread
// has an equal share, so that memory does not grow with the number of threads.
inline constexpr std::int64_t cpu_budget_bytes = 32 << 20;

struct chunk_plan {
  std::int64_t rows = -1;  // -1: not known before the end
  std::int64_t columns = 0;
  std::int64_t element_bytes = 4;
  std::int64_t rows_per_chunk = 1;
  std::int64_t chunk_columns = 0;  // less than `columns` where rows are split

  [[nodiscard]] bool splits_rows() const { return chunk_columns < columns; }
  [[nodiscard]] std::int64_t chunks_per_row() const { return splits_rows() ? (columns - 1) / chunk_columns + 1 : 1; }
  [[nodiscard]] std::int64_t row_bytes() const { return columns * element_bytes; }
  [[nodiscard]] std::int64_t chunk_bytes() const { return rows_per_chunk * chunk_columns * element_bytes; }  // at most
  [[nodiscard]] std::int64_t rows_at_most() const { return rows < 0 ? std::numeric_limits<std::int64_t>::max() : rows; }

  // The largest number there is where the number of rows is not known.
  [[nodiscard]] std::int64_t count() const {
    if (rows < 0) return std::numeric_limits<std::int64_t>::max();
    if (splits_rows()) return checked_product(rows, chunks_per_row());
    return rows / rows_per_chunk + (rows % rows_per_chunk != 0 ? 1 : 0);
  }
  // Whole rows before chunk i, and bytes before it.
  [[nodiscard]] std::int64_t row(std::int64_t i) const {
    return std::min(rows_at_most(), i / chunks_per_row() * rows_per_chunk);
  }
  [[nodiscard]] std::int64_t byte(std::int64_t i) const {
    return row(i) * row_bytes() + i % chunks_per_row() * chunk_columns * element_bytes;
  }
  [[nodiscard]] std::int64_t first_column(std::int64_t i) const { return i % chunks_per_row() * chunk_columns; }
  [[nodiscard]] shape extents(std::int64_t i) const {
    if (splits_rows()) return {1, std::min(chunk_columns, columns - first_column(i))};
    return {std::min(rows_per_chunk, rows_at_most() - row(i)), columns};
  }
};

// Whole rows: about `bytes` of input or of results at most.
inline chunk_plan plan_rows(std::int64_t rows, std::int64_t columns, std::int64_t element_bytes, std::int64_t bytes,
                            std::int64_t result_row_bytes) {
  chunk_plan c{rows, columns, element_bytes, 1, columns};
  c.rows_per_chunk = std::max<std::int64_t>(1, bytes / std::max<std::int64_t>({1, c.row_bytes(), result_row_bytes}));
  return c;
}

// The same for sums, where rows of more than twice that are split.
inline chunk_plan plan_for_sums(std::int64_t rows, std::int64_t columns, std::int64_t element_bytes, std::int64_t bytes,
                                std::int64_t sum_bytes) {
  chunk_plan c = plan_rows(rows, columns, element_bytes, bytes, sum_bytes);
  if (c.row_bytes() / 2 <= bytes || columns <= 1024) return c;
  c.chunk_columns = 1024;
  while (c.chunk_columns * 2 * element_bytes <= bytes && c.chunk_columns * 2 < columns) c.chunk_columns *= 2;
  return c;
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

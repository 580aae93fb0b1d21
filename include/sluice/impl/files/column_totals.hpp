// Totals of columns, in rowsum's order over rows. Chunks of 1,024 * 2^k rows have their own totals, which are joined as
// parts of a row are. Where 1,024 rows are too much memory, the 32 lanes of every column are kept here instead, and rows are
// added as they come.
#pragma once

#include <cstring>

#include <fmt/format.h>

#include "sluice/impl/files/chunk_plan.hpp"
#include "sluice/impl/files/rounded_sums.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

class column_totals {
 public:
  // Throws limit_exceeded, with the numbers, when the lanes would take too much memory.
  column_totals(const chunk_plan& chunks, dtype of, const char* operation);

  // Chunks that have their own totals, where 1,024 rows are at most `most` bytes; else `chunks` unchanged.
  static chunk_plan fit(const chunk_plan& chunks, std::int64_t bytes, std::int64_t most);
  static bool summed_by_chunk(const chunk_plan& chunks) {
    return !chunks.splits_rows() && chunks.rows_per_chunk % 1024 == 0;
  }

  void take(const tensor& unrounded);                 // totals of a chunk
  void take(std::int64_t chunk, const tensor& rows);  // its rows, on the CPU

  // Of all rows, rounded to `to`.
  [[nodiscard]] tensor finish(dtype to);

  // The state after `chunks` chunks: its length, the state itself, and the state put back.
  [[nodiscard]] std::size_t state_words(std::int64_t chunks) const;
  void append_state(words& out) const;
  void restore(std::int64_t chunks, std::span<const std::uint64_t> state);

 private:
  [[nodiscard]] std::uint64_t joined(std::int64_t chunks) const;
  [[nodiscard]] bool block_is_open(std::int64_t chunks) const;
  void clear_lanes();
  void fold();

  chunk_plan chunks_;
  bool floating_;
  bool by_chunk_;
  base::pairwise_accumulator blocks_;
  words lanes_;        // 32 of every column, lane after lane
  bool open_ = false;  // rows are in the lanes
};

inline constexpr std::int64_t most_lane_bytes = 256 << 20;  // 1,048,576 columns; a journal holds as much

inline column_totals::column_totals(const chunk_plan& chunks, dtype of, const char* operation)
    : chunks_(chunks),
      floating_(is_floating(of)),
      by_chunk_(summed_by_chunk(chunks)),
      blocks_(floating_, static_cast<std::size_t>(chunks.columns)) {
  if (by_chunk_) return;
  if (chunks.columns > most_lane_bytes / (8 * base::lane_count))
    throw error(
        error_code::limit_exceeded,
        fmt::format("[{}] totals of {} columns keep {} sums of 8 bytes each; more than {} bytes of them, {} columns, "
                    "are not taken",
                    operation, chunks.columns, base::lane_count, most_lane_bytes, most_lane_bytes / (8 * base::lane_count)));
  lanes_.resize(static_cast<std::size_t>(base::lane_count * chunks.columns));
  clear_lanes();
}

inline chunk_plan column_totals::fit(const chunk_plan& chunks, std::int64_t bytes, std::int64_t most) {
  const std::int64_t row = std::max<std::int64_t>(1, chunks.row_bytes());
  if (row > most / base::block_size) return chunks;
  chunk_plan c = chunks;
  c.chunk_columns = chunks.columns;
  c.rows_per_chunk = base::block_size;
  while (c.rows_per_chunk * 2 <= bytes / std::max<std::int64_t>(row, 8)) c.rows_per_chunk *= 2;
  return c;
}

inline void column_totals::take(const tensor& unrounded) {
  blocks_.add(words_at(unrounded.data(), static_cast<std::size_t>(chunks_.columns)));
}

inline void column_totals::take(std::int64_t chunk, const tensor& rows) {
  const tensor wide = rows.as(floating_ ? dtype::f64 : dtype::i64);
  const auto* from = static_cast<const std::byte*>(wide.data());
  const auto columns = static_cast<std::size_t>(wide.extent(1));
  const auto first_column = static_cast<std::size_t>(chunks_.first_column(chunk));
  words row(columns);
  for (std::int64_t r = chunks_.row(chunk), end = r + wide.extent(0); r < end; ++r, from += columns * 8) {
    if (columns > 0) std::memcpy(row.data(), from, columns * 8);
    std::uint64_t* lane = lanes_.data() + static_cast<std::size_t>(r % base::lane_count * chunks_.columns) + first_column;
    base::pairwise_accumulator::add_words(floating_, lane, row.data(), columns);
    open_ = true;
    const bool row_is_whole = first_column + columns == static_cast<std::size_t>(chunks_.columns);
    if (r % base::block_size == base::block_size - 1 && row_is_whole) fold();
  }
}

inline tensor column_totals::finish(dtype to) {
  if (open_) fold();
  return rounded(blocks_.take(), floating_, to);
}

inline void column_totals::clear_lanes() {
  std::fill(lanes_.begin(), lanes_.end(), floating_ ? std::bit_cast<std::uint64_t>(-0.0) : 0);
  open_ = false;
}

inline void column_totals::fold() {
  const auto columns = static_cast<std::size_t>(chunks_.columns);
  for (std::size_t half = base::lane_count / 2; half > 0; half /= 2)
    base::pairwise_accumulator::add_words(floating_, lanes_.data(), lanes_.data() + half * columns, half * columns);
  blocks_.add(words(lanes_.begin(), lanes_.begin() + chunks_.columns));
  clear_lanes();
}

inline std::uint64_t column_totals::joined(std::int64_t chunks) const {
  return static_cast<std::uint64_t>(by_chunk_ ? chunks : chunks_.row(chunks) / base::block_size);
}

inline bool column_totals::block_is_open(std::int64_t chunks) const {
  return !by_chunk_ && (chunks_.row(chunks) % base::block_size != 0 || chunks % chunks_.chunks_per_row() != 0);
}

inline std::size_t column_totals::state_words(std::int64_t chunks) const {
  return blocks_.state_words(joined(chunks)) + (block_is_open(chunks) ? lanes_.size() : 0);
}

inline void column_totals::append_state(words& out) const {
  blocks_.append_state(out);
  if (open_) out.insert(out.end(), lanes_.begin(), lanes_.end());
}

inline void column_totals::restore(std::int64_t chunks, std::span<const std::uint64_t> state) {
  const std::size_t in_blocks = blocks_.state_words(joined(chunks));
  blocks_.restore(joined(chunks), state.first(in_blocks));
  if (!block_is_open(chunks)) return;
  std::copy(state.begin() + static_cast<std::ptrdiff_t>(in_blocks), state.end(), lanes_.begin());
  open_ = true;
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "totals.hpp"

#include <cstring>

#include <fmt/format.h>

#include "sluice/ops/rowsum.hpp"

namespace sluice::files {
namespace {

constexpr std::int64_t block = 1024;
constexpr std::int64_t lanes = 32;
constexpr std::int64_t most_lane_bytes = 256 << 20;  // 1,048,576 columns; a journal holds as much

}  // namespace

column_totals::column_totals(const cutting& cut, dtype of, const char* operation)
    : cut_(cut),
      of_(of),
      floating_(is_floating(of)),
      by_pieces_(brought_by_pieces(cut)),
      blocks_(floating_, static_cast<std::size_t>(cut.columns)) {
  if (by_pieces_) return;
  if (cut.columns > most_lane_bytes / (8 * lanes))
    throw error(
        error_code::limit_exceeded,
        fmt::format("[{}] totals of {} columns keep {} sums of 8 bytes each; more than {} bytes of them, {} columns, "
                    "are not taken",
                    operation, cut.columns, lanes, most_lane_bytes, most_lane_bytes / (8 * lanes)));
  lanes_.resize(static_cast<std::size_t>(lanes * cut.columns));
  clear_lanes();
}

cutting column_totals::fit(const cutting& cut, std::int64_t bytes, std::int64_t most) {
  const std::int64_t row = std::max<std::int64_t>(1, cut.row_bytes());
  if (row > most / block) return cut;
  cutting c = cut;
  c.part_columns = cut.columns;
  c.rows_per_piece = block;
  while (c.rows_per_piece * 2 <= bytes / std::max<std::int64_t>(row, 8)) c.rows_per_piece *= 2;
  return c;
}

void column_totals::take(const tensor& unrounded) { blocks_.add(unrounded.data()); }

void column_totals::take(std::int64_t piece, const tensor& rows) {
  const tensor wide = rows.as(floating_ ? dtype::f64 : dtype::i64);
  const auto* from = static_cast<const std::byte*>(wide.data());
  const auto columns = static_cast<std::size_t>(wide.extent(1));
  const auto first_column = static_cast<std::size_t>(cut_.first_column(piece));
  words row(columns);
  for (std::int64_t r = cut_.row(piece), end = r + wide.extent(0); r < end; ++r, from += columns * 8) {
    if (columns > 0) std::memcpy(row.data(), from, columns * 8);
    std::uint64_t* lane = lanes_.data() + static_cast<std::size_t>(r % lanes * cut_.columns) + first_column;
    add_words(floating_, lane, row.data(), columns);
    open_ = true;
    const bool row_is_whole = first_column + columns == static_cast<std::size_t>(cut_.columns);
    if (r % block == block - 1 && row_is_whole) fold();
  }
}

tensor column_totals::finish() {
  if (open_) fold();
  const dtype to = rowsum_dtype(of_);
  std::vector<std::byte> rounded;
  append_rounded(blocks_.take(), to, rounded);
  tensor out({cut_.columns}, to);
  if (!rounded.empty()) std::memcpy(out.data(), rounded.data(), rounded.size());
  return out;
}

void column_totals::clear_lanes() {
  std::fill(lanes_.begin(), lanes_.end(), floating_ ? std::bit_cast<std::uint64_t>(-0.0) : 0);
  open_ = false;
}

void column_totals::fold() {
  const auto columns = static_cast<std::size_t>(cut_.columns);
  for (std::size_t half = lanes / 2; half > 0; half /= 2)
    add_words(floating_, lanes_.data(), lanes_.data() + half * columns, half * columns);
  blocks_.add(lanes_.data());
  clear_lanes();
}

std::uint64_t column_totals::joined(std::int64_t pieces) const {
  return static_cast<std::uint64_t>(by_pieces_ ? pieces : cut_.row(pieces) / block);
}

bool column_totals::block_is_open(std::int64_t pieces) const {
  return !by_pieces_ && (cut_.row(pieces) % block != 0 || pieces % cut_.parts_per_row() != 0);
}

std::size_t column_totals::state_words(std::int64_t pieces) const {
  return blocks_.state_words(joined(pieces)) + (block_is_open(pieces) ? lanes_.size() : 0);
}

void column_totals::append_state(words& out) const {
  blocks_.append_state(out);
  if (open_) out.insert(out.end(), lanes_.begin(), lanes_.end());
}

void column_totals::restore(std::int64_t pieces, std::span<const std::uint64_t> state) {
  const std::size_t in_blocks = blocks_.state_words(joined(pieces));
  blocks_.restore(joined(pieces), state.first(in_blocks));
  if (!block_is_open(pieces)) return;
  std::copy(state.begin() + static_cast<std::ptrdiff_t>(in_blocks), state.end(), lanes_.begin());
  open_ = true;
}

}  // namespace sluice::files

// An op applied to one chunk, on the device that holds it.
#pragma once

#include <cstdint>

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// The results of a chunk.
struct chunk_result {
  tensor rows;                   // to be written; sums of a part of a row are not rounded yet
  tensor totals;                 // of columns, not rounded; empty if not requested or if the rows are kept
  tensor kept;                   // the chunk itself, on the CPU, where totals are computed from it later
  std::int64_t input_bytes = 0;  // of the chunk
};

// How the column totals of a run are computed: not at all, by each chunk for its own rows, or from the rows in order.
enum class totals_mode { none, by_chunk, from_rows };

class chunk_op {
 public:
  virtual ~chunk_op() = default;
  [[nodiscard]] virtual chunk_result run(const tensor& rows) const = 0;
  // True if the chunk on the host is still needed after run().
  [[nodiscard]] virtual bool keeps_rows() const noexcept { return false; }
};

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

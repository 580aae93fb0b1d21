// The op resize: rows of the result go over the pool in bands, each through both passes. The kernels are in
// resize_kernels.hpp. A pass for the height adds whole rows; one for the width does the same on columns, which are
// transposed to lines of as many samples as a vector holds, and its results back.
#pragma once

#include <algorithm>
#include <atomic>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/memory.hpp"
#include "sluice/impl/cpu/resize_common.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace resizing {

#define SLUICE_KERNELS "sluice/impl/cpu/resize_kernels.hpp"
#include "sluice/impl/cpu/vector_levels.hpp"

// The weights of pixels [first, first + count) of a result.
class weight_table {
 public:
  weight_table(const base::resize_axis& axis, std::int64_t first, std::int64_t count)
      : first_(first), pairs_((axis.most_taps() + 1) / 2), pixels_(count), weights_(axis.changes() ? count * pairs_ : 0) {
    if (pixels_.data() == nullptr || (axis.changes() && weights_.data() == nullptr)) return;
    for (std::int64_t i = 0; i < count; ++i)
      if (axis.changes())
        weigh(axis, i);
      else
        pixels_.data()[i] = {first + i, 1, nullptr};
    ready_ = true;
  }

  explicit operator bool() const { return ready_; }
  const weighted_taps& operator[](std::int64_t pixel) const { return pixels_.data()[pixel - first_]; }
  // The taps of pixels [first, end), which follow each other.
  std::int64_t first_tap(std::int64_t first) const { return (*this)[first].first; }
  std::int64_t end_tap(std::int64_t end) const { return (*this)[end - 1].first + (*this)[end - 1].count; }

 private:
  void weigh(const base::resize_axis& axis, std::int64_t i) const {
    const base::resize_taps taps = axis.taps(first_ + i);
    weight_pair* const pairs = weights_.data() + i * pairs_;
    std::fill_n(pairs, pairs_, weight_pair{0, 0});
    axis.for_each_weight(first_ + i, [pairs](std::int64_t tap, std::int32_t weight) {
      pairs[tap / 2].set(tap % 2, static_cast<std::uint32_t>(weight));
    });
    pixels_.data()[i] = {taps.first, taps.count, pairs};
  }

  std::int64_t first_;
  std::int64_t pairs_;
  scratch<weighted_taps> pixels_;
  scratch<weight_pair> weights_;
  bool ready_ = false;
};

// Rows of samples.
template <class T>
struct row_view {
  T* data;
  std::int64_t stride;  // bytes from a row to the next one

  T* row(std::int64_t r) const { return data + r * stride; }
};
using source_rows = row_view<const std::uint8_t>;
using target_rows = row_view<std::uint8_t>;

// `count` images of one size, contiguous.
struct images {
  const std::uint8_t* pixels;
  std::uint8_t* result;
  std::int64_t count;
  std::int64_t channels;
};

// One call.
class call {
 public:
  call(const images& all, const base::resize_extents& extents)
      : all_(all),
        e_(extents),
        row_weights_(e_.rows, e_.top, e_.height),
        column_weights_(e_.columns, e_.left, e_.width),
        bands_(e_.height + 1) {}

  sluice_status run(sluice_message* message) {
    failed_ = !row_weights_ || !column_weights_ || bands_.data() == nullptr;
    if (!failed_) {
      cut_bands();
      const std::int64_t tasks = all_.count * band_count_;
      const std::int64_t bytes = all_.count * all_.channels * (needed_rows() * needed_columns() + e_.height * e_.width);
      if (tasks == 1 || bytes < serial_bytes)
        for (std::int64_t i = 0; i < tasks; ++i) run_band(i);
      else
        parallel_for(tasks, [this](std::int64_t i) { run_band(i); });
    }
    if (!failed_) return SLUICE_OK;
    return fail(SLUICE_OUT_OF_MEMORY, message,
                "[resize] no memory for the weights and the rows between both passes of %lld x %lld pixels to %lld x %lld",
                static_cast<long long>(e_.rows.in), static_cast<long long>(e_.columns.in),
                static_cast<long long>(e_.rows.out), static_cast<long long>(e_.columns.out));
  }

 private:
  static constexpr std::int64_t band_bytes = 256 << 10;  // between both passes: stays in the second-level cache
  static constexpr std::int64_t tile_bytes = 64 << 10;   // of lines that are transposed at once
  static constexpr std::int64_t most_tile_bytes = 4 << 20;

  std::int64_t needed_rows() const { return row_weights_.end_tap(e_.top + e_.height) - row_weights_.first_tap(e_.top); }
  std::int64_t needed_columns() const {
    return column_weights_.end_tap(e_.left + e_.width) - column_weights_.first_tap(e_.left);
  }
  bool width_then_height() const { return e_.rows.changes() && e_.columns.changes() && !e_.height_first; }

  // Rows that a band of rows [first, end) of the result has between its passes.
  std::int64_t rows_between(std::int64_t first, std::int64_t end) const {
    return width_then_height() ? row_weights_.end_tap(end) - row_weights_.first_tap(first) : end - first;
  }

  // Bands of as many rows between the passes as fit in the cache and leave enough of them for all threads: whole lines, so
  // that no part of a line is idle.
  void cut_bands() {
    const std::int64_t line = kernels_.line;
    const std::int64_t row = (e_.height_first ? needed_columns() : e_.width) * all_.channels;
    const std::int64_t all_rows = rows_between(e_.top, e_.top + e_.height);
    const std::int64_t wanted = host().parallel_size() > 1 ? 4 * host().parallel_size() / all_.count + 1 : 1;
    const std::int64_t even = (all_rows / wanted + line - 1) / line * line;
    const std::int64_t most = std::max(line, std::min(even, band_bytes / row / line * line));
    std::int64_t* const ends = bands_.data();
    ends[0] = e_.top;
    for (std::int64_t end = e_.top; end < e_.top + e_.height;) {
      const std::int64_t first = end++;
      while (end < e_.top + e_.height && rows_between(first, end + 1) <= most) ++end;
      ends[++band_count_] = end;
    }
  }

  void run_band(std::int64_t i) {
    const std::int64_t image = i / band_count_;
    const std::int64_t first = bands_.data()[i % band_count_];
    const std::int64_t end = bands_.data()[i % band_count_ + 1];
    const std::int64_t row = e_.columns.in * all_.channels;
    const std::int64_t result_row = e_.width * all_.channels;
    const source_rows from{all_.pixels + image * e_.rows.in * row, row};
    const target_rows to{all_.result + (image * e_.height + first - e_.top) * result_row, result_row};
    if (!e_.rows.changes())
      resize_width({from.row(first), row}, 0, end - first, to);
    else if (!e_.columns.changes())
      resize_height({from.data + e_.left * all_.channels, row}, 0, first, end, result_row, to);
    else if (e_.height_first)
      height_then_width(from, first, end, to);
    else
      width_then_height(from, first, end, to);
  }

  void width_then_height(const source_rows& from, std::int64_t first, std::int64_t end, const target_rows& to) {
    const std::int64_t first_row = row_weights_.first_tap(first);
    const std::int64_t rows = row_weights_.end_tap(end) - first_row;
    const scratch<std::uint8_t> between(rows * to.stride);
    if (between.data() == nullptr) return give_up();
    resize_width({from.row(first_row), from.stride}, 0, rows, {between.data(), to.stride});
    resize_height({between.data(), to.stride}, first_row, first, end, to.stride, to);
  }

  void height_then_width(const source_rows& from, std::int64_t first, std::int64_t end, const target_rows& to) {
    const std::int64_t first_column = column_weights_.first_tap(e_.left);
    const std::int64_t row = needed_columns() * all_.channels;
    const scratch<std::uint8_t> between((end - first) * row);
    if (between.data() == nullptr) return give_up();
    resize_height({from.data + first_column * all_.channels, from.stride}, 0, first, end, row, {between.data(), row});
    resize_width({between.data(), row}, first_column, end - first, to);
  }

  // Rows [first, end) of the resized image, of `bytes` each. `from` begins with row `first_row` of the image.
  void resize_height(const source_rows& from, std::int64_t first_row, std::int64_t first, std::int64_t end,
                     std::int64_t bytes, const target_rows& to) const {
    for (std::int64_t r = first; r < end; ++r)
      kernels_.sum({from.data - first_row * from.stride, from.stride, row_weights_[r], to.row(r - first), bytes});
  }

  // The window's columns of `rows` rows. `from` begins with column `first_column` of the image.
  void resize_width(const source_rows& from, std::int64_t first_column, std::int64_t rows, const target_rows& to) {
    if (!e_.columns.changes()) {
      for (std::int64_t r = 0; r < rows; ++r)
        std::memcpy(to.row(r), from.row(r) + e_.left * all_.channels, static_cast<std::size_t>(to.stride));
      return;
    }
    const std::int64_t pixel = all_.channels * kernels_.line;
    const std::int64_t most_taps = e_.columns.most_taps();
    const std::int64_t taps = std::min(needed_columns(), std::clamp(most_taps, tile_bytes / pixel, most_tile_bytes / pixel));
    const std::int64_t pixels = std::min(e_.width, tile_bytes / pixel);
    if (most_taps > taps) return sum_samples(from, first_column, rows, to);
    const scratch<std::uint8_t> lines((taps + pixels) * pixel + kernels_.line * kernels_.line);
    if (lines.data() == nullptr) return give_up();
    for (std::int64_t first = e_.left; first < e_.left + e_.width;) {
      const std::int64_t end = end_of_tile(first, pixels, taps);
      for (std::int64_t r = 0; r < rows; r += kernels_.line)
        resize_tile(from.row(r) - first_column * all_.channels, from.stride, std::min(kernels_.line, rows - r), first, end,
                    lines.data(), lines.data() + taps * pixel, to.row(r) + (first - e_.left) * all_.channels, to.stride);
      first = end;
    }
  }

  // As many pixels as have no more than `taps` taps together.
  std::int64_t end_of_tile(std::int64_t first, std::int64_t pixels, std::int64_t taps) const {
    std::int64_t end = first + 1;
    const std::int64_t most = std::min(e_.left + e_.width, first + pixels);
    while (end < most && column_weights_.end_tap(end + 1) - column_weights_.first_tap(first) <= taps) ++end;
    return end;
  }

  // Pixels [first, end) of up to `line` rows.
  void resize_tile(const std::uint8_t* from, std::int64_t from_stride, std::int64_t rows, std::int64_t first,
                   std::int64_t end, std::uint8_t* lines, std::uint8_t* results, std::uint8_t* to,
                   std::int64_t to_stride) const {
    const std::int64_t first_tap = column_weights_.first_tap(first);
    kernels_.to_lines(from + first_tap * all_.channels, from_stride, rows,
                      (column_weights_.end_tap(end) - first_tap) * all_.channels, lines);
    kernels_.sum_columns({lines, first_tap, all_.channels, &column_weights_[first], end - first, results});
    kernels_.to_rows(results, (end - first) * all_.channels, to, to_stride, rows);
  }

  // The width, for pixels of so many taps that their lines fit in no cache: sample by sample.
  void sum_samples(const source_rows& from, std::int64_t first_column, std::int64_t rows, const target_rows& to) const {
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = 0; i < e_.width * all_.channels; ++i) {
        const weighted_taps& taps = column_weights_[e_.left + i / all_.channels];
        const std::uint8_t* p = from.row(r) + (taps.first - first_column) * all_.channels + i % all_.channels;
        std::uint32_t sum = 1u << (base::resize_bits - 1);
        for (std::int64_t tap = 0; tap < taps.count; ++tap, p += all_.channels)
          sum += *p * taps.weights[tap / 2].get(tap % 2);
        to.row(r)[i] = static_cast<std::uint8_t>(std::min(255u, sum >> base::resize_bits));
      }
  }

  void give_up() { failed_ = true; }

  images all_;
  base::resize_extents e_;
  weight_table row_weights_;
  weight_table column_weights_;
  scratch<std::int64_t> bands_;  // where they begin, and the end of the last one
  std::int64_t band_count_ = 0;
  const kernels& kernels_ = kernels_in_use();
  std::atomic<bool> failed_{false};
};

}  // namespace resizing

inline sluice_status cpu_resize(std::int32_t, sluice_queue*, const sluice_array* inputs, std::int32_t,
                                const sluice_array* outputs, std::int32_t, const void* options, std::size_t options_size,
                                sluice_message* message) {
  const sluice_array& image = inputs[0];
  const int height = image.rank == 2 ? 0 : image.rank - 3;
  resizing::images all{static_cast<const std::uint8_t*>(image.data), static_cast<std::uint8_t*>(outputs[0].data), 1,
                       image.rank == 2 ? 1 : image.extents[image.rank - 1]};
  for (int i = 0; i < height; ++i) all.count *= image.extents[i];
  const auto extents = base::resize_extents_of<sluice_resize_options>(options, options_size, image.extents[height],
                                                                      image.extents[height + 1]);
  return resizing::call(all, extents).run(message);
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"

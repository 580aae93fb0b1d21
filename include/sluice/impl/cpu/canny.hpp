// The op canny: rows go over the pool in bands, each from bytes to edges; where bands touch, their edges are joined. The
// kernels are in canny_kernels.hpp, hysteresis in canny_flood.hpp.
#pragma once

#include <algorithm>
#include <atomic>
#include <new>
#include <span>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "sluice/impl/cpu/canny_common.hpp"
#include "sluice/impl/cpu/canny_flood.hpp"
#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/memory.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace edges {

#define SLUICE_KERNELS "sluice/impl/cpu/canny_kernels.hpp"
#include "sluice/impl/cpu/vector_levels.hpp"

// `count` images of one size, contiguous.
struct images {
  const std::uint8_t* pixels;
  std::uint8_t* edges;
  std::int64_t count;
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
};

// Columns of a strip: what its rows take stays in the first-level cache. Strips overlap, and whole cache lines of 16-bit
// values stay where they are: beside an inner border the gradients next to it are wrong, and not needed.
inline constexpr std::int64_t strip_columns = 1024;
inline constexpr std::int64_t strip_overlap = 32;

// What a band computes from, in one allocation. T holds a magnitude.
template <class T>
class band_memory {
 public:
  band_memory(std::int64_t width, std::int64_t channels) : row_(row_elements(width)), memory_(bytes(channels)) {
    if (memory_.data() == nullptr) return;
    char* next = memory_.data();
    for (auto& g : gradients_) {
      g.dx = take<std::int16_t>(next, 1);
      g.dy = take<std::int16_t>(next, 1);
      g.magnitude = take<T>(next, 1);
    }
    smooth_ = take<std::int16_t>(next, channels);
    difference_ = take<std::int16_t>(next, channels);
    if (channels == 3) planes_ = take<std::uint8_t>(next, 9);
    stack_ = reinterpret_cast<flood::entry*>(next);
  }

  explicit operator bool() const { return memory_.data() != nullptr; }

  // Of rows r - 2 to r at once.
  const gradient_row<T>& gradients(std::int64_t r) const { return gradients_[(r + 3) % 3]; }
  void clear(std::int64_t r) const {
    std::memset(gradients(r).magnitude - margin, 0, static_cast<std::size_t>(row_) * sizeof(T));
  }
  std::uint8_t* plane(std::int64_t r, std::int64_t channel) const { return planes_ + (r % 3 * 3 + channel) * row_; }
  std::int16_t* smooth() const { return smooth_; }
  std::int16_t* difference() const { return difference_; }
  std::span<flood::entry> stack() const { return {stack_, stack_entries}; }

 private:
  static constexpr std::int64_t stack_entries = 1024;

  std::int64_t bytes(std::int64_t channels) const {
    constexpr std::int64_t derivative = sizeof(std::int16_t), magnitude = sizeof(T), entry = sizeof(flood::entry);
    return row_ * (3 * (2 * derivative + magnitude) + 2 * channels * derivative + (channels == 3 ? 9 : 0)) +
           stack_entries * entry;
  }
  template <class E>
  E* take(char*& next, std::int64_t rows) const {
    E* first = reinterpret_cast<E*>(next) + margin;
    next += rows * row_ * std::int64_t{sizeof(E)};
    return first;
  }

  std::int64_t row_;
  scratch<char> memory_;
  gradient_row<T> gradients_[3]{};
  std::int16_t* smooth_ = nullptr;
  std::int16_t* difference_ = nullptr;
  std::uint8_t* planes_ = nullptr;
  flood::entry* stack_ = nullptr;
};

// One call. T holds a magnitude.
template <class T>
class call {
 public:
  call(const images& all, const base::canny_thresholds& thresholds)
      : all_(all),
        thresholds_(thresholds),
        stride_(words_of(all.width) + 1),
        band_rows_(rows_of_band(all)),
        bands_((all.height + band_rows_ - 1) / band_rows_),
        words_(2 * all.count * words_of_image()),
        bands_left_(all.count) {}

  sluice_status run(sluice_message* message) {
    failed_ = words_.data() == nullptr || bands_left_.data() == nullptr;
    if (!failed_) {
      for (std::int64_t i = 0; i < all_.count; ++i) new (bands_left_.data() + i) std::atomic(bands_);
      const std::int64_t tasks = all_.count * bands_;
      if (tasks == 1 || all_.count * all_.height * all_.width * (all_.channels + 1) < serial_bytes)
        for (std::int64_t i = 0; i < tasks; ++i) run_band(i);
      else
        parallel_for(tasks, [this](std::int64_t i) { run_band(i); });
    }
    if (!failed_) return SLUICE_OK;
    return fail(SLUICE_OUT_OF_MEMORY, message, "[canny] no memory for the bitmaps of %lld images of %lld x %lld pixels",
                static_cast<long long>(all_.count), static_cast<long long>(all_.height), static_cast<long long>(all_.width));
  }

 private:
  static constexpr std::int64_t band_pixels = 128 << 10;  // whose bitmaps and result stay in the second-level cache
  static constexpr std::int64_t least_rows = 16;

  static std::int64_t rows_of_band(const images& all) {
    const std::int64_t wanted = 4 * host().parallel_size() / all.count + 1;
    const std::int64_t even = (all.height + wanted - 1) / wanted;
    return std::max(least_rows, std::min(even, band_pixels / all.width));
  }

  std::int64_t words_of_image() const { return all_.height * stride_; }

  bitmaps bitmaps_of(std::int64_t image) const {
    std::uint64_t* first = words_.data() + 2 * image * words_of_image();
    return {first, first + words_of_image(), stride_};
  }

  void run_band(std::int64_t i) {
    const std::int64_t image = i / bands_;
    const std::int64_t first = i % bands_ * band_rows_;
    const std::int64_t last = std::min(all_.height, first + band_rows_);
    const band_memory<T> memory(std::min(all_.width, strip_columns + 2 * strip_overlap), all_.channels);
    if (!memory) {
      failed_ = true;
      return;
    }
    const bitmaps maps = bitmaps_of(image);
    for (std::int64_t column = 0; column < all_.width; column += strip_columns)
      find_candidates({image, first, last, column, std::min(all_.width, column + strip_columns)}, memory, maps);
    flood(maps, first, last, memory.stack()).run();
    write(image, first, last, maps);
    if (bands_left_.data()[image].fetch_sub(1, std::memory_order_acq_rel) == 1 && bands_ > 1)
      join_bands(image, memory.stack(), maps);
  }

  // A part of an image, whose gradients are found some columns wider.
  struct part {
    std::int64_t image;
    std::int64_t first_row, last_row;
    std::int64_t first_column, last_column;
    std::int64_t left = std::max<std::int64_t>(0, first_column - strip_overlap);
  };

  void find_candidates(const part& p, const band_memory<T>& memory, const bitmaps& maps) const {
    std::int64_t split = std::max<std::int64_t>(0, p.first_row - 2);  // the next row of 3 channels to be split
    for (std::int64_t r = p.first_row - 1; r <= p.last_row; ++r) {
      if (r < 0 || r == all_.height)
        memory.clear(r);
      else
        find_gradients(p, r, split, memory);
      if (r > p.first_row) suppress(p, r - 1, memory, maps);
    }
  }

  void find_gradients(const part& p, std::int64_t r, std::int64_t& split, const band_memory<T>& memory) const {
    const std::uint8_t* pixels = all_.pixels + (p.image * all_.height * all_.width + p.left) * all_.channels;
    const std::int64_t width = std::min(all_.width, p.last_column + strip_overlap) - p.left;
    gradient_arguments<T> g{{}, width, memory.smooth(), memory.difference(), memory.gradients(r)};
    const std::int64_t rows[3] = {std::max<std::int64_t>(0, r - 1), r, std::min(all_.height - 1, r + 1)};
    if (all_.channels == 1) {
      for (int k = 0; k < 3; ++k) g.rows[0][k] = pixels + rows[k] * all_.width;
      return kernels_.of<T>().grey_gradients(g);
    }
    for (; split <= rows[2]; ++split)
      kernels_.split(pixels + split * all_.width * 3, width,
                     {memory.plane(split, 0), memory.plane(split, 1), memory.plane(split, 2)});
    for (int c = 0; c < 3; ++c)
      for (int k = 0; k < 3; ++k) g.rows[c][k] = memory.plane(rows[k], c);
    kernels_.of<T>().colour_gradients(g);
  }

  void suppress(const part& p, std::int64_t r, const band_memory<T>& memory, const bitmaps& maps) const {
    const std::int64_t skip = p.first_column - p.left;
    const std::int64_t word = r * stride_ + p.first_column / word_pixels;
    const gradient_row<T>& at = memory.gradients(r);
    kernels_.of<T>().suppress({{at.dx + skip, at.dy + skip, at.magnitude + skip},
                               memory.gradients(r - 1).magnitude + skip,
                               memory.gradients(r + 1).magnitude + skip,
                               p.last_column - p.first_column,
                               thresholds_.low,
                               thresholds_.high,
                               maps.candidates + word,
                               maps.edges + word});
    if (p.last_column < all_.width) return;
    maps.candidates[(r + 1) * stride_ - 1] = 0;
    maps.edges[(r + 1) * stride_ - 1] = 0;
  }

  void write(std::int64_t image, std::int64_t first, std::int64_t last, const bitmaps& maps) const {
    std::uint8_t* to = all_.edges + image * all_.height * all_.width;
    for (std::int64_t r = first; r < last; ++r) kernels_.write(maps.edges + r * stride_, all_.width, to + r * all_.width);
  }

  // The last of an image's bands to end grows edges across the borders of all.
  void join_bands(std::int64_t image, std::span<flood::entry> stack, const bitmaps& maps) const {
    flood all_rows(maps, 0, all_.height, stack);
    std::uint8_t* to = all_.edges + image * all_.height * all_.width;
    const auto changed = [&](std::int64_t at) {
      const std::int64_t column = at % stride_ * word_pixels;
      kernels_.write(maps.edges + at, std::min(word_pixels, all_.width - column), to + at / stride_ * all_.width + column);
    };
    bool joined = true;
    for (std::int64_t r = band_rows_; r < all_.height; r += band_rows_) joined = all_rows.join(r - 1, changed) && joined;
    if (joined) return;
    all_rows.run();
    write(image, 0, all_.height, maps);
  }

  images all_;
  base::canny_thresholds thresholds_;
  std::int64_t stride_;
  std::int64_t band_rows_;
  std::int64_t bands_;
  scratch<std::uint64_t> words_;
  scratch<std::atomic<std::int64_t>> bands_left_;
  const kernels& kernels_ = kernels_in_use();
  std::atomic<bool> failed_{false};
};

}  // namespace edges

inline sluice_status cpu_canny(std::int32_t, sluice_queue*, const sluice_array* inputs, std::int32_t,
                               const sluice_array* outputs, std::int32_t, const void* options, std::size_t options_size,
                               sluice_message* message) {
  const sluice_array& image = inputs[0];
  const sluice_array& out = outputs[0];
  edges::images all{static_cast<const std::uint8_t*>(image.data),
                    static_cast<std::uint8_t*>(out.data),
                    1,
                    out.extents[out.rank - 2],
                    out.extents[out.rank - 1],
                    image.rank == out.rank ? 1 : image.extents[image.rank - 1]};
  for (int i = 0; i < out.rank - 2; ++i) all.count *= out.extents[i];
  const auto thresholds = base::canny_thresholds_of<sluice_canny_options>(options, options_size);
  return thresholds.squared ? edges::call<std::int32_t>(all, thresholds).run(message)
                            : edges::call<std::int16_t>(all, thresholds).run(message);
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"

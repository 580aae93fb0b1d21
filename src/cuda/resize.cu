// The op resize: memory for its weights and for what is between its passes, and the launches of its kernels.
#include <algorithm>
#include <cmath>

#include "memory.hpp"
#include "named_ops.hpp"
#include "resize_kernels.cuh"

namespace sluice::cuda {
namespace {

struct image_batch {
  const std::uint8_t* image;
  std::uint8_t* result;
  std::int64_t images = 1;
  std::int64_t channels = 1;
};

constexpr std::int64_t rounded_up(std::int64_t x, std::int64_t to) { return (x + to - 1) / to * to; }

// One call.
class resize_call {
 public:
  resize_call(device& d, sluice_queue& q, const image_batch& b, const base::resize_extents& e)
      : device_(d),
        queue_(q),
        batch_(b),
        e_(e),
        height_(table_of(e.rows, e.top, e.height, false)),
        width_(table_of(e.columns, e.left, e.width, true)),
        memory_(d, *d.memory, &q) {}

  sluice_status run(sluice_message* message) {
    const double samples = static_cast<double>(batch_.images * batch_.channels);
    queue_.add_work(15e-6 + 2e-12 * samples * static_cast<double>(e_.rows.in * e_.columns.in + e_.height * e_.width));
    if (const auto s = allocate(message); s != SLUICE_OK) return s;
    const auto most = static_cast<unsigned>((std::max(height_.count, width_.count) + weight_threads - 1) / weight_threads);
    find_weights<<<dim3(most, 2), weight_threads, 0, queue_.stream>>>(height_, width_);
    if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess)
      return device_.check(error, "weighing pixels", message);
    if (const cudaError_t error = passes(); error != cudaSuccess) return device_.check(error, "resizing", message);
    return SLUICE_OK;
  }

 private:
  static weight_table table_of(const base::resize_axis& axis, std::int64_t first, std::int64_t count, bool by_tap) {
    return {axis, first, count, axis.changes() ? axis.most_taps() : 1, nullptr, nullptr, nullptr, by_tap};
  }

  [[nodiscard]] bool both() const { return e_.rows.changes() && e_.columns.changes(); }

  // The part of an axis that the result needs.
  static base::resize_taps needed(const weight_table& t) {
    if (!t.axis.changes()) return {t.first, t.count};
    const auto first = t.axis.taps(t.first);
    const auto last = t.axis.taps(t.first + t.count - 1);
    return {first.first, last.first + last.count - first.first};
  }

  sluice_status allocate(sluice_message* message) {
    const auto table_words = [](const weight_table& t) { return t.count * (2 + t.stride); };
    const std::int64_t words = rounded_up(table_words(height_) + table_words(width_), 4);
    between_rows_ = e_.height_first ? e_.height : needed(height_).count;
    between_pitch_ = rounded_up((e_.height_first ? needed(width_).count : e_.width) * batch_.channels, 16);
    const std::int64_t between = both() ? batch_.images * between_rows_ * between_pitch_ : 0;
    if (const auto s = memory_.allocate(static_cast<std::size_t>(4 * words + between), message); s != SLUICE_OK) return s;
    auto* at = static_cast<std::int32_t*>(memory_.data());
    between_ = reinterpret_cast<std::uint8_t*>(at + words);
    for (weight_table* t : {&height_, &width_}) {
      t->first_tap = at;
      t->taps = at + t->count;
      t->weights = at + 2 * t->count;
      at += table_words(*t);
    }
    return SLUICE_OK;
  }

  // The image, whose row and column of these taps come first.
  [[nodiscard]] image_rows<const std::uint8_t> source(std::int64_t row, std::int64_t column) const {
    const std::int64_t pitch = e_.columns.in * batch_.channels;
    return {batch_.image + row * pitch + column * batch_.channels, pitch, e_.rows.in * pitch};
  }
  [[nodiscard]] image_rows<std::uint8_t> result() const {
    const std::int64_t pitch = e_.width * batch_.channels;
    return {batch_.result, pitch, e_.height * pitch};
  }
  [[nodiscard]] image_rows<std::uint8_t> between() const {
    return {between_, between_pitch_, between_rows_ * between_pitch_};
  }
  [[nodiscard]] image_rows<const std::uint8_t> what_is_between() const {
    return {between_, between_pitch_, between_rows_ * between_pitch_};
  }

  cudaError_t passes() const {
    const base::resize_taps rows = needed(height_);
    const base::resize_taps columns = needed(width_);
    const std::uint8_t* const image_end = batch_.image + batch_.images * e_.rows.in * e_.columns.in * batch_.channels;
    const std::uint8_t* const between_end = between_ + batch_.images * between_rows_ * between_pitch_;
    const std::int64_t result_bytes = e_.width * batch_.channels;
    if (!e_.columns.changes())
      return pass_of_height({source(rows.first, columns.first), result(), image_end, height_, batch_.images, e_.height,
                             result_bytes, rows.first});
    if (!e_.rows.changes())
      return pass_of_width({source(rows.first, columns.first), result(), image_end, width_, batch_.images, e_.height,
                            result_bytes, columns.first});
    if (e_.height_first) {
      const cudaError_t error = pass_of_height({source(rows.first, columns.first), between(), image_end, height_,
                                                batch_.images, e_.height, columns.count * batch_.channels, rows.first});
      if (error != cudaSuccess) return error;
      return pass_of_width(
          {what_is_between(), result(), between_end, width_, batch_.images, e_.height, result_bytes, columns.first});
    }
    const cudaError_t error = pass_of_width({source(rows.first, columns.first), between(), image_end, width_, batch_.images,
                                             rows.count, result_bytes, columns.first});
    if (error != cudaSuccess) return error;
    return pass_of_height(
        {what_is_between(), result(), between_end, height_, batch_.images, e_.height, result_bytes, rows.first});
  }

  static unsigned grid(std::int64_t blocks) {
    return static_cast<unsigned>(std::min<std::int64_t>(blocks, (std::int64_t{1} << 31) - 1));
  }

  cudaError_t pass_of_height(const pass_arguments& a) const {
    const std::int64_t chunks = (a.bytes + 4 * height_threads - 1) / (4 * height_threads);
    const unsigned blocks = grid(a.images * a.rows * chunks);
    const auto on_words = [](const auto& r) {
      return (reinterpret_cast<std::uintptr_t>(r.data) | static_cast<std::uintptr_t>(r.pitch) |
              static_cast<std::uintptr_t>(r.image_bytes)) %
                 4 ==
             0;
    };
    const bool whole = a.bytes % 4 == 0 || a.from.data == between_;
    if (on_words(a.from) && on_words(a.to) && whole)
      resize_height<true><<<blocks, height_threads, 0, queue_.stream>>>(a);
    else
      resize_height<false><<<blocks, height_threads, 0, queue_.stream>>>(a);
    return cudaGetLastError();
  }

  cudaError_t pass_of_width(const pass_arguments& a) const {
    return batch_.channels == 1 ? pass_of_width<1>(a) : pass_of_width<3>(a);
  }

  // Threads of a block, and bytes of shared memory for one of its rows: what the taps of so many pixels take, with 16 on
  // either side. Where not even a few pixels' fit, all is read in place.
  template <int C>
  cudaError_t pass_of_width(const pass_arguments& a) const {
    const double scale = a.table.axis.scale();
    for (const unsigned threads : {128u, 32u}) {
      const double taps = std::ceil(threads * scale) + static_cast<double>(a.table.stride);
      const double row = std::ceil((taps * C + 32) / 16) * 16;
      if (width_rows * row > staged_bytes) continue;
      const auto row_bytes = static_cast<unsigned>(row);
      resize_width<C, true><<<blocks_of_width(a, threads), threads, width_rows * row_bytes, queue_.stream>>>(a, row_bytes);
      return cudaGetLastError();
    }
    resize_width<C, false><<<blocks_of_width(a, 32), 32, 0, queue_.stream>>>(a, 0);
    return cudaGetLastError();
  }

  static unsigned blocks_of_width(const pass_arguments& a, unsigned threads) {
    return grid(a.images * ((a.rows + width_rows - 1) / width_rows) * ((a.table.count + threads - 1) / threads));
  }

  device& device_;
  sluice_queue& queue_;
  const image_batch batch_;
  const base::resize_extents e_;
  weight_table height_;
  weight_table width_;
  scratch memory_;
  std::uint8_t* between_ = nullptr;  // rows between both passes
  std::int64_t between_rows_ = 0;
  std::int64_t between_pitch_ = 0;
};

sluice_status cuda_resize(std::int32_t index, sluice_queue* queue, const sluice_array* inputs, std::int32_t,
                          const sluice_array* outputs, std::int32_t, const void* options, std::size_t options_size,
                          sluice_message* message) {
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  const sluice_array& in = inputs[0];
  const int height = in.rank == 2 ? 0 : in.rank - 3;
  image_batch batch{static_cast<const std::uint8_t*>(in.data), static_cast<std::uint8_t*>(outputs[0].data)};
  for (int i = 0; i < height; ++i) batch.images *= in.extents[i];
  if (in.rank > 2) batch.channels = in.extents[in.rank - 1];
  if (batch.images == 0) return SLUICE_OK;
  const auto extents =
      base::resize_extents_of<sluice_resize_options>(options, options_size, in.extents[height], in.extents[height + 1]);
  return resize_call(d, *queue, batch, extents).run(message);
}

const named_op resize("resize", cuda_resize);

}  // namespace
}  // namespace sluice::cuda

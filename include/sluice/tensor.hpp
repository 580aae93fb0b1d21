/// @file
/// A strided array of one dtype on one device. Copying a tensor copies the handle; clone() copies the data.
///
///     auto a = sluice::tensor::of<float>({{1, 2}, {3, 4}});
///     auto t = a.transpose();                 // the same memory
///     auto g = a.to("cuda:0");                // a copy there
///     auto v = a.view<float, 2>();  v(0, 1);  // 2
///
/// Operations on a device run asynchronously. Access from the host (a copy to the CPU, an export, a view of host memory that
/// is still being written) waits for them and throws what they failed with.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>

#include "sluice/device.hpp"
#include "sluice/dtype.hpp"
#include "sluice/shape.hpp"
#include "sluice/view.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

namespace core {
class storage;         // memory of one device, shared by the tensors over it
struct tensor_access;  // what the library itself sees of a tensor
}  // namespace core

/// A handle on strided memory. Rows of the last dimension are contiguous in a tensor that was just made.
class tensor {
 public:
  /// An empty f32 tensor of shape (0).
  tensor() : shape_{0}, strides_{1} {}

  /// Memory without values. Throws invalid_argument when `extents` is negative or too large, out_of_memory, unavailable when
  /// there is no such device. `kind` pinned gives host memory that `where` copies at full speed; the tensor is then on the
  /// CPU.
  SLUICE_API explicit tensor(const sluice::shape& extents, sluice::dtype type = dtype::f32,
                             const sluice::device& where = sluice::device::cpu, memory kind = memory::device);

  /// Every element is `value`, converted to `type`. Throws as the constructor does, and unsupported on a device that cannot
  /// fill.
  SLUICE_API static tensor full(const sluice::shape& extents, double value, sluice::dtype type = dtype::f32,
                                const sluice::device& where = sluice::device::cpu);
  /// Every element is 0.
  static tensor zeros(const sluice::shape& extents, sluice::dtype type = dtype::f32,
                      const sluice::device& where = sluice::device::cpu) {
    return full(extents, 0, type, where);
  }

  /// A copy of `values`, row-major, on the CPU. Throws invalid_argument when their number is not that of `extents`.
  template <class T>
  static tensor of(const sluice::shape& extents, std::span<const T> values) {
    tensor t(extents, dtype_of<T>);
    if (static_cast<std::int64_t>(values.size()) != t.count())
      throw error(error_code::invalid_argument, "[tensor::of] shape " + extents.str() + " has " + std::to_string(t.count()) +
                                                    (t.count() == 1 ? " element, and " : " elements, and ") +
                                                    std::to_string(values.size()) + " were given");
    std::copy(values.begin(), values.end(), static_cast<T*>(t.data()));
    return t;
  }
  /// A row of values: shape (n).
  template <class T>
  static tensor of(std::initializer_list<T> values) {
    return of<T>(sluice::shape{static_cast<std::int64_t>(values.size())}, std::span(values.begin(), values.size()));
  }
  /// A matrix, row by row: shape (rows, columns). Throws invalid_argument for rows of different lengths.
  template <class T>
  static tensor of(std::initializer_list<std::initializer_list<T>> rows) {
    const auto columns = static_cast<std::int64_t>(rows.size() == 0 ? 0 : rows.begin()->size());
    tensor t(sluice::shape{static_cast<std::int64_t>(rows.size()), columns}, dtype_of<T>);
    auto* out = static_cast<T*>(t.data());
    for (const auto& row : rows) {
      if (static_cast<std::int64_t>(row.size()) != columns)
        throw error(error_code::invalid_argument,
                    "[tensor::of] row " + std::to_string(&row - rows.begin()) + " has " + std::to_string(row.size()) +
                        (row.size() == 1 ? " element, row 0 has " : " elements, row 0 has ") + std::to_string(columns));
      out = std::copy(row.begin(), row.end(), out);
    }
    return t;
  }

  /// Views the caller's host memory without a copy. `keep_alive` is held as long as any tensor uses the memory; with none,
  /// the caller keeps the memory valid. Throws invalid_argument for a negative stride, for memory that is null or not
  /// aligned to an element, and for a reach beyond 63 bits.
  template <class T>
  static tensor wrap(T* data, const sluice::shape& extents, const sluice::strides& steps,
                     std::shared_ptr<void> keep_alive = nullptr) {
    return wrap(static_cast<void*>(data), dtype_of<T>, extents, steps, std::move(keep_alive));
  }
  /// The same, row-major.
  template <class T>
  static tensor wrap(T* data, const sluice::shape& extents, std::shared_ptr<void> keep_alive = nullptr) {
    return wrap(data, extents, row_major(extents), std::move(keep_alive));
  }
  /// The same for a dtype that is known at run time.
  SLUICE_API static tensor wrap(void* data, sluice::dtype type, const sluice::shape& extents, const sluice::strides& steps,
                                std::shared_ptr<void> keep_alive);

  [[nodiscard]] const sluice::shape& shape() const noexcept { return shape_; }        ///< extents, the outermost first
  [[nodiscard]] const sluice::strides& strides() const noexcept { return strides_; }  ///< in elements
  [[nodiscard]] sluice::dtype dtype() const noexcept { return dtype_; }               ///< of each element
  /// The device that owns the memory; the CPU for pinned memory as well.
  [[nodiscard]] SLUICE_API const sluice::device& device() const noexcept;
  [[nodiscard]] int rank() const noexcept { return shape_.rank(); }  ///< dimensions; 0: one element
  /// Of dimension `r` of [0, rank()), which is not checked.
  [[nodiscard]] std::int64_t extent(int r) const noexcept { return shape_[r]; }
  /// Of dimension `r` of [0, rank()), in elements; not checked either.
  [[nodiscard]] std::int64_t stride(int r) const noexcept { return strides_[r]; }
  [[nodiscard]] std::int64_t count() const { return shape_.count(); }  ///< elements
  /// Bytes of its elements. Throws invalid_argument when that does not fit in 63 bits, as broadcasting can cause.
  [[nodiscard]] std::size_t bytes() const { return byte_size(shape_, dtype_); }
  /// Whether it is row-major without gaps. Strides of extents 1 do not matter.
  [[nodiscard]] bool is_contiguous() const noexcept {
    std::int64_t step = 1;
    for (int i = rank() - 1; i >= 0; --i) {
      if (shape_[i] == 0) return true;
      if (shape_[i] != 1 && strides_[i] != step) return false;
      step = detail::next_step(step, shape_[i]);
    }
    return true;
  }

  /// The first element, in the memory of device(). Waits for work that still writes the memory, and throws what that failed
  /// with. Call data() again after enqueuing work; older pointers are not synchronised.
  [[nodiscard]] SLUICE_API const void* data() const;
  /// The same for writing: waits for work that still reads the memory as well.
  [[nodiscard]] SLUICE_API void* data();

  /// A typed window. Throws invalid_argument when T is not the dtype, R not the rank, or the tensor is not on the CPU.
  template <class T, int R>
  [[nodiscard]] sluice::view<T, R> view() {
    check_view(dtype_of<T>, R);
    return {static_cast<T*>(data()), extents_of<R>(shape_), extents_of<R>(strides_)};
  }
  /// The same for reading.
  template <class T, int R>
  [[nodiscard]] sluice::view<const T, R> view() const {
    check_view(dtype_of<T>, R);
    return {static_cast<const T*>(data()), extents_of<R>(shape_), extents_of<R>(strides_)};
  }

  /// The value of a tensor of one element, on any device, converted to T. Throws invalid_argument for another count.
  template <class T>
  [[nodiscard]] T item() const {
    if (count() != 1)
      throw error(error_code::invalid_argument, "[item] shape " + shape_.str() + " has more or less than one element");
    const tensor host = as(dtype_of<T>).to(sluice::device::cpu);
    return *static_cast<const T*>(host.data());
  }

  // Views of the same memory
  // ------------------------------------------------------------------------------------------------

  /// Dimensions a and b exchanged; the last two by default. Throws invalid_argument when the tensor has no such dimension.
  [[nodiscard]] SLUICE_API tensor transpose(int a = -2, int b = -1) const;
  /// Indices begin, begin + step, ... below end of one dimension. Throws invalid_argument unless 0 <= begin <= end <=
  /// extent, step >= 1.
  [[nodiscard]] SLUICE_API tensor slice(int dimension, std::int64_t begin, std::int64_t end, std::int64_t step = 1) const;
  /// Index i of the first dimension, which is removed. Throws invalid_argument for rank 0 and unless 0 <= i < extent(0).
  [[nodiscard]] SLUICE_API tensor operator[](std::int64_t i) const;
  /// Other extents with the same count. Throws invalid_argument when the count differs, or when it would take a copy.
  [[nodiscard]] SLUICE_API tensor reshape(const sluice::shape& extents) const;
  /// Extents of 1 repeated and leading dimensions added, as NumPy broadcasts. Throws invalid_argument when they do not fit.
  [[nodiscard]] SLUICE_API tensor broadcast_to(const sluice::shape& extents) const;

  // Copies
  // --------------------------------------------------------------------------------------------------------------------

  /// This tensor on `where`: itself when it is already there, else a copy. Throws unavailable, out_of_memory, device_lost.
  [[nodiscard]] SLUICE_API tensor to(const sluice::device& where) const;
  /// This tensor in another dtype: itself when it already has it, else a copy on the same device. Floats become integers
  /// by truncation, saturating, NaN as 0. Throws out_of_memory.
  [[nodiscard]] SLUICE_API tensor as(sluice::dtype type) const;
  /// A row-major copy on the same device. Throws out_of_memory.
  [[nodiscard]] SLUICE_API tensor clone() const;
  /// Itself when it is row-major without gaps, else clone().
  [[nodiscard]] tensor contiguous() const { return is_contiguous() ? *this : clone(); }
  /// Copies the values of `source` (same shape; any dtype and device) into this tensor's memory. Throws invalid_argument
  /// when the shapes differ.
  SLUICE_API void assign(const tensor& source);

 private:
  friend struct core::tensor_access;

  SLUICE_API static std::size_t byte_size(const sluice::shape& extents, sluice::dtype type);
  SLUICE_API void check_view(sluice::dtype type, int rank) const;
  [[nodiscard]] int dimension(int i, const char* operation) const;

  template <int R>
  static std::array<std::int64_t, R> extents_of(const sluice::shape& s) {
    std::array<std::int64_t, R> a{};
    for (int i = 0; i < R; ++i) a[static_cast<std::size_t>(i)] = s[i];
    return a;
  }

  std::shared_ptr<core::storage> storage_;
  std::byte* data_ = nullptr;
  sluice::shape shape_;
  sluice::strides strides_;
  sluice::dtype dtype_ = dtype::f32;
};

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/tensor.hpp"
#endif

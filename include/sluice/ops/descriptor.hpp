/// @file
/// What the library knows of an op: its operands, its result, its cost, how it is measured and how it runs. Placement,
/// calibration, files and the service work from these descriptors; none of them names an op.
///
///     for (const auto* op : sluice::all_ops()) std::cout << op->name << ": " << op->summary << '\n';   // ops/all.hpp
///     auto r = sluice::result_of(sluice::matmul_op(), {{dtype::f32, {2, 3}}, {dtype::f32, {3, 4}}});   // f32 (2, 4)
///     auto c = sluice::apply(sluice::matmul_op(), {a, b});                                             // as matmul(a, b)
#pragma once

#include <cstddef>

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// The most operands that an op takes.
inline constexpr int max_operands = 4;

/// An operand or a result without its values.
struct operand_spec {
  sluice::dtype dtype = dtype::f32;  ///< of its elements
  sluice::shape shape{};             ///< its extents
  device where = device::cpu;        ///< the device whose memory it is in
  bool pinned = false;               ///< host memory that devices copy at full speed
};

/// The operands of a call: refers to tensors that outlive it and copies none.
class operands {
 public:
  /// One of them: lets `{a, b}` be written for operands.
  struct reference {
    reference(const tensor& t) noexcept : to(&t) {}  ///< refers to `t`
    const tensor* to;                                ///< the tensor
  };

  /// Throws invalid_argument for more than max_operands tensors.
  operands(std::initializer_list<reference> all) {
    for (const auto& r : all) add(*r.to);
  }
  /// Likewise.
  explicit operands(std::span<const tensor> all) {
    for (const tensor& t : all) add(t);
  }
  [[nodiscard]] int size() const noexcept { return size_; }  ///< how many
  /// Operand `i` of [0, size()), which is not checked.
  const tensor& operator[](int i) const noexcept { return *all_[static_cast<std::size_t>(i)]; }
  /// Refers to another tensor as operand `i` of [0, size()), which is not checked.
  void replace(int i, const tensor& t) noexcept { all_[static_cast<std::size_t>(i)] = &t; }

 private:
  void add(const tensor& t) {
    if (size_ == max_operands) throw error(error_code::invalid_argument, "[apply] an op takes at most 4 operands");
    all_[static_cast<std::size_t>(size_++)] = &t;
  }

  std::array<const tensor*, max_operands> all_{};
  int size_ = 0;
};

/// An op's options: refers to a trivially copyable value of the op's own type. Empty: the defaults.
struct op_options {
  const void* data = nullptr;  ///< the value; null: the defaults
  std::size_t size = 0;        ///< its bytes

  constexpr op_options() = default;  ///< the defaults
  /// Refers to `value`, which outlives the call.
  template <class T>
  requires(std::is_trivially_copyable_v<T> && !std::is_same_v<T, op_options>) constexpr op_options(const T& value)
      : data(&value), size(sizeof(T)) {}
  /// The value, or `otherwise` when there is none. T is the op's own type.
  template <class T>
  [[nodiscard]] T value_or(const T& otherwise) const noexcept {
    return data != nullptr ? *static_cast<const T*>(data) : otherwise;
  }
};

/// What the elements of an op's input or result are.
enum class field_kind {
  numbers,  ///< any
  picture,  ///< u8 samples, (..., H, W) or (..., H, W, C): a service takes and gives them as image files too
  mask      ///< likewise, of 0 and 255 alone: PNG takes one bit for each
};

/// One input of an op, or its result.
struct op_field {
  std::string_view name;                  ///< letters, digits and '_'
  std::span<const sluice::dtype> dtypes;  ///< the dtypes taken or given; the first is the usual one
  int min_rank = 0;                       ///< dimensions at least
  int max_rank = sluice::max_rank;        ///< dimensions at most
  std::string_view summary{};             ///< its dimensions in words: "(..., m, k)"
  int usual_rank = 0;                     ///< the rank where only one can be stated; 0: min_rank, or 1 where that is 0
  field_kind kind = field_kind::numbers;  ///< what its elements are
};

/// A number or a name that a call may set, as `low` in /v1/canny?low=100. An op with such has `options_of`.
struct op_parameter {
  std::string_view name;     ///< letters, digits and '_'
  std::string_view summary;  ///< one line
  double usual = 0;          ///< where a call does not set it: the number, or the place of the name in `choices`
  std::span<const std::string_view> choices{};  ///< the names that it can be; empty: any finite number
};

/// Memory for an op's options.
struct option_storage {
  alignas(std::max_align_t) std::byte bytes[64];  ///< of any op's
};

/// What one call takes, as a function of its operands.
struct op_cost {
  double flops = 0;  ///< arithmetic operations
  double bytes = 0;  ///< read and written by the op; 0: every operand and the result once
};

/// Two kinds of shapes, which devices compute at different speeds.
enum class shape_class {
  square,  ///< matrices of about as many rows as columns, or rows of 1,024 elements
  skinny   ///< matrices of 8 rows, or rows of 8 elements
};

/// How a device's time for a call follows from what calibration measured.
enum class time_model {
  bandwidth,   ///< the time of square cases, by the bytes of the call
  row_length,  ///< between the times of skinny and square cases by bytes, as the rows are between 8 and 1,024 elements long
  roofline     ///< the larger of: the time of square cases by arithmetic, the time of skinny cases by bytes
};

/// One of the promises that an op can be asked for: which bits it gives, against how fast.
struct op_precision {
  std::string_view name;     ///< a string literal of letters and '_': "strict"
  std::string_view summary;  ///< one line
  op_options options{};      ///< that ask for it; they stay valid
};

/// Everything that the library knows of an op. Null functions stand for those of an elementwise op.
struct op_descriptor {
  std::string_view name;             ///< a string literal; with has_endpoint /v1/NAME and /v2/models/NAME of a service
  std::string_view summary;          ///< one line
  std::span<const op_field> inputs;  ///< at most max_operands
  op_field result;                   ///< the result
  /// The result's dtype where the first input has the given one. Null: the same.
  sluice::dtype (*result_dtype)(sluice::dtype first) = nullptr;
  /// Checks operands and returns the result's dtype and shape; throws invalid_argument. Null: dtypes and ranks are those of
  /// `inputs`, all shapes are equal, and so is the result's.
  operand_spec (*check)(std::span<const operand_spec> in, const op_options& options) = nullptr;
  /// Of operands that passed `check`. Null: one operation an element of the result.
  op_cost (*cost)(std::span<const operand_spec> in, const operand_spec& result) = nullptr;
  time_model model = time_model::bandwidth;  ///< how calibration's figures become predictions
  /// The square cases to measure, growing, in the unit of `calibration_operands`. Empty: the usual sizes of an elementwise
  /// op.
  std::span<const std::int64_t> square_sizes{};
  std::span<const std::int64_t> skinny_sizes{};  ///< the skinny cases, likewise
  /// Writes the dtypes and shapes of one case's operands. Null: `size` bytes each, in rows of 1,024 or 8 elements.
  void (*calibration_operands)(shape_class shapes, std::int64_t size, sluice::dtype type,
                               std::span<operand_spec> in) = nullptr;
  /// Runs the op through a slot of the backend's table; operands and result are on one device. Null: the backend's find_op()
  /// knows the op by `name` and gets contiguous arrays.
  void (*run)(const operands& in, tensor& out, const op_options& options) = nullptr;
  /// The options, otherwise the defaults, of a result of another dtype, which `check` may refuse; they stay valid. Null: the
  /// dtype of the result cannot be chosen.
  op_options (*options_for)(sluice::dtype result) = nullptr;
  /// The precisions that a caller may ask for; the first is the default. The dtype and the shape of the result are the same
  /// in all. Empty: there is no choice.
  std::span<const op_precision> precisions{};
  /// The number of the precision whose kernels compute precision `i` of `precisions`, for a dtype and on a device: `i`
  /// itself where it has its own, and their speed is measured. Null: every precision has its own everywhere.
  std::size_t (*computed_as)(std::size_t i, sluice::dtype type, const device& where) = nullptr;
  /// What callers that know the op by its name may set. Empty: nothing.
  std::span<const op_parameter> parameters{};
  /// The options for values of `parameters`, in their order, a name as its place in `choices`. They lie in `to`.
  op_options (*options_of)(std::span<const double> values, option_storage& to) = nullptr;
  /// Operands of at least this rank may be stacked along a new first dimension, and so is the result: a batch in one call.
  /// 0: not.
  int stacks_from_rank = 0;
  /// Whether a service offers it as /v1/NAME. Not where options that a client would set decide the extents of the result:
  /// endpoint::results, by which limits hold, is asked without them.
  bool has_endpoint = true;
};

/// The precision of `op` of that name; null: it has none.
inline const op_precision* find_precision(const op_descriptor& op, std::string_view name) noexcept {
  for (const auto& p : op.precisions)
    if (p.name == name) return &p;
  return nullptr;
}

/// The precision of `op` that has these options; null: the op has no choice, or `options` are none of them.
SLUICE_API const op_precision* precision_of(const op_descriptor& op, const op_options& options) noexcept;

/// Checks operands, and returns the dtype and shape of the result. Throws invalid_argument, with the rule that does not
/// hold.
SLUICE_API operand_spec result_of(const op_descriptor& op, std::span<const operand_spec> in, const op_options& options = {});
/// Likewise.
inline operand_spec result_of(const op_descriptor& op, std::initializer_list<operand_spec> in,
                              const op_options& options = {}) {
  return result_of(op, std::span(in.begin(), in.size()), options);
}

/// Places the call, runs it and accounts for its time. Operands elsewhere are copied to the device chosen, and the result is
/// there; of operands on the CPU, a device that placement chose returns the result to the CPU. Throws what result_of()
/// throws; unavailable when `where` requires a device that is missing; unsupported when the device cannot compute the op;
/// device_lost; out_of_memory. A failure on the device after this returns is thrown where the result is first needed on the
/// host.
SLUICE_API tensor apply(const op_descriptor& op, operands in, const device_request& where = {},
                        const op_options& options = {});

/// The same into memory that is there: runs on the device of `out`, which has the dtype and the shape of the result, and
/// copies operands that are elsewhere. Into an `out` that is not contiguous, or shares memory with an operand, the result is
/// copied. Throws what apply() throws, and invalid_argument when `out` has another dtype or shape, which leaves `out` as it
/// was; after another failure its values are unspecified.
SLUICE_API void apply_into(const op_descriptor& op, tensor& out, operands in, const op_options& options = {});

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY) || defined(SLUICE_DEFINE_OPS)
#include "sluice/impl/ops/descriptor.hpp"
#endif

/// @file
/// NumPy's .npy files and bodies, read strictly.
///
///     sluice::tensor a = sluice::read_npy("a.npy");
///     sluice::write_npy("sums.npy", sluice::rowsum(a));         // whole or not at all
///     std::string body = sluice::encode_npy(a);                 // the same bytes, to send
///     sluice::tensor b = sluice::decode_npy(std::as_bytes(std::span(body)));
///
/// Versions 1, 2 and 3. Element types: <f8, <f4, <f2, <i8, <i4 and |u1, also with '=' for the byte order; no others: bf16
/// has no .npy type (NumPy writes it as nameless '<V2'). Fortran order is a stride. A header holds the three keys once each;
/// Python 2's 3L is an extent in versions 1 and 2; nothing follows the last element.
///
/// Throws malformed for bytes that are no .npy, with where and what; unsupported for an element type or a rank (above 8)
/// that this library has not; io when the operating system refuses.
#pragma once

#include <optional>

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What a header says.
struct npy_header {
  sluice::dtype dtype = dtype::f32;  ///< of the elements
  sluice::shape shape;               ///< as NumPy shows it
  bool fortran_order = false;        ///< the first index changes fastest
  std::int64_t data_offset = 0;      ///< bytes before the first element

  /// Bytes of the elements. Fits in 63 bits, as does data_offset + data_bytes(), in a header that was parsed.
  [[nodiscard]] std::int64_t data_bytes() const { return shape.count() * static_cast<std::int64_t>(size_of(dtype)); }
};

/// No header that is taken has more bytes.
inline constexpr std::size_t npy_header_limit = 12 + 65535;

/// The header at the beginning of `prefix`, or nothing when a valid header may go on beyond it. With npy_header_limit bytes
/// the answer is never nothing. Throws malformed, unsupported.
SLUICE_API std::optional<npy_header> parse_npy_header(std::span<const std::byte> prefix);

/// The bytes before a row-major tensor's first element: version 1, a multiple of 64. Throws unsupported for bf16.
SLUICE_API std::string npy_header_bytes(dtype type, const shape& extents);

/// A tensor for the elements that follow `header`: read header.data_bytes() bytes straight into its data(). In Fortran order
/// its strides are column-major. `where` and `kind` as in tensor's constructor: pinned memory is host memory. Throws as that
/// does.
SLUICE_API tensor npy_tensor(const npy_header& header, const device& where = device::cpu, memory kind = memory::device);

/// The tensor that `bytes`, a whole .npy, hold; a copy, on the CPU. Throws malformed, unsupported, out_of_memory.
SLUICE_API tensor decode_npy(std::span<const std::byte> bytes);

/// `t` as a whole .npy, row-major; a string, because that is what bodies of messages are. Throws unsupported for bf16.
SLUICE_API std::string encode_npy(const tensor& t);

/// The tensor of a regular file, on the CPU. Throws io, malformed, unsupported, out_of_memory; invalid_argument for what is
/// no regular file.
SLUICE_API tensor read_npy(const std::string& path);

/// Writes PATH.partial, syncs it and renames it to `path`: at every moment there is the old file, or the new one, whole.
/// Throws invalid_argument when `path` is something other than a regular file, unsupported for bf16.
SLUICE_API void write_npy(const std::string& path, const tensor& t);

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/files/npy.hpp"
#include "sluice/impl/files/npy_header.hpp"
#endif

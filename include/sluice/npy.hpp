/// @file
/// NumPy's .npy and .npz files and bodies, read strictly.
///
///     sluice::tensor a = sluice::read_npy("a.npy");
///     sluice::write_npy("sums.npy", sluice::rowsum(a));         // whole or not at all
///     std::string body = sluice::encode_npy(a);                 // the same bytes, to send
///     sluice::tensor b = sluice::decode_npy(std::as_bytes(std::span(body)));
///     sluice::tensor w = sluice::read_npz("model.npz", "w");    // by name, as numpy.load("model.npz")["w"]
///
/// Versions 1, 2 and 3. Element types: f8, f4, f2, i8, i4 and u1, little-endian as they are and big-endian swapped. Others
/// become the next dtype that holds every value: bool u8; i1, i2 and u2 i32; u4 i64; u8 i64 too, where all of its values fit
/// (else unsupported, with the first that does not). No others: bf16 has no .npy type (NumPy writes it as nameless '<V2').
/// Fortran order is a stride. A header holds the three keys once each; Python 2's 3L is an extent in versions 1 and 2;
/// nothing follows the last element.
///
/// Throws malformed for bytes that are no .npy, with where and what; unsupported for an element type or a rank (above 8)
/// that this library has not; io when the operating system refuses.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Element types that files have and tensors have not, by NumPy's names; `same`: that of the tensor.
enum class npy_element : std::uint8_t { same, b1, i1, i2, u2, u4, u8 };

/// What a header says.
struct npy_header {
  sluice::dtype dtype = dtype::f32;         ///< of the tensor's elements
  sluice::shape shape;                      ///< as NumPy shows it
  bool fortran_order = false;               ///< the first index changes fastest
  std::int64_t data_offset = 0;             ///< bytes before the first element
  npy_element element = npy_element::same;  ///< what the file holds
  bool swapped = false;                     ///< in big-endian bytes

  /// Whether the file's elements are other bytes than the tensor's: convert_npy() makes these of those.
  [[nodiscard]] bool is_converted() const noexcept { return element != npy_element::same || swapped; }
  /// Bytes of an element in the file.
  [[nodiscard]] std::size_t element_bytes() const noexcept {
    switch (element) {
      case npy_element::same: return size_of(dtype);
      case npy_element::b1:
      case npy_element::i1: return 1;
      case npy_element::i2:
      case npy_element::u2: return 2;
      case npy_element::u4: return 4;
      case npy_element::u8: return 8;
    }
    return 0;
  }
  /// Bytes of the elements in the file. Fits in 63 bits, as do data_offset + data_bytes() and the bytes of the tensor, in a
  /// header that was parsed.
  [[nodiscard]] std::int64_t data_bytes() const { return shape.count() * static_cast<std::int64_t>(element_bytes()); }
};

/// No header that is taken has more bytes.
inline constexpr std::size_t npy_header_limit = 12 + 65535;

/// The header at the beginning of `prefix`, or nothing when a valid header may go on beyond it. With npy_header_limit bytes
/// the answer is never nothing. Throws malformed, unsupported.
SLUICE_API std::optional<npy_header> parse_npy_header(std::span<const std::byte> prefix);

/// The bytes before a row-major tensor's first element: version 1, a multiple of 64. Throws unsupported for bf16.
SLUICE_API std::string npy_header_bytes(dtype type, const shape& extents);

/// A tensor for the elements that follow `header`: read header.data_bytes() bytes straight into its data(), or through
/// convert_npy() where header.is_converted(). In Fortran order its strides are column-major. `where` and `kind` as in
/// tensor's constructor: pinned memory is host memory. Throws as that does.
SLUICE_API tensor npy_tensor(const npy_header& header, const device& where = device::cpu, memory kind = memory::device);

/// Makes the elements of a tensor at `to` of those that a file holds: `from` is whole elements, number `first` the first of
/// them, for messages. `to` is from.data() or does not overlap it: in place only where both have the same size. Throws
/// malformed for a truth value other than 0 and 1, unsupported for a u8 of 2^63 and more.
SLUICE_API void convert_npy(const npy_header& header, std::span<const std::byte> from, void* to, std::int64_t first = 0);

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

/// A member of an .npz, which is a zip archive of .npy files.
struct npz_member {
  std::string name;               ///< as numpy.load gives it: "a" of "a.npy". Never a path
  std::int64_t bytes = 0;         ///< of the .npy
  std::int64_t stored_bytes = 0;  ///< in the archive
  std::int64_t offset = 0;        ///< of these, in the archive
  std::uint32_t crc = 0;          ///< CRC-32 of the .npy
  bool compressed = false;        ///< by deflate, as numpy.savez_compressed does; else stored as it is
};

/// The members of an .npz, in its own order: at most 4,096. Throws
/// - malformed for what is no zip archive, or one with a comment or bytes behind it, whose headers disagree, two members of
///   one name, members that share bytes, or sizes that deflate cannot give;
/// - unsupported for encrypted members and methods other than stored and deflated;
/// - limit_exceeded for more members, or a directory of more than 1 MiB.
SLUICE_API std::vector<npz_member> npz_members(std::span<const std::byte> archive);
/// Of a regular file. Throws the same, io, and invalid_argument for what is no regular file.
SLUICE_API std::vector<npz_member> npz_members(const std::string& path);

/// The tensor of one member, on the CPU: its CRC is checked. Compressed members need zlib (libz.so.1), which is looked for
/// when the first one is read. Throws as npz_members and decode_npy do; invalid_argument, with the names that are there, for
/// another; unsupported for a compressed member where there is no zlib.
SLUICE_API tensor decode_npz(std::span<const std::byte> archive, std::string_view member);
/// Of a regular file. Throws the same, and io.
SLUICE_API tensor read_npz(const std::string& path, std::string_view member);

/// Fills `out`, of member.bytes bytes, with a member's .npy, and checks its CRC. A stored one may be checked in place: `out`
/// is then its bytes in `archive`. Throws invalid_argument for another size or a member of something else; malformed,
/// unsupported, out_of_memory.
SLUICE_API void unpack_npz(std::span<const std::byte> archive, const npz_member& member, std::span<std::byte> out);

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/files/npy.hpp"
#include "sluice/impl/files/npy_convert.hpp"
#include "sluice/impl/files/npy_header.hpp"
#include "sluice/impl/files/npz.hpp"
#endif

// .npy files whole, and as bytes.
#pragma once

#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "sluice/impl/files/npy_convert.hpp"
#include "sluice/impl/files/npy_header.hpp"
#include "sluice/impl/files/output.hpp"
#include "sluice/npy.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// `name` and `size` are of all there is: a file's, or a body's.
inline void check_length(const npy_header& h, const std::string& name, std::int64_t size) {
  const std::int64_t whole = h.data_offset + h.data_bytes();
  if (size == whole) return;
  throw error(error_code::malformed,
              fmt::format("[npy] {} has {} bytes, {} {} than the {} of a header of {} and of shape {} of {}", name, size,
                          size < whole ? whole - size : size - whole, size < whole ? "fewer" : "more", whole, h.data_offset,
                          h.shape.str(), npy_name_of(h)));
}

[[noreturn]] inline void fail_truncated(const std::string& name, std::int64_t size) {
  throw error(error_code::malformed, fmt::format("[npy] {} has {} bytes: it ends inside its header", name, size));
}

inline std::span<std::byte> memory_of_tensor(tensor& t) { return {static_cast<std::byte*>(t.data()), t.bytes()}; }
inline std::span<const std::byte> memory_of_tensor(const tensor& t) {
  return {static_cast<const std::byte*>(t.data()), t.bytes()};
}

inline npy_header read_npy_header(const std::function<std::span<const std::byte>(std::size_t)>& peek,
                                  const std::string& name) {
  // No more than the header needs: the writer of a pipe may send the rest later.
  for (std::size_t count = 128;; count = std::min(2 * count, npy_header_limit)) {
    const auto prefix = peek(count);
    if (const auto h = parse_npy_header(prefix)) return *h;
    if (prefix.size() < count) fail_truncated(name, static_cast<std::int64_t>(prefix.size()));
  }
}

inline npy_header read_npy_header(const file& in, std::int64_t begin) {
  std::vector<std::byte> prefix;
  const auto peek = [&](std::size_t count) -> std::span<const std::byte> {
    prefix.resize(count);
    return std::span(prefix).first(in.read_some(begin, prefix));
  };
  const npy_header h = read_npy_header(peek, in.path());
  check_length(h, in.path(), in.size() - begin);
  return h;
}

// Threads read and convert this many elements at once.
inline constexpr std::int64_t converted_elements = 1 << 17;

inline void read_converted(const file& in, const npy_header& h, std::byte* to) {
  const auto count = h.shape.count();
  const auto stored = static_cast<std::int64_t>(h.element_bytes());
  parallel_for((count + converted_elements - 1) / converted_elements, [&](std::int64_t i) {
    const std::int64_t first = i * converted_elements;
    std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(converted_elements, count - first) * stored));
    in.read(h.data_offset + first * stored, bytes);
    convert_npy(h, bytes, to + first * static_cast<std::int64_t>(size_of(h.dtype)), first);
  });
}

}  // namespace files

SLUICE_FUNC tensor npy_tensor(const npy_header& header, const device& where, memory kind) {
  const int rank = header.shape.rank();
  if (!header.fortran_order) return tensor(header.shape, header.dtype, where, kind);
  shape reversed = header.shape;
  std::reverse(reversed.begin(), reversed.end());
  tensor t(reversed, header.dtype, where, kind);
  for (int i = 0; i < rank / 2; ++i) t = t.transpose(i, rank - 1 - i);
  return t;
}

SLUICE_FUNC tensor decode_npy(std::span<const std::byte> bytes) {
  const auto size = static_cast<std::int64_t>(bytes.size());
  const auto h = parse_npy_header(bytes);
  if (!h) files::fail_truncated("the body", size);
  files::check_length(*h, "the body", size);
  tensor t = npy_tensor(*h);
  const auto to = files::memory_of_tensor(t);
  const auto from = bytes.subspan(static_cast<std::size_t>(h->data_offset));
  if (h->is_converted())
    convert_npy(*h, from, to.data());
  else if (!to.empty())
    std::memcpy(to.data(), from.data(), to.size());
  return t;
}

SLUICE_FUNC std::string encode_npy(const tensor& t) {
  std::string body = npy_header_bytes(t.dtype(), t.shape());
  const tensor host = t.to(device::cpu).contiguous();
  const auto from = files::memory_of_tensor(host);
  if (!from.empty()) body.append(reinterpret_cast<const char*>(from.data()), from.size());
  return body;
}

SLUICE_FUNC tensor read_npy(const std::string& path) {
  const files::file in(path, "read_npy");
  const npy_header h = files::read_npy_header(in);
  tensor t = npy_tensor(h);
  if (h.is_converted())
    files::read_converted(in, h, files::memory_of_tensor(t).data());
  else
    in.read_parallel(h.data_offset, files::memory_of_tensor(t));
  return t;
}

SLUICE_FUNC void write_npy(const std::string& path, const tensor& t) {
  const std::string header = npy_header_bytes(t.dtype(), t.shape());
  const tensor host = t.to(device::cpu).contiguous();
  files::output out(path, "write_npy");
  out.start_over();
  out.write(0, std::as_bytes(std::span(header)));
  out.write(static_cast<std::int64_t>(header.size()), files::memory_of_tensor(host));
  out.commit();
}

}  // namespace SLUICE_ABI
}  // namespace sluice

// Deflated bytes, by the zlib that the process has or the system finds: nothing is linked for it, in either form of the
// library, and stored members of archives need none.
#pragma once

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/impl/base/library.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// zlib's z_stream, whose layout is part of its binary interface: inflateInit2_ is told the size and refuses another.
struct zlib_stream {
  const unsigned char* next_in = nullptr;
  unsigned avail_in = 0;
  unsigned long total_in = 0;
  unsigned char* next_out = nullptr;
  unsigned avail_out = 0;
  unsigned long total_out = 0;
  const char* msg = nullptr;
  void* state = nullptr;
  void* (*zalloc)(void*, unsigned, unsigned) = nullptr;
  void (*zfree)(void*, void*) = nullptr;
  void* opaque = nullptr;
  int data_type = 0;
  unsigned long adler = 0;
  unsigned long reserved = 0;
};

struct zlib_functions {
  int (*init)(zlib_stream*, int window_bits, const char* version, int stream_size) = nullptr;
  int (*inflate)(zlib_stream*, int flush) = nullptr;
  int (*end)(zlib_stream*) = nullptr;
  std::string missing;  // why there are none
};

inline zlib_functions load_zlib(const std::string& name) {
  zlib_functions z;
  void* const module = base::open_module(name, z.missing);
  if (module == nullptr) return z;
  z.init = reinterpret_cast<decltype(z.init)>(base::find_symbol(module, "inflateInit2_"));
  z.inflate = reinterpret_cast<decltype(z.inflate)>(base::find_symbol(module, "inflate"));
  z.end = reinterpret_cast<decltype(z.end)>(base::find_symbol(module, "inflateEnd"));
  if (z.init == nullptr || z.inflate == nullptr || z.end == nullptr) z = {.missing = name + " is no zlib"};
  return z;
}

inline const zlib_functions& zlib() {
#if defined(_WIN32)
  static const zlib_functions found = load_zlib(base::own_folder() + "/zlib1.dll");  // never the working directory's
#elif defined(__APPLE__)
  static const zlib_functions found = load_zlib("/usr/lib/libz.1.dylib");
#else
  static const zlib_functions found = load_zlib("libz.so.1");
#endif
  return found;
}

// Raw deflated bytes, without a header of zlib's or gzip's.
class inflater {
 public:
  // Puts the next deflated bytes into `out` and returns how many; 0: there are no more.
  using input = std::function<std::size_t(std::span<std::byte> out)>;

  // `name` is the member's, for messages. Throws unsupported where there is no zlib.
  inflater(input in, std::string name, const zlib_functions& z = zlib())
      : in_(std::move(in)), name_(std::move(name)), z_(z) {
    if (z_.init == nullptr)
      throw error(error_code::unsupported,
                  fmt::format("[npz] {} is compressed, and there is no zlib to read it ({}): install it, or save the file "
                              "with numpy.savez, which does not compress",
                              name_, z_.missing));
    constexpr int raw = -15;
    if (const int status = z_.init(&stream_, raw, "1", static_cast<int>(sizeof stream_)); status != 0)
      throw error(status == -4 ? error_code::out_of_memory : error_code::unsupported,
                  fmt::format("[npz] {} is compressed, and zlib does not start: status {}", name_, status));
  }
  ~inflater() { z_.end(&stream_); }
  inflater(const inflater&) = delete;
  inflater& operator=(const inflater&) = delete;

  // Fills `out`, or as much of it as there is before the end; returns the bytes. Throws malformed.
  std::size_t next(std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      if (stream_.avail_in == 0) refill();
      const auto wanted = std::min<std::size_t>(out.size() - done, INT_MAX);
      stream_.next_out = reinterpret_cast<unsigned char*>(out.data() + done);
      stream_.avail_out = static_cast<unsigned>(wanted);
      const int status = z_.inflate(&stream_, 0);
      const std::size_t got = wanted - stream_.avail_out;
      done += got;
      ended_ = status == 1;
      if (status == -4) throw error(error_code::out_of_memory, fmt::format("[npz] {}: zlib has no memory", name_));
      if (status != 0 && status != 1) fail(stream_.msg != nullptr ? stream_.msg : "it is cut short");
    }
    return done;
  }

  // Whether the deflated bytes are at their end, with none behind them.
  [[nodiscard]] bool at_end() {
    std::byte none;
    if (!ended_ && next({&none, 1}) > 0) return false;
    if (stream_.avail_in == 0 && !in_ended_) refill();
    return ended_ && stream_.avail_in == 0;
  }

 private:
  void refill() {
    const std::size_t n = in_(buffer_);
    in_ended_ = n == 0;
    stream_.next_in = reinterpret_cast<const unsigned char*>(buffer_.data());
    stream_.avail_in = static_cast<unsigned>(n);
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw error(error_code::malformed, fmt::format("[npz] {} does not decompress: {}", name_, why));
  }

  input in_;
  std::string name_;
  const zlib_functions& z_;
  zlib_stream stream_;
  std::vector<std::byte> buffer_{std::size_t{1} << 16};
  bool in_ended_ = false;
  bool ended_ = false;
};

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

// Content codings: bodies decoded, and answers' bodies compressed.
#pragma once

#include <httplib.h>

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/service/message.hpp"

#ifdef CPPHTTPLIB_ZLIB_SUPPORT
#include <zlib.h>
#endif

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {

// While it lives, httplib sees nothing to act upon in the header called `name`: newer lines refuse any coding they do not
// know.
class header_set_aside {
 public:
  header_set_aside(httplib::Request& r, const char* name) : at_(r.headers.find(name)), there_(at_ != r.headers.end()) {
    if (there_) value_ = std::exchange(at_->second, "");
  }
  ~header_set_aside() {
    if (there_) at_->second = std::move(value_);
  }
  header_set_aside(const header_set_aside&) = delete;
  header_set_aside& operator=(const header_set_aside&) = delete;

 private:
  const httplib::Headers::iterator at_;
  const bool there_;
  std::string value_{};
};

// A compressed body as it comes. httplib's own decoders take one that is cut short for whole, and its sums would be those of
// a part; and they know of a gzip file's first member alone.
class decoder {
 public:
  decoder() = default;
  virtual ~decoder() = default;
  decoder(const decoder&) = delete;
  decoder& operator=(const decoder&) = delete;

  // Passes on what `bytes`, 4 GiB at most, decode to. False when they are damaged, or `take` has had enough.
  virtual bool decode(std::string_view bytes, const body_receiver& take) = 0;
  // Whether what came could be all; asked once, at the end.
  [[nodiscard]] virtual bool at_end() noexcept = 0;
};

#ifdef CPPHTTPLIB_ZLIB_SUPPORT

// gzip, and deflate, which is zlib's format.
class zlib_decoder final : public decoder {
 public:
  zlib_decoder() {
    constexpr int window = 15, any_header = 32;
    if (inflateInit2(&z_, window + any_header) != Z_OK) throw std::bad_alloc();
  }
  ~zlib_decoder() override { inflateEnd(&z_); }

  bool decode(std::string_view bytes, const body_receiver& take) override {
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z_.avail_in = static_cast<uInt>(bytes.size());
    do {
      if (at_end_ && z_.avail_in == 0) return true;
      if (at_end_ && inflateReset(&z_) != Z_OK) return false;
      z_.next_out = reinterpret_cast<Bytef*>(room_.data());
      z_.avail_out = static_cast<uInt>(room_.size());
      const int result = inflate(&z_, Z_NO_FLUSH);
      at_end_ = result == Z_STREAM_END;
      if (!at_end_ && result != Z_OK && result != Z_BUF_ERROR) return false;
      if (const auto n = room_.size() - z_.avail_out; n > 0 && !take({room_.data(), n})) return false;
    } while (z_.avail_in > 0 || z_.avail_out == 0);
    return true;
  }
  [[nodiscard]] bool at_end() noexcept override { return at_end_; }

 private:
  z_stream z_{};
  std::vector<char> room_ = std::vector<char>(1 << 16);
  bool at_end_ = false;
};

// `pieces` as one stream, in "gzip" or in "deflate", which is zlib's format, in pieces of a megabyte. At zlib's fastest:
// numbers gain little by more, and the next level takes twice as long.
inline std::vector<body_piece> compressed(const std::vector<body_piece>& pieces, std::string_view coding) {
  constexpr int window = 15, memory = 8, gzip = 16;
  z_stream z{};
  if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, coding == "gzip" ? window + gzip : window, memory, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> ended(&z, deflateEnd);
  constexpr std::size_t piece_bytes = 1 << 20;
  std::vector<body_piece> all;
  std::string out;
  std::vector<char> room(1 << 16);
  const auto run = [&](std::string_view in, int flush) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    z.avail_in = static_cast<uInt>(in.size());
    do {
      z.next_out = reinterpret_cast<Bytef*>(room.data());
      z.avail_out = static_cast<uInt>(room.size());
      deflate(&z, flush);
      out.append(room.data(), room.size() - z.avail_out);
      if (out.size() < piece_bytes) continue;
      all.push_back(body_piece::of(std::move(out)));
      out = {};
      out.reserve(piece_bytes + room.size());
    } while (z.avail_out == 0);
  };
  for (const auto& piece : pieces)
    for (auto rest = piece.bytes; !rest.empty();) {  // zlib counts in 32 bits
      const auto part = rest.substr(0, 1u << 30);
      run(part, Z_NO_FLUSH);
      rest.remove_prefix(part.size());
    }
  run({}, Z_FINISH);
  all.push_back(body_piece::of(std::move(out)));
  return all;
}

#endif

#ifdef CPPHTTPLIB_BROTLI_SUPPORT

// One stream, by httplib's decoder, which is linked already.
class brotli_decoder final : public decoder {
 public:
  bool decode(std::string_view bytes, const body_receiver& take) override {
    return sound_ = coded_.decompress(bytes.data(), bytes.size(), [&](const char* data, std::size_t n) {
      return n == 0 || take({data, n});
    });
  }
  // Once the stream has ended it takes no more, not even nothing.
  [[nodiscard]] bool at_end() noexcept override {
    return sound_ && !coded_.decompress("", 0, [](const char*, std::size_t) { return true; });
  }

 private:
  httplib::detail::brotli_decompressor coded_;
  bool sound_ = true;
};

#endif

// For a body in `coding`; null: it is as it is.
inline std::unique_ptr<decoder> decoder_for([[maybe_unused]] std::string_view coding) {
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  if (coding == "gzip" || coding == "deflate") return std::make_unique<zlib_decoder>();
#endif
#ifdef CPPHTTPLIB_BROTLI_SUPPORT
  if (coding == "br") return std::make_unique<brotli_decoder>();
#endif
  return nullptr;
}

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice

// Finds the end of a body while its bytes pass: httplib gets no byte of the next request.
#pragma once

#include <httplib.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

#include "sluice/hardened/head.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// The decoded size of a compressed body: httplib 0.11.4 decodes without a limit, so the bytes are decoded here as well, only
// to be counted.
class decoded_size {
 public:
  explicit decoded_size(std::string_view encoding) {
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
    if (encoding == "gzip" || encoding == "deflate") decoder_ = std::make_unique<httplib::detail::gzip_decompressor>();
#endif
#ifdef CPPHTTPLIB_BROTLI_SUPPORT
    if (encoding == "br") decoder_ = std::make_unique<httplib::detail::brotli_decompressor>();
#endif
    static_cast<void>(encoding);
  }
  // True while the size is within `limit`. Corrupt data counts as within: httplib refuses it.
  bool add(std::string_view bytes, std::uint64_t limit) {
    if (!decoder_ || !decoder_->is_valid()) return true;
    const bool going = decoder_->decompress(bytes.data(), bytes.size(), [&](const char*, std::size_t n) {
      size_ += n;
      return size_ <= limit;
    });
    if (!going) decoder_.reset();
    return size_ <= limit;
  }

 private:
  std::unique_ptr<httplib::detail::decompressor> decoder_{};
  std::uint64_t size_ = 0;
};

class body {
 public:
  static constexpr auto no_limit = std::numeric_limits<std::uint64_t>::max();

  body(const head& h, std::uint64_t limit)
      : limit_(limit),
        left_(static_cast<std::uint64_t>(h.length)),
        at_(h.chunked      ? state::size
            : h.length > 0 ? state::plain
                           : state::done),
        decoded_(limit == no_limit ? std::string_view{} : h.encoding) {
    if (left_ > limit) why_ = {413, "the body is larger than this server allows"};
  }

  [[nodiscard]] bool done() const noexcept { return at_ == state::done; }
  [[nodiscard]] const http_error& why() const noexcept { return why_; }
  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }  // without chunks
  // True from the last chunk's size line to the empty line behind the trailers.
  [[nodiscard]] bool in_trailers() const noexcept { return at_ == state::trailer; }

  // Returns how many of the first `bytes` belong to the body; 0 on an error. Stops once where the trailers begin.
  std::size_t take(std::string_view bytes) {
    std::size_t taken = 0;
    const bool behind = in_trailers();
    while (taken < bytes.size() && !done() && !why_ && in_trailers() == behind) {
      if (at_ == state::plain || at_ == state::data)
        taken += take_data(bytes.substr(taken));
      else
        take_framing(bytes[taken++]);
    }
    return why_ ? 0 : taken;
  }

 private:
  enum class state { plain, size, extension, size_end, data, data_end, data_end_2, trailer, done };

  void refuse(int status, const char* detail) noexcept {
    if (!why_) why_ = {status, detail};
  }

  std::size_t take_data(std::string_view bytes) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    left_ -= n;
    if (!decoded_.add(bytes.substr(0, n), limit_)) refuse(413, "the decoded body is larger than this server allows");
    if (left_ == 0) at_ = at_ == state::plain ? state::done : state::data_end;
    return n;
  }

  // 5;name=value CR LF data CR LF ... 0 CR LF name: value CR LF CR LF
  void take_framing(char c) {
    switch (at_) {
      case state::size: return take_size(c);
      case state::extension:
        if (++spare_ > 256) return refuse(400, "a chunk extension is longer than 256 bytes");
        if (c == '\r') at_ = state::size_end;
        return c == '\n' ? refuse(400, "a chunk's size does not end with CR LF") : void();
      case state::size_end: return end_size(c);
      case state::data_end: return expect(c, '\r', state::data_end_2);
      case state::data_end_2: return digits_ = 0, expect(c, '\n', state::size);
      default: return take_trailer(c);
    }
  }

  void take_size(char c) {
    const int digit = hex_digit(c);
    if (digit >= 0 && digits_ < 15) {
      left_ = left_ * 16 + static_cast<unsigned>(digit);
      ++digits_;
    } else if (digits_ > 0 && (c == '\r' || c == ';')) {
      at_ = c == '\r' ? state::size_end : state::extension;
    } else {
      refuse(400, "a chunk size is not a hexadecimal number");
    }
  }

  void end_size(char c) {
    if (c != '\n') return refuse(400, "a chunk's size does not end with CR LF");
    if (left_ > limit_ - size_) return refuse(413, "the body is larger than this server allows");
    size_ += left_;
    spare_ = 0;
    line_ = 0;
    at_ = left_ == 0 ? state::trailer : state::data;
  }

  // Lines until an empty one.
  void take_trailer(char c) {
    if (++trailer_ > 4096) return refuse(431, "the trailers are longer than 4096 bytes");
    if (previous_ == '\r' && c != '\n') return refuse(400, "a trailer line does not end with CR LF");
    if (c == '\n') {
      if (previous_ != '\r') return refuse(400, "a trailer line does not end with CR LF");
      if (line_ == 0) at_ = state::done;
      line_ = 0;
    } else if (c != '\r') {
      ++line_;
    }
    previous_ = c;
  }

  void expect(char c, char wanted, state next) {
    if (c != wanted) return refuse(400, "a chunk does not end with CR LF");
    at_ = next;
  }

  std::uint64_t limit_, left_;  // left_: of the chunk, or of all
  std::uint64_t size_ = 0;      // of the chunks
  state at_;
  http_error why_{};
  decoded_size decoded_;
  int digits_ = 0, spare_ = 0, trailer_ = 0, line_ = 0;
  char previous_ = 0;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice

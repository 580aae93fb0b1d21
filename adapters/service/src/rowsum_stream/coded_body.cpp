#include "rowsum_stream/coded_body.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/http_error.hpp"

namespace sluice::serving {
namespace {

// Decoded by a worker in one turn: of ordinary data about a millisecond, of zeros in deflate 0.3 s.
constexpr std::size_t turn_bytes = 64 << 10;

http_error too_much(const std::string& sentence) {
  return {413, "limit_exceeded",
          fmt::format("[rowsum/stream] {}; rows that are not compressed have no such limit", sentence)};
}

}  // namespace

coded_body::coded_body(const stream_options& options,
                       const std::function<bool(std::string_view, const body_receiver&)>& decode)
    : options_(options), decode_(decode), pending_(turn_bytes, '\0') {}

std::size_t coded_body::append(std::string_view bytes) {
  const auto n = std::min(bytes.size(), pending_.size() - filled_);
  std::copy_n(bytes.data(), n, pending_.data() + filled_);
  filled_ += n;
  return n;
}

void coded_body::decode(const std::function<void(std::string_view)>& take) {
  came_ += static_cast<std::int64_t>(filled_);
  const std::string_view bytes(pending_.data(), std::exchange(filled_, 0));
  if (bytes.empty()) return;
  const auto begin = clock::now();
  const bool sound = decode_(bytes, [&](std::string_view piece) {
    decoded_ += static_cast<std::int64_t>(piece.size());
    check(spent_ + (clock::now() - begin));
    take(piece);
    return true;
  });
  spent_ += clock::now() - begin;
  if (!sound)
    throw http_error{400, "malformed",
                     fmt::format("[rowsum/stream] the body cannot be decoded between its bytes {} and {}",
                                 came_ - std::ssize(bytes), came_)};
}

void coded_body::check_whole() const {
  if (!decode_({}, {}))
    throw http_error{400, "malformed",
                     fmt::format("[rowsum/stream] the body ended after {} bytes, inside its compressed data", came_)};
}

void coded_body::check(clock::duration spent) const {
  const auto ratio = options_.decoded_ratio;
  if (ratio > 0 && decoded_ > options_.decoded_bytes && decoded_ / ratio > came_)
    throw too_much(
        fmt::format("{} bytes of the body decode to {} and more: beyond the first {}, at most {} are taken for each", came_,
                    decoded_, options_.decoded_bytes, ratio));
  if (options_.decode_seconds >= 0 && seconds_of(spent) > options_.decode_seconds)
    throw too_much(fmt::format("{} bytes of the body decode to {} and more, which took {:.3g} s: at most {:.3g} s are given",
                               came_, decoded_, seconds_of(spent), options_.decode_seconds));
}

}  // namespace sluice::serving

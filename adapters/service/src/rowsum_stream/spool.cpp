#include "rowsum_stream/spool.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "http/http_error.hpp"

namespace sluice::serving {
namespace {

constexpr std::int64_t block_bytes = 256 << 10;

[[noreturn]] void fail(const char* what, std::int64_t at, std::error_code why) {
  const auto sentence = fmt::format("[spool] {} at byte {}: {}", what, at, why.message());
  if (base::is_full(why)) throw http_error{507, "no_space", sentence};
  throw error(error_code::io, sentence);
}

}  // namespace

spool::spool(std::int64_t memory, std::string directory)
    : memory_(directory.empty() ? std::numeric_limits<std::int64_t>::max() : memory / block_bytes * block_bytes),
      directory_(std::move(directory)) {}

void spool::append(std::string_view bytes) {
  const auto here = static_cast<std::size_t>(std::clamp<std::int64_t>(memory_ - size_, 0, std::ssize(bytes)));
  if (here > 0) to_memory(bytes.substr(0, here));
  if (here < bytes.size()) to_file(bytes.substr(here));
}

void spool::to_memory(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto used = static_cast<std::size_t>(size_ % block_bytes);
    if (used == 0) blocks_.emplace_back(shape{block_bytes}, dtype::u8);
    const auto n = std::min(bytes.size(), static_cast<std::size_t>(block_bytes) - used);
    std::memcpy(static_cast<char*>(blocks_.back().data()) + used, bytes.data(), n);
    bytes.remove_prefix(n);
    size_ += static_cast<std::int64_t>(n);
  }
}

void spool::to_file(std::string_view bytes) {
  if (!file_) file_ = make_file(directory_);
  while (!bytes.empty()) {
    std::size_t n = 0;
    auto why = base::write_at(file_, size_ - memory_, std::as_bytes(std::span(bytes)), n);
    if (!why && n == 0) why = std::make_error_code(std::errc::no_space_on_device);
    if (why) fail("the file cannot be written", size_, why);
    bytes.remove_prefix(n);
    size_ += static_cast<std::int64_t>(n);
  }
}

std::string_view spool::read(std::int64_t at, std::int64_t most) {
  if (at < memory_) {
    const auto from = at % block_bytes, n = std::min({most, block_bytes - from, size_ - at});
    return {static_cast<const char*>(blocks_[static_cast<std::size_t>(at / block_bytes)].data()) + from,
            static_cast<std::size_t>(n)};
  }
  if (read_.count() == 0) read_ = tensor(shape{block_bytes}, dtype::u8);
  auto* const to = static_cast<char*>(read_.data());
  const auto wanted = std::min({most, block_bytes, size_ - at});
  for (std::int64_t have = 0; have < wanted;) {
    std::size_t n = 0;
    auto why = base::read_at(file_, at - memory_ + have,
                             std::as_writable_bytes(std::span(to + have, static_cast<std::size_t>(wanted - have))), n);
    if (!why && n == 0) why = std::make_error_code(std::errc::io_error);
    if (why) fail("the file cannot be read", at + have, why);
    have += static_cast<std::int64_t>(n);
  }
  return {to, static_cast<std::size_t>(wanted)};
}

base::file_descriptor spool::make_file(const std::string& directory) {
  base::file_descriptor made;
  if (const auto why = base::make_unnamed(directory, made); why) fail("no file can be created", 0, why);
  return made;
}

}  // namespace sluice::serving

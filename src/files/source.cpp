#include "source.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "sluice/error.hpp"

namespace sluice::files {
namespace {

std::string name_of_all(const std::vector<file_part>& parts) {
  const std::string& first = parts.front().in->path();
  return parts.size() == 1 ? first : fmt::format("{} and {} more", first, parts.size() - 1);
}

}  // namespace

void read_parallel(const source& from, std::int64_t at, std::span<std::byte> out) {
  in_pieces(out,
            [&](std::size_t begin, std::span<std::byte> piece) { from.read(at + static_cast<std::int64_t>(begin), piece); });
}

std::size_t source::next(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t n = next_some(out.subspan(done));
    if (n == 0) break;
    done += n;
  }
  return done;
}

file_source::file_source(std::vector<file_part> parts, bool mapped)
    : source(name_of_all(parts), 0), parts_(std::move(parts)), mapped_(mapped) {
  for (const auto& part : parts_) {
    if (__builtin_add_overflow(bytes_, part.bytes, &bytes_))
      throw error(error_code::malformed,
                  fmt::format("[file_stream] {} and those before it have more bytes than fit in 63 bits", part.in->path()));
    ends_.push_back(bytes_);
  }
}

std::size_t file_source::part_of(std::int64_t at) const {
  return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), at) - ends_.begin());
}

void file_source::read(std::int64_t at, std::span<std::byte> out) const {
  for (std::size_t i = part_of(at); !out.empty(); ++i) {
    if (i >= parts_.size())
      throw error(error_code::internal, fmt::format("[file_stream] {} more bytes at {} of {}", out.size(), at, bytes_));
    const auto& part = parts_[i];
    const auto here = std::min(out.size(), static_cast<std::size_t>(ends_[i] - at));
    part.in->read(part.begin + part.bytes - (ends_[i] - at), out.first(here));
    out = out.subspan(here);
    at += static_cast<std::int64_t>(here);
  }
}

std::size_t file_source::next_some(std::span<std::byte> out) {
  out = out.first(std::min(out.size(), static_cast<std::size_t>(bytes_ - next_)));
  read(next_, out);
  next_ += static_cast<std::int64_t>(out.size());
  return out.size();
}

window file_source::map(std::int64_t at, std::int64_t bytes) const {
  const std::size_t i = part_of(at);
  if (!maps() || bytes <= 0 || i >= parts_.size() || bytes > ends_[i] - at) return {};
  const auto& part = parts_[i];
  window w = part.in->map(part.begin + part.bytes - (ends_[i] - at), bytes);
  if (w.in_memory()) return w;
  cold_ = true;
  return {};
}

std::string file_source::fingerprint() const {
  std::string all;
  for (const auto& part : parts_) all += fmt::format("{} from {}\n", part.in->fingerprint(), part.begin);
  return all;
}

void file_source::check_unchanged() const {
  for (const auto& part : parts_) part.in->check_unchanged();
}

std::vector<identity> file_source::files() const {
  std::vector<identity> all;
  for (const auto& part : parts_) all.push_back(part.in->id());
  return all;
}

feed::feed(function read, std::string name, std::vector<identity> files)
    : source(std::move(name), -1), read_(std::move(read)), files_(std::move(files)) {}

std::size_t feed::pull(std::span<std::byte> out) {
  if (ended_ || out.empty()) return 0;
  const std::size_t n = read_(out);
  if (n > out.size())
    throw error(error_code::invalid_argument,
                fmt::format("[file_stream] {}: its function says that it read {} bytes into {}", name_, n, out.size()));
  ended_ = n == 0;
  return n;
}

std::span<const std::byte> feed::peek(std::size_t count) {
  while (first_.size() < count && !ended_) {
    const std::size_t had = first_.size();
    first_.resize(count);
    first_.resize(had + pull(std::span(first_).subspan(had)));
  }
  return std::span(first_).first(std::min(count, first_.size()));
}

void feed::rows_begin(std::int64_t offset, std::int64_t row_bytes, std::int64_t bytes) {
  // Passed over in small steps: an offset may be larger than memory.
  for (std::int64_t left = offset; left > 0;) {
    const auto step = static_cast<std::size_t>(std::min<std::int64_t>(left, 1 << 16));
    const std::size_t there = peek(step).size();
    if (there == 0)
      throw error(error_code::malformed,
                  fmt::format("[file_stream] {} has {} bytes: none at byte_offset {}", name_, offset - left, offset));
    first_.erase(first_.begin(), first_.begin() + static_cast<std::ptrdiff_t>(there));
    left -= static_cast<std::int64_t>(there);
  }
  offset_ = offset;
  row_bytes_ = row_bytes;
  bytes_ = bytes;
}

void feed::begin() {
  if (std::exchange(begun_, true))
    throw error(error_code::invalid_argument, fmt::format("[file_stream] {} is read already: its bytes come once", name_));
}

void feed::read(std::int64_t at, std::span<std::byte>) const {
  throw error(error_code::invalid_argument,
              fmt::format("[file_stream] {} at byte {}: its bytes come once and in order", name_, offset_ + at));
}

std::size_t feed::next_some(std::span<std::byte> out) {
  if (bytes_ >= 0) out = out.first(std::min(out.size(), static_cast<std::size_t>(bytes_ - done_)));
  std::size_t got = std::min(out.size(), first_.size());
  if (got > 0) {
    std::memcpy(out.data(), first_.data(), got);
    first_.erase(first_.begin(), first_.begin() + static_cast<std::ptrdiff_t>(got));
  } else {
    got = pull(out);
  }
  done_ += static_cast<std::int64_t>(got);
  check_end();
  return got;
}

void feed::check_end() {
  const auto fail = [&](const std::string& what) {
    throw error(error_code::malformed, fmt::format("[file_stream] {}{}", name_, what));
  };
  if (bytes_ >= 0 && done_ == bytes_ && !peek(1).empty())
    fail(fmt::format(" goes on behind its last byte, number {}", offset_ + bytes_));
  if (!ended_ || !first_.empty()) return;
  if (bytes_ >= 0 && done_ < bytes_)
    fail(fmt::format(" has {} bytes, {} fewer than the {} of its header and its rows", offset_ + done_, bytes_ - done_,
                     offset_ + bytes_));
  if (bytes_ < 0 && done_ == 0) fail(fmt::format(" has {} bytes: no row", offset_));
  if (row_bytes_ > 0 && done_ % row_bytes_ != 0)
    fail(fmt::format(" has {} bytes{}: not a multiple of a row's {}, {} are left over", done_,
                     offset_ > 0 ? fmt::format(" after byte {}", offset_) : "", row_bytes_, done_ % row_bytes_));
}

}  // namespace sluice::files

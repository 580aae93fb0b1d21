// A source whose elements are converted as they are read: those of .npy files in other types or orders of bytes.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "sluice/impl/files/npy_convert.hpp"
#include "sluice/impl/files/source.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

class converted_source final : public source {
 public:
  // `from` holds what `header`, its first file's, says.
  converted_source(std::shared_ptr<source> from, const npy_header& header)
      : source(from->name(), -1),
        from_(std::move(from)),
        header_(header),
        stored_(static_cast<std::int64_t>(header.element_bytes())),
        size_(static_cast<std::int64_t>(size_of(header.dtype))) {
    if (from_->bytes() >= 0) bytes_ = checked_product(from_->bytes() / stored_, size_);
  }

  [[nodiscard]] bool seekable() const noexcept override { return from_->seekable(); }
  void begin() override { from_->begin(); }
  void read(std::int64_t at, std::span<std::byte> out) const override {
    check_whole(at, out.size());
    convert_in_blocks(out, at / size_, [&](std::int64_t first, std::span<std::byte> stored) {
      from_->read(first * stored_, stored);
      return stored.size();
    });
  }
  std::size_t next_some(std::span<std::byte> out) override {
    check_whole(0, out.size());
    const auto done = convert_in_blocks(out.first(std::min(out.size(), block_elements * static_cast<std::size_t>(size_))),
                                        next_, [&](std::int64_t, std::span<std::byte> s) { return from_->next(s); });
    next_ += static_cast<std::int64_t>(done) / size_;
    return done;
  }
  [[nodiscard]] mapped_region map(std::int64_t, std::int64_t) const override { return {}; }
  [[nodiscard]] bool maps() const noexcept override { return false; }
  [[nodiscard]] named_values identity() const override { return from_->identity(); }
  void check_unchanged() const override { from_->check_unchanged(); }
  [[nodiscard]] std::vector<base::file_identity> files() const override { return from_->files(); }

 private:
  static constexpr std::size_t block_elements = 8192;

  // Chunks are whole rows, or whole blocks of one; threads read whole MiB of them.
  void check_whole(std::int64_t at, std::size_t bytes) const {
    if (at % size_ != 0 || bytes % static_cast<std::size_t>(size_) != 0)
      throw error(
          error_code::internal,
          fmt::format("[file_stream] {} bytes at {} of {}: elements of {} bytes are read whole", bytes, at, name_, size_));
  }

  // Returns the bytes of `out` that are filled.
  template <class Read>
  std::size_t convert_in_blocks(std::span<std::byte> out, std::int64_t first, const Read& read) const {
    const auto size = static_cast<std::size_t>(size_);
    const auto stored_size = static_cast<std::size_t>(stored_);
    std::vector<std::byte> stored(std::min(block_elements, out.size() / size) * stored_size);
    std::size_t done = 0;
    while (done < out.size()) {
      const auto wanted = std::span(stored).first(std::min(stored.size(), (out.size() - done) / size * stored_size));
      const auto got = read(first, wanted);
      convert_npy(header_, wanted.first(got), out.data() + done, first);
      first += static_cast<std::int64_t>(got / stored_size);
      done += got / stored_size * size;
      if (got < wanted.size()) break;
    }
    return done;
  }

  std::shared_ptr<source> from_;
  npy_header header_;
  std::int64_t stored_;  // bytes of an element
  std::int64_t size_;    // likewise, converted
  std::int64_t next_ = 0;
};

// `from` itself, where it needs no conversion.
inline std::shared_ptr<source> converted(std::shared_ptr<source> from, const npy_header& header) {
  if (!header.is_converted()) return from;
  return std::make_shared<converted_source>(std::move(from), header);
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

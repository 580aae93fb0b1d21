#include "file.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/parallel.hpp"

namespace sluice::files {

void check_path(const std::string& path, const char* operation) {
  if (path.empty() || path.find('\0') != std::string::npos)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] a path of {} bytes is empty or holds a zero byte", operation, path.size()));
}

void in_pieces(std::span<std::byte> out, const std::function<void(std::size_t begin, std::span<std::byte> piece)>& read) {
  const std::size_t pieces = (out.size() + read_piece - 1) / read_piece;
  if (pieces <= 2) return read(0, out);
  parallel_for(static_cast<std::int64_t>(pieces), [&](std::int64_t i) {
    const std::size_t begin = static_cast<std::size_t>(i) * read_piece;
    read(begin, out.subspan(begin, std::min(read_piece, out.size() - begin)));
  });
}

file::file(std::string path, const char* operation) : path_(std::move(path)), operation_(operation) {
  check_path(path_, operation_);
  if (const auto why = system::open_to_read(path_, descriptor_); why)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, why.message()));
  inspect();
}

file::file(descriptor open, std::string name, const char* operation)
    : path_(std::move(name)), operation_(operation), descriptor_(std::move(open)) {
  inspect();
}

system::facts file::look() const {
  system::facts now;
  if (const auto why = system::look(descriptor_, now); why)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, why.message()));
  return now;
}

void file::inspect() {
  const system::facts now = look();
  if (now.other != nullptr)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} is {}: not a regular file", operation_, path_, now.other));
  id_ = now.id;
  size_ = now.size;
  changed_ = now.changed;
  system::read_in_order(descriptor_);
}

std::size_t file::read_some(std::int64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::int64_t at = offset + static_cast<std::int64_t>(done);
    std::size_t n = 0;
    if (const auto why = system::read(descriptor_, at, out.subspan(done), n); why)
      throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, path_, why.message(), at));
    if (n == 0) break;
    done += n;
  }
  return done;
}

void file::read(std::int64_t offset, std::span<std::byte> out) const {
  if (read_some(offset, out) != out.size()) fail_changed();
}

void file::read_parallel(std::int64_t offset, std::span<std::byte> out) const {
  in_pieces(out,
            [&](std::size_t begin, std::span<std::byte> piece) { read(offset + static_cast<std::int64_t>(begin), piece); });
}

std::string file::fingerprint() const {
  return fmt::format("{} bytes, changed at {} ns, file {} of device {}", size_, changed_, id_.number, id_.device);
}

void file::check_unchanged() const {
  const system::facts now = look();
  if (now.size != size_ || now.changed != changed_) fail_changed();
}

void file::check_reaches(std::int64_t end) const {
  system::facts now;
  if (system::look(descriptor_, now) || now.size < end) fail_changed();
}

void file::fail_changed() const {
  const system::facts now = look();
  if (now.size == size_ && now.changed != changed_)
    throw error(error_code::io,
                fmt::format("[{}] {} changed while it was read: its {} bytes were last written at {} ns when "
                            "it was opened, and at {} ns since",
                            operation_, path_, size_, changed_, now.changed));
  throw error(error_code::io,
              fmt::format("[{}] {} had {} bytes when it was opened and has {} now: it changed while it was read", operation_,
                          path_, size_, now.size));
}

std::shared_ptr<const file> open_duplicate(int number, std::string name, const char* operation) {
  descriptor own;
  if (const auto why = system::duplicate(number, own); why)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation, name, why.message()));
  return std::make_shared<const file>(std::move(own), std::move(name), operation);
}

standard_input_file open_standard_input(const char* operation) {
  const std::string name = "standard input";
  system::facts found;
  standard_input_file in;
  auto why = system::look_at_standard_input(found);
  if (!why && found.other != nullptr) return in;
  if (!why) why = system::position_of_standard_input(in.begin);
  if (why) throw error(error_code::io, fmt::format("[{}] {}: {}", operation, name, why.message()));
  in.in = open_duplicate(system::standard_input, name, operation);
  return in;
}

std::size_t read_standard_input(std::span<std::byte> out) {
  std::size_t done = 0;
  if (const auto why = system::read_standard_input(out, done); why)
    throw error(error_code::io, fmt::format("[file_stream] standard input: {}", why.message()));
  return done;
}

}  // namespace sluice::files

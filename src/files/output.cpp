#include "output.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "sluice/error.hpp"

namespace sluice::files {
namespace {

// FNV-1a: finds a harmed text; it is no guard against a forged one.
std::uint64_t checksum(std::string_view text) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return sum;
}

// The journal's first line: its version, the number of its partial file, the bytes and the checksum of the text that
// follows.
std::string journal_line(std::uint64_t number, std::string_view text) {
  return fmt::format("sluice-journal 1 {} {} {:016x}\n", number, text.size(), checksum(text));
}

// Writes all of it; returns why not, and how far it came in `offset`.
std::error_code write_all(const descriptor& to, std::int64_t& offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    std::size_t n = 0;
    if (const auto why = system::write(to, offset, data, n); why) return why;
    if (n == 0) return std::make_error_code(std::errc::io_error);
    data = data.subspan(n);
    offset += static_cast<std::int64_t>(n);
  }
  return {};
}

}  // namespace

output::output(std::string path, const char* operation, std::span<const identity> inputs)
    : path_(std::move(path)), partial_(path_ + ".partial"), journal_path_(path_ + ".journal"), operation_(operation) {
  check_path(path_, operation_);
  check_room(path_, inputs);
  check_room(journal_path_, inputs);
  check_room(journal_path_ + ".tmp", inputs);
  open_partial(inputs);
  system::facts partial, old;
  if (const auto why = system::look(descriptor_, partial); why) fail(partial_, why);
  number_ = partial.id.number;
  if (partial.size > 0) read_journal();  // an empty one is new, or nothing was synced
  remove_ = !journal_ && harm_.empty();
  if (system::look(path_, system::links::follow, old)) return;
  permissions_ = old.permissions;
  // Nobody reads it before who may not then; and what may not be written then is written now, by the run that goes on too.
  if (const auto why = system::set_permissions(descriptor_, *permissions_, true); why) {
    if (remove_) discard();
    fail(partial_, why);
  }
}

void output::check_room(const std::string& path, std::span<const identity> inputs) const {
  system::facts there;
  // The result may stand behind a link; the others are written to as they are.
  if (system::look(path, path == path_ ? system::links::follow : system::links::keep, there)) return;
  if (there.other != nullptr)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} is {}: a result is written to a regular file", operation_, path, there.other));
  if (std::find(inputs.begin(), inputs.end(), there.id) != inputs.end())
    throw error(error_code::invalid_argument, fmt::format("[{}] {} is the input file too", operation_, path));
}

// Leaves with the file open, locked, and still the one of that name: another writer may rename it between our open and our
// lock.
void output::open_partial(std::span<const identity> inputs) {
  for (;;) {
    system::facts mine, named;
    descriptor opened;
    if (const auto why = system::open_to_write(partial_, opened); why) fail(partial_, why);
    descriptor_ = std::move(opened);
    if (const auto why = system::look(descriptor_, mine); why) fail(partial_, why);
    const bool input = std::find(inputs.begin(), inputs.end(), mine.id) != inputs.end();
    if (mine.other != nullptr || input)
      throw error(error_code::invalid_argument, fmt::format("[{}] {} is {}: it would be written over", operation_, partial_,
                                                            input ? "the input file" : mine.other));
    if (system::lock(descriptor_) == std::errc::operation_would_block)
      throw error(error_code::io, fmt::format("[{}] {} is being written by someone else", operation_, partial_));
    if (!system::look(partial_, system::links::follow, named) && named.id == mine.id) return;
  }
}

void output::read_journal() {
  system::facts there;
  if (system::look(journal_path_, system::links::keep, there) == std::errc::no_such_file_or_directory) return;
  const file in(journal_path_, operation_);
  std::string all(static_cast<std::size_t>(in.size()), '\0');
  in.read(0, std::as_writable_bytes(std::span(all)));
  unsigned long long number = 0;
  const std::size_t end = all.find('\n');
  if (end == std::string::npos || std::sscanf(all.c_str(), "sluice-journal 1 %llu ", &number) != 1) {
    harm_ = fmt::format("its {} bytes do not begin as a journal of version 1 does", all.size());
    return;
  }
  std::string text = all.substr(end + 1);
  if (all.substr(0, end + 1) != journal_line(number, text))
    harm_ = fmt::format("its {} bytes are not those that were written", all.size());
  else if (number == number_)  // else it was left by a run whose partial file is PATH by now, or gone
    journal_ = std::move(text);
}

const std::optional<std::string>& output::journal() const {
  if (!harm_.empty())
    throw error(error_code::io, fmt::format("[{}] {} is harmed: {}; without it, {} cannot be gone on with", operation_,
                                            journal_path_, harm_, partial_));
  return journal_;
}

void output::start_again() {
  journal_.reset();
  harm_.clear();
  // On the disk too, before the partial file has other bytes than the journal speaks of.
  if (const auto why = system::remove(journal_path_); !why)
    sync_folder();
  else if (why != std::errc::no_such_file_or_directory)
    fail(journal_path_, why);
  remove_ = true;
  if (const auto why = system::resize(descriptor_, 0); why) fail(partial_, why);
}

void output::go_on(std::int64_t bytes) {
  system::facts now;
  if (const auto why = system::look(descriptor_, now); why) fail(partial_, why);
  if (now.size < bytes)
    throw error(error_code::io, fmt::format("[{}] {} has {} bytes, fewer than the {} of its journal", operation_, partial_,
                                            now.size, bytes));
  if (const auto why = system::resize(descriptor_, bytes); why) fail(partial_, why);
}

void output::write(std::int64_t offset, std::span<const std::byte> data) {
  if (const auto why = write_all(descriptor_, offset, data); why)
    throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, partial_, why.message(), offset));
}

void output::sync_partial() {
  // The kernel tells of a page that it could not write once, and then calls it clean: asked again, it would say that all is
  // well.
  if (lost_)
    throw error(error_code::io,
                fmt::format("[{}] {}: a sync failed before; what is on the disk is not known", operation_, partial_));
  const auto why = system::sync(descriptor_);
  if (!why) return;
  lost_ = true;
  fail(partial_, why);
}

void output::sync(std::string_view journal) {
  sync_partial();
  const std::string all = journal_line(number_, journal).append(journal);
  const std::string next = journal_path_ + ".tmp";
  std::int64_t offset = 0;
  std::error_code why;
  {
    descriptor to;
    if (const auto refused = system::open_to_write(next, to); refused) fail(next, refused);
    why = system::resize(to, 0);
    if (!why) why = write_all(to, offset, std::as_bytes(std::span(all)));
    if (!why) why = system::sync(to);
  }
  if (!why) why = system::rename(next, journal_path_);
  if (why) {
    static_cast<void>(system::remove(next));
    throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, next, why.message(), offset));
  }
  remove_ = false;
  sync_folder();
}

void output::commit() {
  sync_partial();
  if (const auto why = system::rename(partial_, path_); why) fail(path_, why);
  remove_ = false;
  if (permissions_)
    if (const auto why = system::set_permissions(descriptor_, *permissions_, false); why) fail(path_, why);
  sync_folder();
  static_cast<void>(system::remove(journal_path_));  // of a file of another name now: no harm if it stays
}

void output::discard() noexcept {
  static_cast<void>(system::remove(journal_path_));
  static_cast<void>(system::remove(partial_));
  remove_ = false;
}

output::~output() {
  if (remove_) discard();
}

// A name outlives a power cut only once its folder is on disk too.
void output::sync_folder() const {
  const auto parent = std::filesystem::path(path_).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  if (const auto why = system::sync_folder(folder); why) fail(folder, why);
}

void output::fail(const std::string& path, std::error_code why) const {
  throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path, why.message()));
}

}  // namespace sluice::files

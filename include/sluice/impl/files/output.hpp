// A result that lasts: PATH.partial grows, PATH.journal says how much of it is on the disk and what that stands for, and at
// the end the one is renamed to PATH and the other removed. At every moment there is the old PATH or the new one, whole.
//
//   kill -9 after a sync:    the next run finds the journal and resumes from it
//   kill -9 before any:      the next run starts again
//   a failure, a stop:       the same; what was synced stays
//
//     output out("sums.npy", "rowsum_file", inputs);
//     if (out.journal() && is_ours(*out.journal())) out.go_on(bytes); else out.start_over();
//     out.write(0, header);
//     out.sync("128 bytes");                                    // now and then
//     out.commit();
#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/impl/files/file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// Where a result goes: a file that lasts, or bytes in order.
class result_target {
 public:
  result_target() = default;
  result_target(const result_target&) = delete;
  result_target& operator=(const result_target&) = delete;
  virtual ~result_target() = default;

  [[nodiscard]] virtual const std::optional<std::string>& journal() const = 0;
  virtual void start_over() = 0;
  virtual void go_on(std::int64_t bytes) = 0;
  virtual void write(std::int64_t offset, std::span<const std::byte> data) = 0;
  virtual void sync(std::string_view journal) = 0;
  virtual void commit() = 0;
};

class output final : public result_target {
 public:
  // What follows PATH in the names that are written to.
  static constexpr const char* suffixes[] = {"", ".partial", ".journal", ".journal.tmp"};

  // Opens or creates PATH.partial and locks it: a second writer is refused. Keeps what is in it. Throws invalid_argument
  // when `path` is something other than a regular file or when it, its partial or its journal is one of `inputs`; io when it
  // cannot be created or someone else is writing it.
  output(std::string path, const char* operation, std::span<const base::file_identity> inputs = {});
  // Removes both files, unless commit() happened or they are fit to go on with: those of the run before until start_over(),
  // those of this one after a sync.
  ~output() override;

  // The text of the last sync of an earlier run whose partial file is here; nothing when there is none. Throws io, with the
  // path, when the journal is corrupt.
  [[nodiscard]] const std::optional<std::string>& journal() const override;
  // Forgets the run before: removes the journal and empties the partial file. Nothing is written before this or go_on().
  void start_over() override;
  // Resumes: truncates the partial file to `bytes`. Throws io when it has fewer.
  void go_on(std::int64_t bytes) override;

  // Throws io with path, offset and reason ("No space left on device").
  void write(std::int64_t offset, std::span<const std::byte> data) override;
  // All that was written is on the disk before `journal`, a text of the caller's own, takes the place of the one before in
  // one step. From any one thread, while another writes at later offsets.
  void sync(std::string_view journal) override;
  // Synced, renamed, the folder synced, the journal removed.
  void commit() override;
  // Removes the partial file and the journal, for a run that cannot be resumed.
  void discard() noexcept;

 private:
  void check_target(const std::string& path, std::span<const base::file_identity> inputs) const;
  void open_partial(std::span<const base::file_identity> inputs);
  void read_journal();
  void sync_partial();
  void sync_folder() const;
  [[noreturn]] void fail(const std::string& path, std::error_code why) const;

  std::string path_;
  std::string partial_;
  std::string journal_path_;
  const char* operation_;
  base::file_descriptor descriptor_;
  std::uint64_t number_ = 0;  // the partial file's: a journal of another one is no journal
  std::optional<std::string> journal_;
  std::optional<unsigned> permissions_;  // of the old PATH
  unsigned readable_ = 0600;             // the partial file's permissions
  std::string defect_;                   // what is wrong with the journal
  bool remove_ = false;                  // at the end
  bool lost_ = false;                    // a sync failed
};

// The journal's first line: its version, the number of its partial file, the bytes and the checksum of the text that
// follows.
inline std::string journal_line(std::uint64_t number, std::string_view text) {
  return fmt::format("sluice-journal 1 {} {} {:016x}\n", number, text.size(),
                     checksum(std::as_bytes(std::span(text.data(), text.size()))));
}

// Writes all of it; returns why not, and how far it came in `offset`.
inline std::error_code write_all(const base::file_descriptor& to, std::int64_t& offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    std::size_t n = 0;
    if (const auto why = base::write_at(to, offset, data, n); why) return why;
    if (n == 0) return std::make_error_code(std::errc::io_error);
    data = data.subspan(n);
    offset += static_cast<std::int64_t>(n);
  }
  return {};
}

inline output::output(std::string path, const char* operation, std::span<const base::file_identity> inputs)
    : path_(std::move(path)), partial_(path_ + ".partial"), journal_path_(path_ + ".journal"), operation_(operation) {
  check_path(path_, operation_);
  check_target(path_, inputs);
  check_target(journal_path_, inputs);
  check_target(journal_path_ + ".tmp", inputs);
  open_partial(inputs);
  base::file_status partial, old;
  if (const auto why = base::status_of(descriptor_, partial); why) fail(partial_, why);
  number_ = partial.id.number;
  if (partial.size > 0) read_journal();  // an empty one is new, or nothing was synced
  remove_ = !journal_ && defect_.empty();
  readable_ |= partial.permissions & 0666;
  if (base::status_of(path_, base::links::follow, old)) return;
  permissions_ = old.permissions;
  readable_ = (*permissions_ & 0666) | 0600;
  // Readers that the result will exclude are excluded from now on. The owner keeps write access until the end, so that a
  // later run can resume.
  if (const auto why = base::set_permissions(descriptor_, *permissions_, true); why) {
    if (remove_) discard();
    fail(partial_, why);
  }
}

inline void output::check_target(const std::string& path, std::span<const base::file_identity> inputs) const {
  base::file_status there;
  // The result may stand behind a link; the others are written to as they are.
  if (base::status_of(path, path == path_ ? base::links::follow : base::links::keep, there)) return;
  if (there.other != nullptr)
    throw error(
        error_code::invalid_argument,
        fmt::format("[{}] {} is {}: a result is written to a regular file, or to standard output (sluice-rowsum -o -)",
                    operation_, path, there.other));
  if (std::find(inputs.begin(), inputs.end(), there.id) != inputs.end())
    throw error(error_code::invalid_argument, fmt::format("[{}] {} is the input file too", operation_, path));
}

// Leaves with the file open, locked, and still the one of that name: another writer may rename it between our open and our
// lock.
inline void output::open_partial(std::span<const base::file_identity> inputs) {
  for (;;) {
    base::file_status mine, named;
    base::file_descriptor opened;
    if (const auto why = base::open_to_write(partial_, 0666, opened); why) fail(partial_, why);
    descriptor_ = std::move(opened);
    if (const auto why = base::status_of(descriptor_, mine); why) fail(partial_, why);
    const bool input = std::find(inputs.begin(), inputs.end(), mine.id) != inputs.end();
    if (mine.other != nullptr || input)
      throw error(error_code::invalid_argument, fmt::format("[{}] {} is {}: it would be overwritten", operation_, partial_,
                                                            input ? "the input file" : mine.other));
    if (base::lock(descriptor_, false) == std::errc::operation_would_block)
      throw error(error_code::io, fmt::format("[{}] {} is being written by another process", operation_, partial_));
    if (!base::status_of(partial_, base::links::follow, named) && named.id == mine.id) return;
  }
}

inline void output::read_journal() {
  base::file_status there;
  if (base::status_of(journal_path_, base::links::keep, there) == std::errc::no_such_file_or_directory) return;
  const file in(journal_path_, operation_);
  std::string all(static_cast<std::size_t>(in.size()), '\0');
  in.read(0, std::as_writable_bytes(std::span(all)));
  unsigned long long number = 0;
  const std::size_t end = all.find('\n');
  if (end == std::string::npos || std::sscanf(all.c_str(), "sluice-journal 1 %llu ", &number) != 1) {
    defect_ = fmt::format("its {} bytes do not begin as a journal of version 1 does", all.size());
    return;
  }
  std::string text = all.substr(end + 1);
  if (all.substr(0, end + 1) != journal_line(number, text))
    defect_ = fmt::format("its {} bytes are not those that were written", all.size());
  else if (number == number_)  // else it was left by a run whose partial file is PATH by now, or gone
    journal_ = std::move(text);
}

inline const std::optional<std::string>& output::journal() const {
  if (!defect_.empty())
    throw error(error_code::io, fmt::format("[{}] {} is corrupt: {}; without it, {} cannot be resumed: {}", operation_,
                                            journal_path_, defect_, partial_, start_again));
  return journal_;
}

inline void output::start_over() {
  journal_.reset();
  defect_.clear();
  // On the disk too, before the partial file has other bytes than the journal speaks of.
  if (const auto why = base::remove_file(journal_path_); !why)
    sync_folder();
  else if (why != std::errc::no_such_file_or_directory)
    fail(journal_path_, why);
  remove_ = true;
  if (const auto why = base::resize(descriptor_, 0); why) fail(partial_, why);
}

inline void output::go_on(std::int64_t bytes) {
  base::file_status now;
  if (const auto why = base::status_of(descriptor_, now); why) fail(partial_, why);
  if (now.size < bytes)
    throw error(error_code::io, fmt::format("[{}] {} has {} bytes, fewer than the {} of its journal: {}", operation_,
                                            partial_, now.size, bytes, start_again));
  if (const auto why = base::resize(descriptor_, bytes); why) fail(partial_, why);
}

inline void output::write(std::int64_t offset, std::span<const std::byte> data) {
  if (const auto why = write_all(descriptor_, offset, data); why)
    throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, partial_, why.message(), offset));
}

inline void output::sync_partial() {
  // The kernel tells of a page that it could not write once, and then calls it clean: asked again, it would say that all is
  // well.
  if (lost_)
    throw error(error_code::io,
                fmt::format("[{}] {}: an earlier sync failed; what is on the disk is unknown", operation_, partial_));
  const auto why = base::sync(descriptor_);
  if (!why) return;
  lost_ = true;
  fail(partial_, why);
}

inline void output::sync(std::string_view journal) {
  sync_partial();
  const std::string all = journal_line(number_, journal).append(journal);
  const std::string next = journal_path_ + ".tmp";
  std::int64_t offset = 0;
  std::error_code why;
  {
    base::file_descriptor to;
    // For those who may read the result.
    if (const auto refused = base::open_to_write(next, readable_, to); refused) fail(next, refused);
    why = base::resize(to, 0);
    if (!why) why = write_all(to, offset, std::as_bytes(std::span(all)));
    if (!why) why = base::sync(to);
  }
  if (!why) why = base::rename_file(next, journal_path_);
  if (why) {
    static_cast<void>(base::remove_file(next));
    throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, next, why.message(), offset));
  }
  remove_ = false;
  sync_folder();
}

inline void output::commit() {
  sync_partial();
  if (const auto why = base::rename_file(partial_, path_); why) fail(path_, why);
  remove_ = false;
  if (permissions_)
    if (const auto why = base::set_permissions(descriptor_, *permissions_, false); why) fail(path_, why);
  sync_folder();
  static_cast<void>(base::remove_file(journal_path_));  // of a file of another name now: no harm if it stays
}

inline void output::discard() noexcept {
  static_cast<void>(base::remove_file(journal_path_));
  static_cast<void>(base::remove_file(partial_));
  remove_ = false;
}

inline output::~output() {
  if (remove_) discard();
}

// A renamed file survives a power failure only once its folder is synced.
inline void output::sync_folder() const {
  const auto parent = std::filesystem::path(path_).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  if (const auto why = base::sync_folder(folder); why) fail(folder, why);
}

inline void output::fail(const std::string& path, std::error_code why) const {
  throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path, why.message()));
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

// A result that lasts: PATH.partial grows, PATH.journal says how much of it is on the disk and what that stands for, and at
// the end the one is renamed to PATH and the other removed. At every moment there is the old PATH or the new one, whole.
//
//   kill -9 after a sync:    the next run finds the journal and goes on from it
//   kill -9 before any:      the next run starts again
//   a failure, a stop:       the same; what was synced stays
//
//     output out("sums.npy", "rowsum_file", inputs);
//     if (out.journal() && is_ours(*out.journal())) out.go_on(bytes); else out.start_again();
//     out.write(0, header);
//     out.sync("128 bytes");                                    // now and then
//     out.commit();
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "file.hpp"

namespace sluice::files {

class output {
 public:
  // What follows PATH in the names that are written to.
  static constexpr const char* suffixes[] = {"", ".partial", ".journal", ".journal.tmp"};

  // Opens or creates PATH.partial and locks it: a second writer is refused. Keeps what is in it. Throws invalid_argument
  // when `path` is something other than a regular file or when it, its partial or its journal is one of `inputs`; io when it
  // cannot be created or someone else is writing it.
  output(std::string path, const char* operation, std::span<const identity> inputs = {});
  output(const output&) = delete;
  output& operator=(const output&) = delete;
  // Removes both files, unless commit() happened or they are fit to go on with: those of the run before until start_again(),
  // those of this one after a sync.
  ~output();

  // The text of the last sync of the run before, whole and unharmed, whose partial file is here; nothing when there is none.
  // Throws io, with the path, when it is harmed.
  [[nodiscard]] const std::optional<std::string>& journal() const;
  // Forgets the run before: removes the journal and empties the partial file. Nothing is written before this or go_on().
  void start_again();
  // Goes on from it: cuts the partial file at `bytes`. Throws io when it has fewer.
  void go_on(std::int64_t bytes);

  // Throws io with path, offset and reason ("No space left on device").
  void write(std::int64_t offset, std::span<const std::byte> data);
  // All that was written is on the disk before `journal`, a text of the caller's own, takes the place of the one before in
  // one step. From any one thread, while another writes at later offsets.
  void sync(std::string_view journal);
  // Synced, renamed, the folder synced, the journal removed.
  void commit();
  // Nothing stays: for what cannot be gone on with.
  void discard() noexcept;

 private:
  void check_room(const std::string& path, std::span<const identity> inputs) const;
  void open_partial(std::span<const identity> inputs);
  void read_journal();
  void sync_partial();
  void sync_folder() const;
  [[noreturn]] void fail(const std::string& path, std::error_code why) const;

  std::string path_;
  std::string partial_;
  std::string journal_path_;
  const char* operation_;
  descriptor descriptor_;
  std::uint64_t number_ = 0;  // the partial file's: a journal of another one is no journal
  std::optional<std::string> journal_;
  std::optional<unsigned> permissions_;  // of the old PATH
  std::string harm_;                     // what is wrong with the journal
  bool remove_ = false;                  // at the end
  bool lost_ = false;                    // a sync failed
};

}  // namespace sluice::files

// Notes in SQLite: the plain data that an application keeps, beside the numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;

struct note {
  std::int64_t id = 0;
  std::string text;
};

// One connection, used by one thread at a time. Every call throws std::runtime_error with SQLite's words when it fails.
class note_store {
 public:
  explicit note_store(const std::string& path);  // ":memory:" keeps them in memory
  ~note_store();

  note add(const std::string& text);
  std::optional<note> find(std::int64_t id);
  std::vector<note> list(std::int64_t after, int limit);  // ids greater than `after`, in order
  bool update(const note& n);                             // false when there is no such note
  bool remove(std::int64_t id);                           // likewise

 private:
  class statement;

  std::mutex mutex_;
  sqlite3* db_ = nullptr;
};

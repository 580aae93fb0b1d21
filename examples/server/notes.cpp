#include "notes.hpp"

#include <sqlite3.h>

#include <stdexcept>

namespace {

void check(sqlite3* db, int code) {
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
    throw std::runtime_error(std::string("[notes] ") + (db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code)));
}

}  // namespace

class note_store::statement {
 public:
  statement(sqlite3* db, const char* sql) : db_(db) { check(db, sqlite3_prepare_v2(db, sql, -1, &handle_, nullptr)); }
  ~statement() { sqlite3_finalize(handle_); }
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;

  statement& bind(int at, std::int64_t value) {
    check(db_, sqlite3_bind_int64(handle_, at, value));
    return *this;
  }
  statement& bind(int at, const std::string& value) {  // `value` outlives the statement
    check(db_, sqlite3_bind_text64(handle_, at, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8));
    return *this;
  }
  bool step() {  // true while there is a row
    const int code = sqlite3_step(handle_);
    check(db_, code);
    return code == SQLITE_ROW;
  }
  note row() const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_, 1));
    return {sqlite3_column_int64(handle_, 0), std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(handle_, 1)))};
  }

 private:
  sqlite3* db_;
  sqlite3_stmt* handle_ = nullptr;
};

note_store::note_store(const std::string& path) {
  try {
    check(db_, sqlite3_open(path.c_str(), &db_));
    check(db_, sqlite3_busy_timeout(db_, 5000));
    for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL",
                            "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)"})
      check(db_, sqlite3_exec(db_, sql, nullptr, nullptr, nullptr));
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

note_store::~note_store() { sqlite3_close(db_); }

note note_store::add(const std::string& text) {
  const std::lock_guard lock(mutex_);
  statement(db_, "INSERT INTO notes (text) VALUES (?)").bind(1, text).step();
  return {sqlite3_last_insert_rowid(db_), text};
}

std::optional<note> note_store::find(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  statement s(db_, "SELECT id, text FROM notes WHERE id = ?");
  if (!s.bind(1, id).step()) return std::nullopt;
  return s.row();
}

std::vector<note> note_store::list(std::int64_t after, int limit) {
  const std::lock_guard lock(mutex_);
  statement s(db_, "SELECT id, text FROM notes WHERE id > ? ORDER BY id LIMIT ?");
  s.bind(1, after).bind(2, limit);
  std::vector<note> found;
  while (s.step()) found.push_back(s.row());
  return found;
}

bool note_store::update(const note& n) {
  const std::lock_guard lock(mutex_);
  statement(db_, "UPDATE notes SET text = ? WHERE id = ?").bind(1, n.text).bind(2, n.id).step();
  return sqlite3_changes(db_) > 0;
}

bool note_store::remove(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  statement(db_, "DELETE FROM notes WHERE id = ?").bind(1, id).step();
  return sqlite3_changes(db_) > 0;
}

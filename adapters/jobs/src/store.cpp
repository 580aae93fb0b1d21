#include "store.hpp"

#include <sqlite3.h>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/impl/base/file.hpp"

namespace sluice::serving::jobs {
namespace {

constexpr int version = 2;  // of the table; 1 had no precision

// FULL: what was accepted is accepted, even through a power cut. It costs a sync for each of a job's few changes of state;
// progress is not written.
constexpr const char* set_up = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
  operation TEXT NOT NULL, input TEXT NOT NULL, operand TEXT NOT NULL, columns INTEGER NOT NULL, dtype TEXT NOT NULL,
  "offset" INTEGER NOT NULL, column_totals INTEGER NOT NULL,
  state INTEGER NOT NULL, event INTEGER NOT NULL, bytes INTEGER NOT NULL, bytes_total INTEGER NOT NULL,
  rows INTEGER NOT NULL, rows_total INTEGER NOT NULL, resumed_bytes INTEGER NOT NULL,
  rate REAL NOT NULL, seconds REAL NOT NULL, created REAL NOT NULL, ended REAL NOT NULL,
  code TEXT NOT NULL, detail TEXT NOT NULL, precision TEXT NOT NULL))";
constexpr const char* from_version_1 = R"(BEGIN;
ALTER TABLE jobs ADD COLUMN precision TEXT NOT NULL DEFAULT '';
UPDATE jobs SET precision = 'strict' WHERE operation = 'matmul';
PRAGMA user_version = 2;
COMMIT)";
constexpr const char* all_columns =
    "number, id, operation, input, operand, columns, dtype, \"offset\", column_totals, state, event, bytes, bytes_total, "
    "rows, rows_total, resumed_bytes, rate, seconds, created, ended, code, detail, precision";

struct closer {
  void operator()(sqlite3* db) const noexcept { sqlite3_close(db); }
  void operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }
};
using connection = std::unique_ptr<sqlite3, closer>;
using statement = std::unique_ptr<sqlite3_stmt, closer>;

class sqlite_store final : public store {
 public:
  explicit sqlite_store(const std::string& path) : path_(path), db_(open(path)) {
    execute(fmt::format("PRAGMA busy_timeout = 5000;{}", set_up).c_str());
    const auto found = use(prepare("PRAGMA user_version"));
    const int there = found.step() ? static_cast<int>(found.number(0)) : 0;
    if (there > version)
      throw error(error_code::io, fmt::format("[jobs] {} is of version {}: this library writes version {}, and reads none "
                                              "that is newer",
                                              path_, there, version));
    if (there == 1) execute(from_version_1);
    if (there == 0) execute(fmt::format("PRAGMA user_version = {}", version).c_str());
    insert_ =
        prepare(fmt::format("INSERT INTO jobs ({}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                            "?, ?, ?, ?, ?)",
                            all_columns));
    update_ = prepare(
        "UPDATE jobs SET state = ?, event = ?, bytes = ?, bytes_total = ?, rows = ?, rows_total = ?, "
        "resumed_bytes = ?, rate = ?, seconds = ?, created = ?, ended = ?, code = ?, detail = ? "
        "WHERE number = ?");
    remove_ = prepare("DELETE FROM jobs WHERE number = ?");
  }

  std::vector<job> load() override {
    std::vector<job> all;
    const auto rows = use(prepare(fmt::format("SELECT {} FROM jobs ORDER BY number", all_columns)));
    while (rows.step()) {
      auto& j = all.emplace_back();
      int at = 0;
      const auto number = [&] { return rows.number(at++); };
      const auto real = [&] { return rows.real(at++); };
      const auto text = [&] { return rows.text(at++); };
      j.number = number();
      j.id = text();
      j.asked = {text(), text(), text(), number(), text(), number(), number() != 0, {}};
      j.state = static_cast<jobs::state>(number());
      for (auto* const n : {&j.event, &j.bytes, &j.bytes_total, &j.rows, &j.rows_total, &j.resumed_bytes}) *n = number();
      for (auto* const x : {&j.bytes_per_second, &j.seconds, &j.created, &j.ended}) *x = real();
      j.code = text();
      j.detail = text();
      j.asked.precision = text();
    }
    return all;
  }

  void add(job& j) override {
    auto row = use(insert_);
    row << j.id << j.asked.operation << j.asked.input << j.asked.operand << j.asked.columns << j.asked.dtype
        << j.asked.offset << std::int64_t{j.asked.column_totals};
    bind_progress(row, j);
    row << j.asked.precision;
    row.step();
    j.number = sqlite3_last_insert_rowid(db_.get());
  }

  void update(const job& j) override {
    auto row = use(update_);
    bind_progress(row, j);
    row << j.number;
    row.step();
  }

  void remove(std::int64_t number) override {
    auto row = use(remove_);
    row << number;
    row.step();
  }

 private:
  // One use of a statement, which is ready for the next afterwards.
  class using_statement {
   public:
    using_statement(const sqlite_store& s, const statement& own) : store_(s), handle_(own.get()) {}
    using_statement(const sqlite_store& s, statement&& own) : store_(s), own_(std::move(own)), handle_(own_.get()) {}
    ~using_statement() { sqlite3_reset(handle_); }
    using_statement(const using_statement&) = delete;
    using_statement& operator=(const using_statement&) = delete;

    using_statement& operator<<(std::int64_t value) { return check(sqlite3_bind_int64(handle_, ++bound_, value)); }
    using_statement& operator<<(double value) { return check(sqlite3_bind_double(handle_, ++bound_, value)); }
    using_statement& operator<<(const std::string& value) {  // which outlives the use
      return check(sqlite3_bind_text64(handle_, ++bound_, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8));
    }
    bool step() const {  // true while there is a row
      const int code = sqlite3_step(handle_);
      if (code != SQLITE_ROW && code != SQLITE_DONE) store_.fail();
      return code == SQLITE_ROW;
    }
    std::int64_t number(int at) const { return sqlite3_column_int64(handle_, at); }
    double real(int at) const { return sqlite3_column_double(handle_, at); }
    std::string text(int at) const {
      const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, at));
      return bytes == nullptr ? std::string()
                              : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, at)));
    }

   private:
    using_statement& check(int code) {
      if (code != SQLITE_OK) store_.fail();
      return *this;
    }

    const sqlite_store& store_;
    statement own_{};
    sqlite3_stmt* handle_;
    int bound_ = 0;
  };

  template <class Statement>
  using_statement use(Statement&& s) const {
    return {*this, std::forward<Statement>(s)};
  }

  static void bind_progress(using_statement& row, const job& j) {
    row << static_cast<std::int64_t>(j.state) << j.event << j.bytes << j.bytes_total << j.rows << j.rows_total
        << j.resumed_bytes << j.bytes_per_second << j.seconds << j.created << j.ended << j.code << j.detail;
  }

  // One thread at a time, as the class says: SQLite need not lock.
  static connection open(const std::string& path) {
    {  // SQLite would create it for everybody to read; its -wal and -shm get the permissions that it has
      base::file_descriptor made;
      static_cast<void>(base::open_to_write(path, 0600, made));
    }
    sqlite3* db = nullptr;
    const int code =
        sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    connection owned(db);
    if (code != SQLITE_OK)
      throw error(error_code::io, fmt::format("[jobs] {} cannot be opened: {}", path, sqlite3_errstr(code)));
    return owned;
  }

  statement prepare(const std::string& sql) const {
    sqlite3_stmt* s = nullptr;
    if (sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &s, nullptr) != SQLITE_OK) fail();
    return statement(s);
  }

  void execute(const char* sql) const {
    if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }

  [[noreturn]] void fail() const {
    throw error(error_code::io, fmt::format("[jobs] {}: {}", path_, sqlite3_errmsg(db_.get())));
  }

  const std::string path_;
  const connection db_;
  statement insert_, update_, remove_;
};

}  // namespace

std::unique_ptr<store> open_store(const std::string& path) { return std::make_unique<sqlite_store>(path); }

}  // namespace sluice::serving::jobs

// The precision of a job, and what the database says of it.
#include "jobs_testing.hpp"

#include <sqlite3.h>

using namespace sluice;
using testing::ask;
using testing::cat;
using testing::house;
using testing::job_service;
using testing::started;
using testing::until_ended;
using testing::value_of;

namespace {

constexpr auto product = R"({"operation":"matmul","input":"d/a.npy","operand":"d/a.npy","precision":"fast"})";

// The database of jobs, while no service uses it.
void change(const house& p, const char* sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open((p.here / "jobs/jobs.db").c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

}  // namespace

TEST_CASE("the precision of a job is kept, and those of a release that had none are strict") {
  const house p;
  write_npy(p.data("a.npy"), testing::random({3, 3}, dtype::f32));
  std::string fast, sum;
  {
    job_service s(p.options());
    fast = started(s, product);
    sum = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
    CHECK(value_of("state", until_ended(s, fast)) == "done");
    until_ended(s, sum);
  }
  const auto precision_in = [](sluice::service& s, const std::string& id) {
    return value_of("precision", ask(s, "GET", cat("/v1/jobs/", id)).text());
  };
  {
    job_service s(p.options());
    CHECK(precision_in(s, fast) == "fast");
  }
  change(p, "ALTER TABLE jobs DROP COLUMN precision; PRAGMA user_version = 1");
  for (int i = 0; i < 2; ++i) {
    job_service s(p.options());
    CHECK(precision_in(s, fast) == "strict");
    CHECK(precision_in(s, sum).empty());
    CHECK(value_of("state", until_ended(s, started(s, product))) == "done");
  }
}

TEST_CASE("a job of a precision that is none fails, and the next is done") {
  const house p;
  write_npy(p.data("a.npy"), testing::random({3, 3}, dtype::f32));
  std::string id;
  {
    job_service s(p.options());
    id = started(s, product);
    CHECK(value_of("state", until_ended(s, id)) == "done");
  }
  std::filesystem::remove(p.here / cat("jobs/", id, ".npy"));  // a job with a result is done
  for (const char* name : {"exact", ""}) {
    CAPTURE(name);
    change(p, cat("UPDATE jobs SET state = 0, ended = 0, code = '', detail = '', precision = '", name, "'").c_str());
    job_service s(p.options());
    const auto text = until_ended(s, id);
    CAPTURE(text);
    CHECK(value_of("state", text) == "failed");
    CHECK(value_of("code", text) == "malformed");
    CHECK(text.find(cat("precision is \\\"", name, "\\\": it must be strict or fast or tensor_core")) != text.npos);
    const auto next = started(s, product);
    CHECK(value_of("state", until_ended(s, next)) == "done");
    CHECK(ask(s, "DELETE", cat("/v1/jobs/", next)).status == 204);
  }
}

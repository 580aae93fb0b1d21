// A job: what was asked for, and its progress.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/ops/descriptor.hpp"

namespace sluice::serving::jobs {

enum class state { queued, running, done, failed, cancelled };

constexpr std::string_view name_of(state s) noexcept {
  constexpr std::string_view names[]{"queued", "running", "done", "failed", "cancelled"};
  return names[static_cast<int>(s)];
}
constexpr bool has_ended(state s) noexcept { return s != state::queued && s != state::running; }

struct order {
  std::string operation{};  // rowsum, matmul
  std::string input{};      // NAME/path below the data directory of that name
  std::string operand{};    // matmul's b, likewise; empty
  std::int64_t columns = 0;
  std::string dtype{};
  std::int64_t offset = 0;  // of the first row
  bool column_totals = false;
  std::string precision{};  // matmul's; empty
};

struct job {
  std::int64_t number = 0;  // in the order of submission
  std::string id{};         // for clients: random, unique across servers
  order asked{};
  jobs::state state = jobs::state::queued;
  // Of its latest change: grows with every one, across all processes that ran it. See next_run().
  std::int64_t event = 1;
  std::int64_t bytes = 0, bytes_total = -1;  // of input; -1: not known
  std::int64_t rows = 0, rows_total = -1;
  std::int64_t resumed_bytes = 0;                               // done before the last interruption
  double bytes_per_second = 0, seconds = 0, seconds_left = -1;  // of computing
  double created = 0, ended = 0;                                // seconds since 1970; 0: not yet
  std::string code{}, detail{};                                 // why it failed

  // A process that resumes it may not know the latest events of the previous one, which was killed: it counts on from a
  // number greater than any of those.
  void next_run() noexcept { event = ((event >> 32) + 1) << 32; }
};

[[nodiscard]] std::string json(const job& j);

// matmul's. Throws http_error 400, with `name`, where there is none.
const op_precision& precision_named(std::string_view name);

// Reads an order from JSON, with the default of what it leaves out. Throws error: malformed, invalid_argument; http_error.
order parse_order(std::string_view body);

}  // namespace sluice::serving::jobs

// How many of the rows that wait run as one, by the times that batches were seen to take.
#include <doctest/doctest.h>

#include "execution/batch.hpp"

using namespace sluice;
using serving::is_worth_waiting;
using serving::rows_of_batch;
using serving::waiting_part;
using std::chrono::milliseconds;

namespace {

const std::chrono::steady_clock::time_point begin{};
constexpr auto never = std::chrono::steady_clock::time_point::max();

waiting_part part(std::int64_t rows, std::chrono::steady_clock::time_point deadline = never) {
  return {.rows = rows, .result_bytes = 8, .deadline = deadline, .may_split = rows > 32};
}

struct choice {
  gather_rule rule{.limit = 32, .by = joining::rows};
  std::int64_t bytes = 1 << 20;

  // The time of a batch: `first`, and `each` for a row, in milliseconds.
  choice(double first, double each) {
    rule.seconds = [=](const device&, std::int64_t rows) { return 1e-3 * (first + each * static_cast<double>(rows)); };
  }
  [[nodiscard]] serving::batch_terms terms(std::int64_t enough = 1000) const {
    return {.rule = rule, .where = device::cpu, .result_bytes = bytes, .enough = enough, .now = begin};
  }
  [[nodiscard]] std::int64_t of(const std::vector<waiting_part>& waiting, std::int64_t enough = 1000) const {
    return rows_of_batch(waiting, terms(enough));
  }
};

}  // namespace

TEST_CASE("a batch takes what gives the most rows a second, in the order of what waits") {
  const choice pays(1, 0.1), even(0, 20);
  CHECK(pays.of(std::vector(7, part(1))) == 7);
  CHECK(pays.of(std::vector(50, part(1))) == 32);
  CHECK(pays.of({part(20), part(20), part(1)}) == 20);  // the next would have to be split, and none goes before it
  CHECK(pays.of({part(33)}) == 32);
  CHECK(pays.of({part(10), part(33)}) == 32);
  CHECK(pays.of(std::vector(7, part(1)), 3) == 3);
  CHECK(even.of(std::vector(7, part(1))) == 1);  // half as many rows are as good, and so on
  choice padded(1, 0.1);
  padded.rule.seconds = [](const device&, std::int64_t rows) { return rows <= 16 ? 1e-3 : 2.5e-3; };
  CHECK(padded.of(std::vector(17, part(1))) == 16);
  CHECK(padded.of(std::vector(32, part(1))) == 16);
  choice unknown = pays;
  unknown.rule.seconds = nullptr;
  CHECK(unknown.of(std::vector(50, part(1))) == 32);
  choice large = pays;
  large.bytes = 24;
  CHECK(large.of(std::vector(50, part(1))) == 3);
}

TEST_CASE("a batch is made smaller where a call would miss its deadline") {
  const choice c(10, 1);
  CHECK(c.of({part(1, begin + std::chrono::microseconds(14500)), part(1), part(1), part(1), part(1)}) == 4);
  CHECK(c.of({part(1), part(1), part(1, begin + milliseconds(12)), part(1)}) == 2);
  CHECK(c.of({part(1, begin + milliseconds(5)), part(1), part(1), part(1)}) == 4);  // late by itself: no size helps it
}

TEST_CASE("calls that are still to be decoded are waited for where it pays, and every deadline allows it") {
  const choice pays(1, 0.1), even(0, 20);
  CHECK(is_worth_waiting(std::vector{part(1)}, 1, pays.terms()));
  CHECK(!is_worth_waiting(std::vector{part(1)}, 5, even.terms()));
  CHECK(!is_worth_waiting(std::vector{part(32)}, 5, pays.terms()));
  CHECK(!is_worth_waiting(std::vector{part(1, begin + milliseconds(2))}, 1, pays.terms()));
  CHECK(is_worth_waiting(std::vector{part(1, begin + milliseconds(3))}, 1, pays.terms()));
}

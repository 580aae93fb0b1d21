// How many of those that wait run as one.
#include <algorithm>

#include "execution/batch.hpp"

namespace sluice::serving {
namespace {

using clock = std::chrono::steady_clock;

constexpr double as_good = 0.95;  // of the rows a second: less is no gain

double seconds_until(clock::time_point deadline, clock::time_point now) {
  return deadline == clock::time_point::max() ? std::numeric_limits<double>::infinity() : seconds_of(deadline - now);
}

double rate_of(const batch_terms& terms, std::int64_t rows) {
  return static_cast<double>(rows) / terms.rule.seconds(terms.where, rows);
}

// The time left to the parts so far. One that is late by itself does not count: a smaller batch would not help it.
class time_left {
 public:
  explicit time_left(const batch_terms& terms) : terms_(terms) {}

  [[nodiscard]] double with(const waiting_part& p) const {
    const double left = seconds_until(p.deadline, terms_.now);
    return left < terms_.rule.seconds(terms_.where, p.rows) ? seconds_ : std::min(seconds_, left);
  }
  void add(const waiting_part& p) { seconds_ = with(p); }

 private:
  const batch_terms& terms_;
  double seconds_ = std::numeric_limits<double>::infinity();
};

// The rows of the first part, of the first two, and so on, while a batch may have them.
std::vector<std::int64_t> cuts_of(std::span<const waiting_part> waiting, const batch_terms& terms) {
  std::vector<std::int64_t> cuts;
  const auto& rule = terms.rule;
  std::int64_t rows = 0, bytes = 0;
  time_left left(terms);
  for (const auto& p : waiting) {
    const auto taken = std::min(p.rows, rule.limit - rows);
    if (taken <= 0 || (taken < p.rows && !p.may_split)) break;
    if (!cuts.empty()) {
      if (static_cast<std::int64_t>(cuts.size()) >= terms.enough || p.result_bytes > terms.result_bytes - bytes) break;
      if (rule.seconds && rule.seconds(terms.where, rows + taken) > left.with(p)) break;
    }
    if (rule.seconds) left.add(p);
    bytes += p.result_bytes;
    cuts.push_back(rows += taken);
  }
  return cuts;
}

}  // namespace

std::int64_t rows_of_batch(std::span<const waiting_part> waiting, const batch_terms& terms) {
  const auto cuts = cuts_of(waiting, terms);
  if (cuts.empty()) return std::min(waiting[0].rows, terms.rule.limit);
  if (!terms.rule.seconds || cuts.size() == 1) return cuts.back();
  std::int64_t best = 0;
  double most = 0;
  for (const auto rows : cuts)
    if (const double rate = rate_of(terms, rows); rate >= most) most = rate, best = rows;
  for (auto it = cuts.rbegin(); it != cuts.rend(); ++it)
    if (*it <= best / 2) {
      if (rate_of(terms, *it) < as_good * most) break;
      best = *it;
    }
  return best;
}

bool is_worth_waiting(std::span<const waiting_part> waiting, int more, const batch_terms& terms) {
  if (!terms.rule.seconds) return true;
  std::int64_t rows = 0;
  time_left left(terms);
  for (const auto& p : waiting) rows += p.rows, left.add(p);
  const auto now = rows_of_batch(waiting, terms);
  const auto each = std::max<std::int64_t>(1, rows / static_cast<std::int64_t>(waiting.size()));
  const auto then = std::min(terms.rule.limit, rows + more * each);
  const double seconds = terms.rule.seconds(terms.where, then);
  constexpr double slack = 2;  // they are still to be decoded
  return rate_of(terms, now) < as_good * static_cast<double>(then) / seconds && slack * seconds < left.with(waiting[0]);
}

}  // namespace sluice::serving

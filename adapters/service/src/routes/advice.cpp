#include "routes/advice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace sluice::serving {
namespace {

std::string in_words(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} s", seconds);
}

void check(const advice_question& q) {
  const auto need = [](bool holds, const std::string& sentence) {
    if (!holds) throw error(error_code::invalid_argument, "[advise] " + sentence);
  };
  for (std::size_t i = 0; i < q.sizes.size(); ++i)
    need(q.sizes[i] >= 1 && q.sizes[i] <= 1'000'000 && (i == 0 || q.sizes[i] > q.sizes[i - 1]),
         fmt::format("size {} is {}: sizes lie in 1 to 1000000, and grow", i, q.sizes[i]));
  need(q.sizes.size() <= 1000, fmt::format("{} sizes are asked for: 1000 is the most", q.sizes.size()));
  need(std::isfinite(q.rate) && q.rate >= 0, fmt::format("the rate is {}: it must be 0 or more", q.rate));
  for (const auto& [where, price] : q.prices)
    need(std::isfinite(price) && price >= 0, fmt::format("the price of {} is {}: it must be 0 or more", where.str(), price));
}

work work_for(const advice_question& q, std::int64_t n) {
  const std::vector<operand_spec> in(q.op->inputs.size(), {q.dtype, {n, n}, device::cpu, q.pinned});
  return work_of(*q.op, in, q.precision != nullptr ? q.precision->options : op_options{});
}

// In the price's currency, for a million calls.
double cost_of(const advice_question& q, const device& d, double throughput) {
  for (const auto& [where, price] : q.prices) {
    if (where != d) continue;
    if (q.rate <= 0) return price / 3600 / throughput * 1e6;
    return std::ceil(q.rate / throughput) * price / 3600 / q.rate * 1e6;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

advice_row row_of(const advice_question& q, std::int64_t n, const std::vector<device>& devices) {
  advice_row row;
  row.size = n;
  const work w = work_for(q, n);
  row.chosen = place(w, devices);
  for (const auto& d : devices) {
    row.predictions.push_back(predict(w, d));
    row.cost.push_back(cost_of(q, d, 1 / row.predictions.back().busy));
  }
  return row;
}

double seconds_of(const advice_row& row, std::size_t device) { return row.predictions[device].seconds; }

// The device other than the CPU with the least time, or -1.
int best_elsewhere(const advice_row& row) {
  int best = -1;
  for (std::size_t i = 1; i < row.predictions.size(); ++i)
    if (!std::isnan(seconds_of(row, i)) &&
        (best < 0 || seconds_of(row, i) < seconds_of(row, static_cast<std::size_t>(best))))
      best = static_cast<int>(i);
  return best;
}

bool pays(const advice_row& row) {
  const int i = best_elsewhere(row);
  return i > 0 && seconds_of(row, static_cast<std::size_t>(i)) < seconds_of(row, 0);
}

std::int64_t crossover_of(const advice_question& q, const advice& a) {
  std::int64_t low = a.rows.front().size;
  if (pays(a.rows.front())) return low;
  for (const auto& row : a.rows) {
    if (!pays(row)) {
      low = row.size;
      continue;
    }
    std::int64_t high = row.size;
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (pays(row_of(q, middle, a.devices)) ? high : low) = middle;
    }
    return high;
  }
  return 0;
}

// The cheapest device that is known for the largest size.
std::string cheapest(const advice& a) {
  const auto& row = a.rows.back();
  std::size_t best = row.cost.size();
  for (std::size_t i = 0; i < row.cost.size(); ++i)
    if (!std::isnan(row.cost[i]) && (best == row.cost.size() || row.cost[i] < row.cost[best])) best = i;
  if (best == row.cost.size()) return "";
  std::string text =
      fmt::format(" At n = {} a million calls are cheapest on {}: {:.4g}", row.size, a.devices[best].str(), row.cost[best]);
  for (std::size_t i = 0; i < row.cost.size(); ++i)
    if (i != best && !std::isnan(row.cost[i])) text += fmt::format(", and {:.4g} on {}", row.cost[i], a.devices[i].str());
  return text + ".";
}

std::string sentence_of(const advice_question& q, const advice& a) {
  const auto& last = a.rows.back();
  const int far = best_elsewhere(last);
  const std::string what = fmt::format("{} of {}", q.op->name, name_of(q.dtype));
  if (far < 0) {
    std::string why_not;
    for (const auto& r : refusals())
      if (!r.backend.empty()) why_not += fmt::format(" {}.", r.str());
    for (const auto& p : profiles())
      if (!p.where.is_cpu()) why_not += fmt::format(" {} is {}.", p.where.str(), p.source);
    if (why_not.empty()) why_not = " No other device was found.";
    return fmt::format("{} runs on the CPU: nothing is known of another device.{}{}", what, why_not, cheapest(a));
  }
  const auto& there = a.devices[static_cast<std::size_t>(far)];
  const double on_far = seconds_of(last, static_cast<std::size_t>(far));
  const auto compared = fmt::format("at n = {} a call takes {} there and {} on the CPU.", last.size, in_words(on_far),
                                    in_words(seconds_of(last, 0)));
  if (a.crossover == 0)
    return fmt::format("{} belongs on the CPU up to n = {}: {} does not pay, {}{}", what, last.size, there.str(), compared,
                       cheapest(a));
  if (a.crossover == a.rows.front().size)
    return fmt::format("{} belongs on {} from n = {} on: {}{}", what, there.str(), a.crossover, compared, cheapest(a));
  return fmt::format("{} belongs on the CPU below n = {}, and on {} from there on: {}{}", what, a.crossover, there.str(),
                     compared, cheapest(a));
}

}  // namespace

advice advise(advice_question q) {
  check(q);
  if (q.sizes.empty())
    for (std::int64_t n = 16; n <= 4096; n *= 2) q.sizes.push_back(n);
  advice a;
  for (const auto& p : profiles()) a.devices.push_back(p.where);
  for (const auto n : q.sizes) a.rows.push_back(row_of(q, n, a.devices));
  a.crossover = crossover_of(q, a);
  a.sentence = sentence_of(q, a);
  return a;
}

}  // namespace sluice::serving

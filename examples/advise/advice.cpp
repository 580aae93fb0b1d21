#include "advice.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} s", seconds);
}

sluice::work advice_question::work_for(std::int64_t n) const {
  const std::vector<sluice::operand_spec> in(op->inputs.size(), {dtype, {n, n}, sluice::device::cpu, pinned});
  return sluice::work_of(*op, in, options());
}

namespace {

double cost_of(const advice_question& q, const sluice::device& d, double throughput) {
  for (const auto& [where, price] : q.prices) {
    if (where != d) continue;
    const double second = price / 3600;
    return 1e6 * (q.rate > 0 ? std::ceil(q.rate / throughput) * second / q.rate : second / throughput);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

advice_row row_of(const advice_question& q, std::int64_t n, const std::vector<sluice::device>& devices) {
  const auto w = q.work_for(n);
  advice_row row{n, place(w, devices)};
  for (std::size_t d = 0; d < devices.size(); ++d) {
    row.predictions.push_back(predict(w, devices[d]));
    row.cost.push_back(cost_of(q, devices[d], row.throughput(d)));
  }
  return row;
}

// The device with the least of `value`, from `first` on; as many as there are devices when none is known.
template <class F>
std::size_t least(const advice_row& row, std::size_t first, F value) {
  std::size_t best = row.predictions.size();
  for (std::size_t d = first; d < row.predictions.size(); ++d)
    if (!std::isnan(value(d)) && (best == row.predictions.size() || value(d) < value(best))) best = d;
  return best;
}

std::size_t soonest_elsewhere(const advice_row& row) {
  return least(row, 1, [&](std::size_t d) { return row.seconds(d); });
}

bool pays(const advice_row& row) {
  const auto d = soonest_elsewhere(row);
  return d < row.predictions.size() && row.seconds(d) < row.seconds(0);
}

std::int64_t crossover_of(const advice_question& q, const advice& a) {
  std::int64_t low = 0;
  for (const auto& row : a.rows) {
    if (!pays(row)) {
      low = row.size;
      continue;
    }
    std::int64_t high = row.size;
    while (low > 0 && high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (pays(row_of(q, middle, a.devices)) ? high : low) = middle;
    }
    return high;
  }
  return 0;
}

std::string cheapest(const advice& a) {
  const auto& row = a.rows.back();
  const auto best = least(row, 0, [&](std::size_t d) { return row.cost[d]; });
  if (best == row.cost.size()) return "";
  return fmt::format(" At n = {} a million calls are cheapest on {}: {:.4g}.", row.size, a.devices[best].str(),
                     row.cost[best]);
}

std::string sentence_of(const advice_question& q, const advice& a) {
  const auto& last = a.rows.back();
  const auto far = soonest_elsewhere(last);
  const std::string what = fmt::format("{} of {}", q.op->name, sluice::name_of(q.dtype));
  if (far == a.devices.size())
    return fmt::format("{} runs on the CPU: nothing is known of another device.{}", what, cheapest(a));
  const std::string there = a.devices[far].str();
  const std::string where = a.crossover == 0 ? fmt::format("the CPU up to n = {}, and {} does not pay", last.size, there)
                            : a.crossover == a.rows.front().size
                                ? fmt::format("{} from n = {} on", there, a.crossover)
                                : fmt::format("the CPU below n = {}, and on {} from there on", a.crossover, there);
  return fmt::format("{} belongs on {}: at n = {} a call takes {} there and {} on the CPU.{}", what, where, last.size,
                     duration_text(last.seconds(far)), duration_text(last.seconds(0)), cheapest(a));
}

}  // namespace

advice advise(const advice_question& q) {
  advice a;
  for (const auto& p : sluice::profiles()) a.devices.push_back(p.where);
  for (const auto n : q.sizes) a.rows.push_back(row_of(q, n, a.devices));
  a.crossover = crossover_of(q, a);
  a.sentence = sentence_of(q, a);
  return a;
}

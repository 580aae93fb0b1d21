#include "execution/batch.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "execution/result_limits.hpp"

namespace sluice::serving {
namespace {

bool is_stacked(const endpoint& row) { return row.gather.by == joining::stacked; }

// From where their second extent is, of rows.
std::span<const std::int64_t> extents_after(const tensor& t, int rank) {
  return std::span(t.shape().begin(), t.shape().end()).subspan(static_cast<std::size_t>(rank));
}

std::int64_t rows_in(std::span<const call_part> parts) {
  std::int64_t rows = 0;
  for (const auto& p : parts) rows += p.rows();
  return rows;
}

tensor part_of(const tensor& input, const call_part& p) {
  return p.rows() == input.extent(0) ? input : input.slice(0, p.begin, p.end);
}

tensor joined(std::span<const call_part> parts, std::size_t input, const device& where) {
  const call& first = *parts[0].of;
  const bool stacks = is_stacked(first.row);
  const tensor& like = first.inputs[input];
  if (parts.size() == 1 && !stacks) return part_of(like, parts[0]).to(where);
  std::vector<std::int64_t> extents{rows_in(parts)};
  for (int r = stacks ? 0 : 1; r < like.rank(); ++r) extents.push_back(like.extent(r));
  tensor all(shape(extents), like.dtype(), where);
  std::int64_t at = 0;
  for (const auto& p : parts) {
    const tensor& own = p.of->inputs[input];
    stacks ? all[at].assign(own) : all.slice(0, at, at + p.rows()).assign(part_of(own, p));
    at += p.rows();
  }
  return all;
}

// Of the inputs of all, which come from where those of the first call are.
work cost_of(const call& first, std::span<const tensor> inputs) {
  work all = first.row.estimate(inputs);
  all.precision = first.cost->precision;
  all.result_to = device::cpu;
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::min(all.operand_count, first.cost->operand_count)); ++i) {
    all.operands[i].where = first.cost->operands[i].where;
    all.operands[i].pinned = first.cost->operands[i].pinned;
  }
  return all;
}

// In memory of their own: a slow client holds no other's. Small ones are copied from the device together.
std::vector<std::vector<tensor>> parts_of(std::span<const tensor> results, std::span<const call_part> parts) {
  constexpr std::size_t small = 64 << 10;
  const endpoint& row = parts[0].of->row;
  const auto rows = rows_in(parts);
  std::vector<std::vector<tensor>> own(parts.size());
  for (const auto& result : results) {
    if (result.rank() == 0 || result.extent(0) != rows)
      throw error(error_code::invalid_argument,
                  fmt::format("[{}] of {} {} the result has the shape {}: its first extent must be their number", row.name,
                              rows, is_stacked(row) ? "calls" : "rows", result.shape().str()));
    const tensor all = result.bytes() / parts.size() <= small ? result.to(device::cpu) : result;
    std::int64_t at = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const tensor one = is_stacked(row) ? all[at] : all.slice(0, at, at + parts[i].rows());
      own[i].push_back(one.device().is_cpu() ? one.clone() : one.to(device::cpu));
      at += parts[i].rows();
    }
  }
  return own;
}

}  // namespace

const void* kind_of(const endpoint& row) { return row.gather.same ? row.gather.same.get() : &row; }

const void* kind_on_cpu(const endpoint& row) { return row.gather.on_cpu && row.gather.limit > 1 ? kind_of(row) : nullptr; }

bool is_split(const endpoint& row, std::int64_t rows) {
  return row.gather.by == joining::rows && row.gather.limit > 1 && rows > row.gather.limit;
}

std::int64_t rows_to_join(const call& c) {
  const auto& rule = c.row.gather;
  if (rule.limit < 2 || !c.cost || c.inputs.empty()) return 0;
  const bool stacks = rule.by == joining::stacked;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const auto& in = c.inputs[i];
    const int highest = c.row.prepare ? max_rank : c.row.inputs[i].max_rank;
    if (in.rank() < rule.least_rank || (stacks ? in.rank() >= highest : in.rank() == 0)) return 0;
    if (!stacks && in.extent(0) != c.inputs[0].extent(0)) return 0;
  }
  return stacks ? 1 : c.inputs[0].extent(0);
}

bool are_alike(const call& a, const call& b) {
  if (kind_of(a.row) != kind_of(b.row) || a.context.where != b.context.where || a.context.precision != b.context.precision)
    return false;
  const auto& mine = a.context.parameters;
  const auto& its = b.context.parameters;
  if (!a.row.gather.same && !std::equal(mine.begin(), mine.end(), its.begin(), its.end())) return false;
  const int from = is_stacked(a.row) ? 0 : 1;
  return std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [&](const tensor& s, const tensor& t) {
                      return s.dtype() == t.dtype() && s.rank() == t.rank() &&
                             std::ranges::equal(extents_after(s, from), extents_after(t, from));
                    });
}

std::vector<std::vector<tensor>> compute_joint(std::span<const call_part> parts, const decision& decided) {
  const call& first = *parts[0].of;
  std::vector<tensor> inputs;
  for (std::size_t i = 0; i < first.inputs.size(); ++i) inputs.push_back(joined(parts, i, decided.where));
  call_account account(cost_of(first, inputs), decided);
  auto own = parts_of(first.row.run(inputs, first.context), parts);
  account.succeeded();
  return own;
}

std::vector<tensor> run_alone(call& c) {
  const auto rows = rows_to_join(c);
  if (!is_split(c.row, rows)) return c.row.run(c.inputs, c.context);
  std::vector<std::vector<tensor>> parts;
  for (std::int64_t at = 0; at < rows; at += c.row.gather.limit) {
    if (at > 0) c.check_deadline();
    const call_part part{&c, at, std::min(rows, at + c.row.gather.limit)};
    std::vector<tensor> inputs;
    for (const auto& in : c.inputs) inputs.push_back(part_of(in, part));
    const auto results = c.row.run(inputs, c.context);
    parts.push_back(std::move(parts_of(results, std::span(&part, 1))[0]));
  }
  return concatenated(parts);
}

std::vector<tensor> concatenated(std::span<const std::vector<tensor>> parts) {
  std::vector<tensor> all;
  for (std::size_t i = 0; i < parts[0].size(); ++i) {
    std::vector<std::int64_t> extents{0};
    for (const auto& p : parts) extents[0] += p[i].extent(0);
    for (int r = 1; r < parts[0][i].rank(); ++r) extents.push_back(parts[0][i].extent(r));
    tensor whole(shape(extents), parts[0][i].dtype());
    std::int64_t at = 0;
    for (const auto& p : parts) {
      whole.slice(0, at, at + p[i].extent(0)).assign(p[i]);
      at += p[i].extent(0);
    }
    all.push_back(std::move(whole));
  }
  return all;
}

}  // namespace sluice::serving

#include "execution/endpoint_registry.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "codec/call_options.hpp"
#include "http/http_error.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

[[noreturn]] void fail(const endpoint& row, const std::string& rule) {
  throw error(error_code::invalid_argument, fmt::format("[add] endpoint {}: {}", json_string(row.name), rule));
}

void check_name(const endpoint& row, std::string_view name, std::string_view more_letters, std::size_t longest) {
  const bool right = std::all_of(name.begin(), name.end(), [&](char c) {
    return letters.find(c) != letters.npos || more_letters.find(c) != more_letters.npos;
  });
  if (!right || name.empty() || name.size() > longest)
    fail(row, fmt::format("the name {} must have 1 to {} letters, digits, '_'{}", json_string(name), longest,
                          more_letters.empty() ? "" : fmt::format(" or any of {}", json_string(more_letters))));
}

void check_fields(const endpoint& row, const std::vector<field>& fields, const char* kind,
                  std::set<std::string_view> taken) {
  if (fields.empty()) fail(row, fmt::format("it has no {}s", kind));
  for (const auto& f : fields) {
    check_name(row, f.name, "-.:/", 256);
    if (!taken.insert(f.name).second)
      fail(row, fmt::format("the {} name {} is taken or reserved", kind, json_string(f.name)));
    if (f.dtypes.empty()) fail(row, fmt::format("{} {} takes no dtype", kind, f.name));
    if (f.min_rank < 0 || f.max_rank > max_rank || f.min_rank > f.max_rank)
      fail(row,
           fmt::format("{} {} has ranks {} to {}: they lie in 0 to {}", kind, f.name, f.min_rank, f.max_rank, max_rank));
    if (f.usual_rank != 0 && (f.usual_rank < f.min_rank || f.usual_rank > f.max_rank))
      fail(row, fmt::format("{} {} has the usual rank {}, and ranks {} to {}", kind, f.name, f.usual_rank, f.min_rank,
                            f.max_rank));
  }
}

// Extents tell the rank, too.
void check_extents(const endpoint& row, std::vector<field>& fields) {
  for (auto& f : fields) {
    if (f.extents.empty()) continue;
    const bool right = std::all_of(f.extents.begin(), f.extents.end(), [](std::int64_t n) { return n >= -1; });
    if (!right || f.extents.size() > max_rank)
      fail(row, fmt::format("{} has the extents {}: they are {} at most, of -1 for any or at least 0", f.name,
                            extents_text(f), max_rank));
    f.min_rank = f.max_rank = f.usual_rank = static_cast<int>(f.extents.size());
  }
}

void check_labels(const endpoint& row) {
  for (const auto& f : row.inputs)
    if (f.labels) fail(row, fmt::format("the input {} has labels: outputs have them", f.name));
  for (const auto& f : row.outputs) {
    if (!f.labels) continue;
    for (const auto t : f.dtypes)
      if (is_floating(t))
        fail(row, fmt::format("the output {} has labels and is of {}: labels are of integers", f.name, name_of(t)));
    if (f.kind != field_kind::numbers) fail(row, fmt::format("the output {} is a picture: it has no labels", f.name));
  }
}

void check_records(const endpoint& row, const std::set<std::string_view>& taken) {
  if (row.records.empty()) return;
  check_name(row, row.records, "", 64);
  if (taken.contains(row.records)) fail(row, fmt::format("the name of records {} is reserved", json_string(row.records)));
}

void check_precisions(const endpoint& row) {
  std::set<std::string_view> taken;
  for (const auto& p : row.precisions) {
    check_name(row, p.name, "", 64);
    if (!taken.insert(p.name).second) fail(row, fmt::format("the precision {} is there twice", json_string(p.name)));
  }
}

void check_parameters(const endpoint& row, std::set<std::string_view> taken) {
  for (const auto name : {"nonfinite", "result_dtype", "dtype", "timeout", "priority", "binary_data_output"})
    taken.insert(name);
  for (const auto& p : row.parameters) {
    check_name(row, p.name, "", 64);
    if (!taken.insert(p.name).second) fail(row, fmt::format("the parameter {} is taken or reserved", json_string(p.name)));
    const bool is_choice = p.usual >= 0 && p.usual < static_cast<double>(p.choices.size());
    if (p.choices.empty() ? !std::isfinite(p.usual) : !is_choice)
      fail(row, fmt::format("the parameter {} has the usual value {}: it must be {}", p.name, p.usual,
                            p.choices.empty() ? "finite" : fmt::format("the place of one of {} choices", p.choices.size())));
  }
}

void check_version(const endpoint& row) {
  constexpr std::size_t longest = 18;
  const std::string_view v = row.version;
  const bool digits = v.find_first_not_of("0123456789") == v.npos;
  if (v.empty() || v.size() > longest || !digits || v.front() == '0')
    fail(row,
         fmt::format("the version {} must be a whole number from 1, of {} digits at most", json_string(shown(v)), longest));
}

void check_row(endpoint& row) {
  check_name(row, row.name, "-", 64);
  if (row.name == "devices" || row.name == "jobs" || row.name == "placement") fail(row, "the name is reserved");
  check_version(row);
  std::set<std::string_view> inputs{"dtype"}, outputs{"shape", "dtype", "device"};
  if (!row.precisions.empty()) inputs.insert(precision_key), outputs.insert(precision_key);
  if (takes_pictures(row)) inputs.insert(channels_key);
  check_extents(row, row.inputs);
  check_extents(row, row.outputs);
  check_labels(row);
  check_records(row, outputs);
  check_fields(row, row.inputs, "input", inputs);
  check_fields(row, row.outputs, "output", outputs);
  check_precisions(row);
  for (const auto& f : row.inputs) inputs.insert(f.name);
  check_parameters(row, inputs);
  if (!row.run) fail(row, "it has no run");
}

// By version: of whole numbers without leading zeros.
bool is_lower(const endpoint_registry::row_pointer& a, const endpoint_registry::row_pointer& b) {
  return std::pair(a->version.size(), std::string_view(a->version)) <
         std::pair(b->version.size(), std::string_view(b->version));
}

// The options for the values of a call, or for the usual ones.
op_options options_of(const op_descriptor& op, std::span<const double> values, option_storage& to) {
  if (values.size() == op.parameters.size()) return op.options_of(values, to);
  std::vector<double> usual;
  for (const auto& p : op.parameters) usual.push_back(p.usual);
  return op.options_of(usual, to);
}

}  // namespace

void endpoint_registry::add(endpoint row) { put(std::move(row), false); }

void endpoint_registry::replace(endpoint row) { put(std::move(row), true); }

endpoint_registry::row_pointer endpoint_registry::put(endpoint row, bool may_replace) {
  check_row(row);
  auto shared = std::make_shared<const endpoint>(std::move(row));
  const std::unique_lock lock(mutex_);
  rows_.reserve(rows_.size() + 1);
  const auto [it, is_new] = by_name_.try_emplace(shared->name, 1, shared);
  auto& versions = it->second;
  const auto at = std::lower_bound(versions.begin(), versions.end(), shared, is_lower);
  if (is_new || at == versions.end() || (*at)->version != shared->version) {
    if (!is_new) versions.insert(at, shared);
    rows_.push_back(std::move(shared));
    ++changes_;
    return nullptr;
  }
  if (!may_replace) fail(*shared, fmt::format("the name is taken, by version {}", shared->version));
  *std::find(rows_.begin(), rows_.end(), *at) = shared;
  ++changes_;
  return std::exchange(*at, std::move(shared));
}

bool endpoint_registry::remove(std::string_view name, std::string_view version) {
  std::vector<row_pointer> gone;  // released after the lock
  const std::unique_lock lock(mutex_);
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return false;
  auto& versions = it->second;
  const auto goes = [&](const row_pointer& row) { return version.empty() || row->version == version; };
  std::copy_if(versions.begin(), versions.end(), std::back_inserter(gone), goes);
  std::erase_if(versions, goes);
  if (versions.empty()) by_name_.erase(it);
  ++changes_;
  std::erase_if(rows_, [&](const auto& row) { return std::find(gone.begin(), gone.end(), row) != gone.end(); });
  return !gone.empty();
}

endpoint_registry::row_pointer endpoint_registry::find(std::string_view name, std::string_view version) const {
  const std::shared_lock lock(mutex_);
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return nullptr;
  if (version.empty()) return it->second.back();
  for (const auto& row : it->second)
    if (row->version == version) return row;
  return nullptr;
}

std::vector<endpoint_registry::row_pointer> endpoint_registry::versions(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? std::vector<row_pointer>{} : it->second;
}

std::vector<endpoint_registry::row_pointer> endpoint_registry::rows() const {
  const std::shared_lock lock(mutex_);
  std::vector<row_pointer> all;
  for (const auto& row : rows_)
    if (by_name_.find(row->name)->second.back() == row) all.push_back(row);
  return all;
}

std::vector<endpoint_registry::row_pointer> endpoint_registry::all_rows() const {
  const std::shared_lock lock(mutex_);
  return rows_;
}

std::uint64_t endpoint_registry::changes() const {
  const std::shared_lock lock(mutex_);
  return changes_;
}

std::vector<std::string> endpoint_registry::left_out() const {
  std::vector<std::string> all;
  for (const auto& [name, why] : left_out_) all.push_back(fmt::format("{}: {}", name, why));
  return all;
}

void endpoint_registry::check_offered(std::string_view name) const {
  if (const auto it = left_out_.find(name); it != left_out_.end() && !find(name))
    throw http_error{501, "unsupported", fmt::format("[{}] this server does not offer it: {}", name, it->second)};
}

endpoint endpoint_of(const op_descriptor& op, const op_options& options) {
  const auto field_of = [](const op_field& f) {
    return field{.name = std::string(f.name),
                 .dtypes = {f.dtypes.begin(), f.dtypes.end()},
                 .min_rank = f.min_rank,
                 .max_rank = f.max_rank,
                 .summary = std::string(f.summary),
                 .usual_rank = f.usual_rank,
                 .kind = f.kind};
  };
  const bool has_parameters = options.data == nullptr && op.options_of != nullptr;  // else they are chosen already
  const auto options_for = [&op, options, has_parameters](const call_context& c, option_storage& to) {
    if (has_parameters) return options_of(op, c.parameters, to);
    const auto* asked = find_precision(op, c.precision);
    return asked != nullptr ? asked->options : options;
  };
  endpoint row{.name = std::string(op.name),
               .summary = std::string(op.summary),
               .outputs = {field_of(op.result)},
               .run = [&op, options_for](std::span<const tensor> in, const call_context& c) {
                 option_storage chosen;
                 return std::vector{apply(op, operands(in), c.where, options_for(c, chosen))};
               }};
  row.estimate = [&op, options_for](std::span<const tensor> in) {
    option_storage usual;
    return work_of(op, operands(in), options_for({}, usual));
  };
  row.results = [&op, options_for](std::span<const tensor> in) {
    std::array<operand_spec, max_operands> specs;
    for (std::size_t i = 0; i < in.size(); ++i) specs[i] = {.dtype = in[i].dtype(), .shape = in[i].shape()};
    option_storage usual;
    return std::vector{result_of(op, std::span<const operand_spec>(specs.data(), in.size()), options_for({}, usual))};
  };
  for (const auto& f : op.inputs) row.inputs.push_back(field_of(f));
  if (op.stacks_from_rank > 0) row.gather = {.limit = 64, .least_rank = op.stacks_from_rank};
  if (op.result_dtype != nullptr) row.outputs[0].dtype_for = op.result_dtype;
  if (options.data == nullptr)  // else they are chosen already
    for (const auto& p : op.precisions) row.precisions.push_back({std::string(p.name), std::string(p.summary)});
  if (has_parameters)
    for (const auto& p : op.parameters)
      row.parameters.push_back({std::string(p.name), std::string(p.summary), p.usual, {p.choices.begin(), p.choices.end()}});
  if (op.options_for != nullptr)
    row.with_result_dtype = [&op](dtype t) { return std::make_shared<const endpoint>(endpoint_of(op, op.options_for(t))); };
  return row;
}

std::string extents_text(const field& f) { return fmt::format("({})", fmt::join(f.extents, ", ")); }

void check_inputs(const endpoint& row, std::span<const tensor> inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& f = row.inputs[i];
    const auto& t = inputs[i];
    const auto fits = [](std::int64_t has, std::int64_t wanted) { return wanted < 0 || has == wanted; };
    if (!f.extents.empty() && !std::equal(t.shape().begin(), t.shape().end(), f.extents.begin(), f.extents.end(), fits))
      throw error(error_code::invalid_argument, fmt::format("[{}] {} is {}: {} is taken, -1 for any extent", row.name,
                                                            f.name, t.shape().str(), extents_text(f)));
    if (f.extents.empty() && (t.rank() < f.min_rank || t.rank() > f.max_rank))
      throw error(error_code::invalid_argument,
                  fmt::format("[{}] {} is {}, of rank {}: {} taken", row.name, f.name, t.shape().str(), t.rank(),
                              f.min_rank == f.max_rank ? fmt::format("rank {} is", f.min_rank)
                                                       : fmt::format("ranks {} to {} are", f.min_rank, f.max_rank)));
    if (std::find(f.dtypes.begin(), f.dtypes.end(), t.dtype()) != f.dtypes.end()) continue;
    std::string taken;
    for (const auto d : f.dtypes) taken += fmt::format("{}{}", taken.empty() ? "" : ", ", name_of(d));
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} is of {}: {} is taken", row.name, f.name, name_of(t.dtype()), taken));
  }
}

}  // namespace sluice::serving

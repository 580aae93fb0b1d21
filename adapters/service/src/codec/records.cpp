#include "codec/records.hpp"

#include <fmt/format.h>

#include "codec/labels.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

// An output, and what comes before its value in each record.
struct column {
  const field& output;
  tensor values;  // contiguous
  const void* data;
  std::string before;  // {"label":
};

void check_shapes(const endpoint& row, std::span<const tensor> results) {
  const shape& s = results[0].shape();
  for (std::size_t i = 0; i < results.size(); ++i)
    if (s.rank() < 1 || s.rank() > 2 || results[i].shape() != s)
      throw error(error_code::internal,
                  fmt::format("[{}] {} is {} and {} is {}: records are of outputs of equal shapes, of rank 1 or 2", row.name,
                              row.outputs[0].name, s.str(), row.outputs[i].name, results[i].shape().str()));
}

}  // namespace

body_piece print_records(const endpoint& row, std::span<const tensor> results, nonfinite numbers,
                         std::string_view otherwise) {
  check_shapes(row, results);
  std::vector<column> columns;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const field& f = row.outputs[i];
    const tensor t = results[i].contiguous();
    if (numbers == nonfinite::refuse) check_finite(t, otherwise);
    columns.push_back({f, t, t.data(), fmt::format("{}{}:", i == 0 ? '{' : ',', json_string(f.name))});
  }
  std::string text;
  append_nested(text, results[0].shape(), [&](std::int64_t i) {
    for (const auto& c : columns) {
      text += c.before;
      if (c.output.labels)
        append_json_string(text, label_of(row, c.output, c.values, i));
      else
        append_element(text, c.values.dtype(), c.data, i, numbers);
    }
    text += '}';
  });
  return body_piece::of(std::move(text));
}

std::int64_t records_bytes(const endpoint& row, std::span<const operand_spec> results, const service_limits& limits) {
  constexpr std::int64_t around = 5, growth = 2;  // {"":}
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const field& f = row.outputs[i];
    bytes += output_bytes(f, results[i], limits) * (f.labels ? 1 : growth);
    bytes += results[i].shape.count() * (around + static_cast<std::int64_t>(f.name.size())) * growth;
  }
  return bytes;
}

}  // namespace sluice::serving

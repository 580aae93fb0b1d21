#include "job.hpp"
#include "codec/json_writer.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "http/http_error.hpp"
#include "http/text.hpp"
#include "sluice/ops/matmul.hpp"

namespace sluice::serving::jobs {
namespace {

[[noreturn]] void fail(const std::string& sentence) { throw error(error_code::invalid_argument, "[jobs] " + sentence); }

std::string known(std::int64_t n) { return n < 0 ? "null" : std::to_string(n); }

std::string text_of(std::string_view key, simdjson::dom::element value) {
  std::string_view text;
  if (value.get_string().get(text)) fail(fmt::format("{} must be a string", key));
  return std::string(text);
}

std::int64_t number_of(std::string_view key, simdjson::dom::element value, std::int64_t least) {
  std::int64_t n = 0;
  if (value.get_int64().get(n) || n < least) fail(fmt::format("{} must be an integer, at least {}", key, least));
  return n;
}

bool truth_of(std::string_view key, simdjson::dom::element value) {
  bool b = false;
  if (value.get_bool().get(b)) fail(fmt::format("{} must be true or false", key));
  return b;
}

void take(order& o, std::string_view key, simdjson::dom::element value) {
  if (key == "operation") {
    o.operation = text_of(key, value);
  } else if (key == "input") {
    o.input = text_of(key, value);
  } else if (key == "operand") {
    o.operand = text_of(key, value);
  } else if (key == "columns") {
    o.columns = number_of(key, value, 1);
  } else if (key == "dtype") {
    o.dtype = name_of(parse_dtype(text_of(key, value)));
  } else if (key == "offset") {
    o.offset = number_of(key, value, 0);
  } else if (key == "column_totals") {
    o.column_totals = truth_of(key, value);
  } else if (key == "precision") {
    o.precision = precision_named(text_of(key, value)).name;
  } else {
    fail(fmt::format("{} is unknown: expected operation, input, operand, columns, dtype, offset, column_totals or precision",
                     json_string(shown(key))));
  }
}

void check(order& o) {
  if (o.operation != "rowsum" && o.operation != "matmul")
    fail(fmt::format("operation is {}: expected rowsum or matmul", json_string(shown(o.operation))));
  if (o.input.empty()) fail("input, the file as NAME/path, is missing");
  const bool product = o.operation == "matmul";
  if (product && o.operand.empty()) fail("operand, the .npy that the rows are multiplied by, as NAME/path, is missing");
  if (!product && !o.operand.empty()) fail("operand is matmul's: leave it out");
  if (product && o.column_totals) fail("column_totals is rowsum's: leave it out");
  if (!product && !o.precision.empty()) fail("precision is matmul's: leave it out");
  if (product && o.precision.empty()) o.precision = matmul_op().precisions.front().name;
}

}  // namespace

const op_precision& precision_named(std::string_view name) {
  if (const auto* const p = find_precision(matmul_op(), name)) return *p;
  std::string names;
  for (const auto& p : matmul_op().precisions) names += fmt::format("{}{}", names.empty() ? "" : " or ", p.name);
  throw http_error{400, "malformed", fmt::format("[jobs] precision is {}: it must be {}", json_string(shown(name)), names)};
}

order parse_order(std::string_view body) {
  simdjson::dom::parser parser;
  simdjson::dom::element whole;
  if (const auto e = parser.parse(body.data(), body.size()).get(whole))
    throw error(error_code::malformed, fmt::format("[jobs] the body is not JSON: {}", simdjson::error_message(e)));
  simdjson::dom::object fields;
  if (whole.get_object().get(fields)) fail("the body must be a JSON object");
  order o;
  std::vector<std::string_view> seen;
  for (const auto& [key, value] : fields) {
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) fail(fmt::format("{} appears twice", key));
    seen.push_back(key);
    take(o, key, value);
  }
  check(o);
  return o;
}

std::string json(const job& j) {
  const auto& a = j.asked;
  const auto fixed = [](double x) { return json_value::raw(fmt::format("{:.3f}", x)); };
  const auto null = json_value::raw("null");
  json_writer w;
  w.begin_object()
      .member("id", j.id)
      .member("state", name_of(j.state))
      .member("operation", a.operation)
      .member("input", a.input);
  if (!a.operand.empty()) w.member("operand", a.operand);
  if (!a.precision.empty()) w.member("precision", a.precision);
  w.member("columns", a.columns)
      .member("dtype", a.dtype)
      .member("offset", a.offset)
      .member("column_totals", a.column_totals)
      .member("bytes", j.bytes)
      .member("bytes_total", json_value::raw(known(j.bytes_total)))
      .member("rows", j.rows)
      .member("rows_total", json_value::raw(known(j.rows_total)))
      .member("resumed_bytes", j.resumed_bytes)
      .member("bytes_per_second", json_value::raw(fmt::format("{:.0f}", j.bytes_per_second)))
      .member("seconds", fixed(j.seconds))
      .member("seconds_left", j.seconds_left < 0 ? null : fixed(j.seconds_left))
      .member("created", fixed(j.created))
      .member("ended", j.ended > 0 ? fixed(j.ended) : null);
  if (j.code.empty()) return w.member("error", null).end_object().take();
  return w.member("error", json_object({{"code", j.code}, {"detail", j.detail}})).end_object().take();
}

}  // namespace sluice::serving::jobs

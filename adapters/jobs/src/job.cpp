#include "job.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "http/text.hpp"
#include "sluice/dtype.hpp"

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
  } else {
    fail(fmt::format("{} is unknown: expected operation, input, operand, columns, dtype, offset or column_totals",
                     json_string(shown(key))));
  }
}

void check(const order& o) {
  if (o.operation != "rowsum" && o.operation != "matmul")
    fail(fmt::format("operation is {}: expected rowsum or matmul", json_string(shown(o.operation))));
  if (o.input.empty()) fail("input, the file as NAME/path, is missing");
  const bool product = o.operation == "matmul";
  if (product && o.operand.empty()) fail("operand, the .npy that the rows are multiplied by, as NAME/path, is missing");
  if (!product && !o.operand.empty()) fail("operand is matmul's: leave it out");
  if (product && o.column_totals) fail("column_totals is rowsum's: leave it out");
}

}  // namespace

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
  std::string out = fmt::format(R"({{"id":{},"state":"{}","operation":"{}","input":{})", json_string(j.id), name_of(j.state),
                                a.operation, json_string(a.input));
  if (!a.operand.empty()) out += fmt::format(R"(,"operand":{})", json_string(a.operand));
  out += fmt::format(
      R"(,"columns":{},"dtype":"{}","offset":{},"column_totals":{},"bytes":{},"bytes_total":{},"rows":{},"rows_total":{},)"
      R"("resumed_bytes":{},"bytes_per_second":{:.0f},"seconds":{:.3f},"seconds_left":{},"created":{:.3f},"ended":{},"error":)",
      a.columns, a.dtype, a.offset, a.column_totals, j.bytes, known(j.bytes_total), j.rows, known(j.rows_total),
      j.resumed_bytes, j.bytes_per_second, j.seconds, j.seconds_left < 0 ? "null" : fmt::format("{:.3f}", j.seconds_left),
      j.created, j.ended > 0 ? fmt::format("{:.3f}", j.ended) : "null");
  if (j.code.empty()) return out + "null}";
  return out + fmt::format(R"({{"code":{},"detail":{}}}}})", json_string(j.code), json_string(j.detail));
}

}  // namespace sluice::serving::jobs

// POST /v1/placement: where an operation would be computed, and what it would take. Nothing is run.
#include <cmath>

#include <fmt/format.h>

#include "codec/call_options.hpp"
#include "codec/json_number.hpp"
#include "codec/json_writer.hpp"
#include "execution/executor.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"
#include "routes/advice.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view path = "/v1/placement";
constexpr std::size_t most_sizes = 256;

[[noreturn]] void fail(const std::string& sentence) {
  throw error(error_code::invalid_argument, fmt::format("[placement] {}", sentence));
}

void need(simdjson::error_code e, std::string_view key, std::string_view what) {
  if (e != simdjson::SUCCESS) fail(fmt::format("{} is no {}", json_string(shown(key)), what));
}

double number_of(od::value v, std::string_view key) {
  double x = 0;
  need(v.get_double().get(x), key, "number");
  return x;
}

std::string string_of(od::value v, std::string_view key) {
  std::string_view s;
  need(v.get_string().get(s), key, "string");
  return std::string(s);
}

std::int64_t size_of(od::value v, std::string_view key) {
  std::int64_t n = 0;
  need(v.get_int64().get(n), key, "whole number");
  return n;
}

// "matmul or rowsum"
std::string op_names(std::string_view between) {
  std::string names;
  for (const auto* op : all_ops()) names += fmt::format("{}{}", names.empty() ? "" : between, op->name);
  return names;
}

const op_precision* precision_named(const op_descriptor& op, std::string_view name) {
  if (const auto* p = find_precision(op, name)) return p;
  std::string names;
  for (const auto& p : op.precisions) names += fmt::format("{}{}", names.empty() ? "" : " or ", p.name);
  const auto shown_name = json_string(shown(name));
  if (names.empty()) fail(fmt::format("precision is {}: {} gives no choice of it", shown_name, op.name));
  throw http_error{400, "malformed", fmt::format("[placement] precision is {}: it must be {}", shown_name, names)};
}

// The body as it was read: a list of sizes, or a range of them by powers of two.
struct asked {
  advice_question question;
  std::int64_t from = 0, to = 0;
  std::optional<std::string> precision{};
  std::optional<sluice::dtype> dtype{};

  void take(std::string_view key, od::value v) {
    if (key == "operation") {
      const auto name = string_of(v, key);
      question.op = find_op(name);
      if (question.op == nullptr)
        fail(fmt::format("there is no operation {}: write {}", name.substr(0, 64), op_names(" or ")));
    } else if (key == "dtype") {
      dtype = parse_dtype(string_of(v, key));
    } else if (key == precision_key) {
      precision = string_of(v, key);
    } else if (key == "pinned") {
      need(v.get_bool().get(question.pinned), key, "boolean");
    } else if (key == "rate") {
      question.rate = number_of(v, key);
    } else if (key == "from" || key == "to") {
      (key == "from" ? from : to) = size_of(v, key);
    } else if (key == "sizes") {
      od::array sizes;
      need(v.get_array().get(sizes), key, "list");
      for (auto s : sizes) {
        od::value item;
        need(s.get(item), key, "list");
        if (question.sizes.size() == most_sizes) fail(fmt::format("there are more than {} sizes", most_sizes));
        question.sizes.push_back(size_of(item, key));
      }
      if (question.sizes.empty()) fail("there are no sizes");
    } else if (key == "prices") {
      od::object prices;
      need(v.get_object().get(prices), key, "object");
      for (auto field : prices) {
        std::string_view name;
        need(field.unescaped_key().get(name), key, "object");
        const device d(name);
        od::value price;
        need(field.value().get(price), key, "object");
        question.prices.emplace_back(d, number_of(price, name));
        if (question.prices.size() > most_sizes) fail(fmt::format("there are more than {} prices", most_sizes));
      }
    } else {
      fail(fmt::format("{} is not known: operation, sizes or from and to, dtype, precision, pinned, rate and prices are",
                       json_string(shown(key))));
    }
  }

  void finish() {
    question.dtype = dtype.value_or(question.op->inputs[0].dtypes.front());
    if (precision) question.precision = precision_named(*question.op, *precision);
    if (from == 0 && to == 0) return;
    if (!question.sizes.empty()) fail("sizes are there, and from or to beside them");
    if (from < 1 || to < from || to > 1'000'000)
      fail(fmt::format("from is {} and to is {}: 1 <= from <= to <= 1000000 must hold", from, to));
    for (std::int64_t n = from; n < to; n *= 2) question.sizes.push_back(n);
    question.sizes.push_back(to);
  }
};

advice_question read(const body_buffer& body) {
  const std::string_view text(body.data(), body.size());
  od::parser parser;
  od::document document;
  od::object all;
  auto e = parser.iterate(body.data(), body.size(), body.padded_size()).get(document);
  if (e == simdjson::SUCCESS) e = document.get_object().get(all);
  if (e != simdjson::SUCCESS) throw error(error_code::malformed, fmt::format("[placement] {}", no_object(text, e)));
  asked a;
  for (auto field : all) {
    std::string_view key;
    od::value v;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS || field.value().get(v) != simdjson::SUCCESS)
      throw error(error_code::malformed, "[placement] the body is no JSON object");
    a.take(std::string(key), v);
  }
  if (const char* at = nullptr; document.current_location().get(at) == simdjson::SUCCESS)
    throw error(error_code::malformed, "[placement] there is more after the object");
  a.finish();
  return std::move(a.question);
}

// As JSON; null where it is not known.
json_value number(double x) { return json_value::raw(std::isfinite(x) ? fmt::format("{:.4g}", x) : "null"); }

void write_point(json_writer& w, const advice& a, const advice_row& row) {
  w.begin_object()
      .member("size", row.size)
      .member("device", row.chosen.where.str())
      .member("why", name_of(row.chosen.because))
      .member("reason", row.chosen.reason())
      .key("predictions")
      .begin_array();
  for (std::size_t i = 0; i < a.devices.size(); ++i)
    if (std::isfinite(row.predictions[i].seconds))
      w.begin_object()
          .member("device", a.devices[i].str())
          .member("seconds", number(row.predictions[i].seconds))
          .member("throughput", number(1 / row.predictions[i].busy))
          .member("cost_per_million", number(row.cost[i]))
          .end_object();
  w.end_array().end_object();
}

std::string advice_json(const advice_question& q, const advice& a) {
  json_writer w;
  w.begin_object().member("operation", q.op->name).member("dtype", name_of(q.dtype));
  if (!q.op->precisions.empty())
    w.member(precision_key, q.precision != nullptr ? q.precision->name : q.op->precisions.front().name);
  w.key("points").begin_array();
  for (const auto& row : a.rows) write_point(w, a, row);
  w.end_array();
  w.member("crossover", a.crossover > 0 ? json_value(a.crossover) : json_value::raw("null")).member("advice", a.sentence);
  w.key("profiles").begin_array();
  for (const auto& p : profiles())
    w.begin_object().member("device", p.where.str()).member("measured", p.measured).member("source", p.source).end_object();
  return w.end_array().end_object().take();
}

constexpr std::string_view question_schema =
    R"({"type":"object","additionalProperties":false,"properties":{)"
    R"("operation":{"type":"string","enum":["%"],"default":"&"},)"
    R"("sizes":{"type":"array","minItems":1,"maxItems":256,"description":"n of n x n operands, growing",)"
    R"("items":{"type":"integer","minimum":1,"maximum":1000000}},)"
    R"("from":{"type":"integer","minimum":1,"maximum":1000000,"description":"In place of sizes: powers of two from here"},)"
    R"("to":{"type":"integer","minimum":1,"maximum":1000000},)"
    R"("dtype":{"type":"string","description":"Else the usual one of the operation"},)"
    R"("precision":{"enum":[$],"description":"Of an operation that gives a choice"},"pinned":{"type":"boolean","default":false},)"
    R"("rate":{"type":"number","minimum":0,"description":"Calls a second that are to be served"},)"
    R"("prices":{"type":"object","description":"Of a machine with that device, an hour",)"
    R"("additionalProperties":{"type":"number","minimum":0}}}})";
constexpr std::string_view answer_schema =
    R"({"type":"object","required":["operation","dtype","points","crossover","advice","profiles"],"properties":{)"
    R"("operation":{"type":"string"},"dtype":{"type":"string"},"precision":{"type":"string"},"points":{"type":"array","items":{"type":"object",)"
    R"("required":["size","device","why","reason","predictions"],"properties":{"size":{"type":"integer"},)"
    R"("device":{"type":"string"},"why":{"type":"string"},"reason":{"type":"string"},)"
    R"("predictions":{"type":"array","items":{"type":"object","required":["device","seconds","throughput"],)"
    R"("properties":{"device":{"type":"string"},"seconds":{"type":"number"},"throughput":{"type":["number","null"]},)"
    R"("cost_per_million":{"type":["number","null"]}}}}}}},)"
    R"("crossover":{"type":["integer","null"],"description":"The least n that is not done on the CPU"},)"
    R"("advice":{"type":"string"},"profiles":{"type":"array","items":{"type":"object",)"
    R"("required":["device","measured","source"],"properties":{"device":{"type":"string"},"measured":{"type":"boolean"},)"
    R"("source":{"type":"string"}}}}}})";

class placement_protocol final : public protocol {
 public:
  explicit placement_protocol(executor& e) : executor_(e) {}

  std::vector<std::string> patterns() const override { return {std::string(path)}; }
  bool owns(std::string_view p) const override { return p == path; }

  response answer(const request& r, request_context& record) override {
    record.route = "placement";
    check_method(r, "POST");
    const auto body = body_buffer::read(r, executor_.options.limits.body_bytes, host_allocator(device::cpu));
    const auto question = read(body);
    return text_response("application/json", advice_json(question, advise(question)));
  }

  void describe(document& d) const override {
    std::string question(question_schema);
    question.replace(question.find('%'), 1, op_names("\",\""));
    question.replace(question.find('&'), 1, all_ops()[0]->name);
    std::string precisions;
    for (const auto* op : all_ops())
      for (const auto& p : op->precisions)
        if (const auto name = json_string(p.name); precisions.find(name) == precisions.npos)
          precisions += (precisions.empty() ? "" : ",") + name;
    question.replace(question.find('$'), 1, precisions);
    d.schema("PlacementQuestion", std::move(question));
    d.schema("Placement", std::string(answer_schema));
    d.add({.method = "POST",
           .path = std::string(path),
           .tag = "operations",
           .summary = "Where an operation would be computed, and what it would take",
           .description = "Nothing is run. Times are those of the devices' profiles; a device without one has none.",
           .takes = {{.schema = schema_ref("PlacementQuestion"),
                      .example =
                          R"({"operation":"matmul","dtype":"f32","sizes":[64,1024],"prices":{"cpu":0.4,"cuda:0":3.9}})"}},
           .gives = {{200,
                      "Predicted seconds for every size and device, the choice and its reason",
                      {{.schema = schema_ref("Placement")}}}},
           .refusals = {413, 422}});
  }

 private:
  executor& executor_;
};

}  // namespace

std::unique_ptr<protocol> placement(executor& e) { return std::make_unique<placement_protocol>(e); }

}  // namespace sluice::serving

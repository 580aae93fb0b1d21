// A codec of a new media type: what it takes to add one, and where it then works.
#include "codec/codec_registry.hpp"
#include "codec/multipart_reader.hpp"

#include <charconv>

#include "execution/executor.hpp"
#include "execution/result_limits.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "service_testing.hpp"

using namespace sluice;
using namespace testing;
using namespace sluice::serving;

namespace {

// text/csv: lines of numbers, a matrix of f32.
class csv_codec final : public codec {
 public:
  std::span<const std::string_view> media_types() const noexcept override {
    static constexpr std::string_view types[] = {"text/csv", "application/csv"};
    return types;
  }
  payload carries() const override { return payload::one_tensor; }

  std::vector<tensor> decode(const encoded& from, std::span<const field>, const decode_context& c) override {
    std::vector<float> numbers;
    std::int64_t rows = 0;
    for (auto rest = from.bytes; !rest.empty();) {
      float x = 0;
      const auto [end, e] = std::from_chars(rest.data(), rest.data() + rest.size(), x);
      if (e != std::errc{}) throw error(error_code::malformed, cat("[csv] ", from.called, " is no CSV"));
      numbers.push_back(x);
      rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
      rows += rest.empty() || rest.front() == '\n' ? 1 : 0;
      if (!rest.empty()) rest.remove_prefix(1);
    }
    tensor t =
        c.memory.make({rows, static_cast<std::int64_t>(numbers.size()) / std::max<std::int64_t>(rows, 1)}, dtype::f32);
    std::copy(numbers.begin(), numbers.end(), static_cast<float*>(t.data()));
    return {t};
  }

  std::vector<body_piece> encode(const endpoint&, const std::vector<tensor>& results, const encode_context&) override {
    const tensor t = results[0].contiguous();
    std::string text;
    for (std::int64_t i = 0; i < t.count(); ++i) {
      text += std::to_string(static_cast<int>(static_cast<const float*>(t.data())[i]));
      text += t.rank() > 0 && (i + 1) % t.extent(t.rank() - 1) == 0 ? '\n' : ',';
    }
    return {body_piece::of(text)};
  }
};

endpoint product() {
  return {
      .name = "matmul",
      .summary = "Two inputs",
      .inputs = {{.name = "a"}, {.name = "b"}},
      .outputs = {{.name = "result"}},
      .run = [](std::span<const tensor> in, const call_context& c) { return std::vector{matmul(in[0], in[1], c.where)}; }};
}
endpoint sums() {
  return {.name = "rowsum",
          .summary = "One input",
          .inputs = {{.name = "a"}},
          .outputs = {{.name = "result"}},
          .run = [](std::span<const tensor> in, const call_context& c) { return std::vector{rowsum(in[0], c.where)}; }};
}

struct calls {
  calls() : e(service_options{}) {
    e.endpoints.add(product());
    e.endpoints.add(sums());
    auto codecs = standard_codecs();
    codecs.add(std::make_unique<csv_codec>());
    v1 = serving::v1(e, std::move(codecs));
  }

  response post(const std::string& name, std::string_view body, const headers& with) {
    const request r{.method = "POST",
                    .path = cat("/v1/", name),
                    .header = [&](std::string_view wanted) -> std::string_view {
                      for (const auto& [key, value] : with)
                        if (key == wanted) return value;
                      return {};
                    },
                    .body = body};
    request_context record;
    return v1->answer(r, record);
  }

  // The status and the text of a refusal.
  std::pair<int, std::string> refused(const std::string& name, std::string_view body, const headers& with) try {
    return {post(name, body, with).status, ""};
  } catch (const http_error& x) {
    return {x.status, x.detail};
  } catch (const error& x) {
    return {status_of(x.code()), x.what()};
  }

  executor e;
  std::unique_ptr<protocol> v1;
};

std::string csv_part(std::string_view name, std::string_view text) {
  return cat("--cut\r\nContent-Disposition: form-data; name=", name, "\r\nContent-Type: text/csv\r\n\r\n", text, "\r\n");
}

const headers csv_type{{"Content-Type", "text/csv; header=absent"}};

}  // namespace

TEST_CASE("a codec that was added takes bodies, and answers in its form") {
  calls c;
  const auto r = c.post("rowsum", "1,2\n3,4\n", csv_type);
  CHECK(r.header("Content-Type") == "text/csv");
  CHECK(r.text() == "3,7\n");
  CHECK(c.post("rowsum", "1,2", {{"Content-Type", "application/csv"}}).text() == "3\n");
  CHECK(result(c.post("rowsum", "1,2\n3,4\n", {{"Content-Type", "text/csv"}, {"Accept", "application/json"}})) == "[3,7]");
  CHECK(c.post("rowsum", R"({"a":[[1,2],[3,4]]})", {{"Accept", "text/*"}}).text() == "3,7\n");
  CHECK(c.refused("rowsum", "x", csv_type) == std::pair{400, std::string("[csv] the body is no CSV")});
}

TEST_CASE("and parts of a multipart body, beside those of other codecs") {
  calls c;
  const auto both = cat(csv_part("a", "1,2\n3,4"), csv_part("b", "5,6\n7,8\n"), "--cut--");
  CHECK(result(c.post("matmul", both, {multipart_type[0], {"Accept", "application/json"}})) == "[[19,22],[43,50]]");
  const auto mixed = cat(csv_part("b", "5,6\n7,8"), part("a", encode_npy(tensor::of<float>({{1, 2}, {3, 4}}))), "--cut--");
  CHECK(c.post("matmul", mixed, {multipart_type[0], {"Accept", "text/csv"}}).text() == "19,22\n43,50\n");
  CHECK(c.post("matmul", mixed, multipart_type).header("Content-Type") == "application/x-npy");
  CHECK(c.refused("matmul", cat(csv_part("a", "x"), "--cut--"), multipart_type).second == "[csv] the part \"a\" is no CSV");
}

TEST_CASE("refusals and the document name the types that are there") {
  calls c;
  const auto type = c.refused("rowsum", "x", {{"Content-Type", "image/jpeg"}});
  CHECK(type.first == 415);
  CHECK(type.second.find(
            "takes application/json, application/x-npy, application/zip, multipart/form-data or text/csv with a part of "
            "application/x-npy or text/csv for each of its 1 input") != std::string::npos);
  const auto accept = c.refused("rowsum", R"({"a":[[1]]})", {{"Accept", "image/jpeg"}});
  CHECK(accept.first == 406);
  CHECK(accept.second.find("application/json or application/x-npy or text/csv") != std::string::npos);
  CHECK(c.refused("matmul", "1,2", csv_type).first == 415);  // two inputs
  const std::string jpeg = "--cut\r\nContent-Disposition: form-data; name=a\r\nContent-Type: image/jpeg\r\n\r\nx\r\n--cut--";
  CHECK(c.refused("matmul", jpeg, multipart_type).first == 415);
  document d(false);
  c.v1->describe(d);
  const std::string text = d.text();
  CHECK(text.find(R"("text/csv":{})") != std::string::npos);
  CHECK(text.find(R"("anyOf":[{"type":"string","contentMediaType":"application/x-npy"},)"
                  R"({"type":"string","contentMediaType":"text/csv"}])") != std::string::npos);
}

TEST_CASE("a part ends at its delimiter, whatever its bytes look like and whatever length its header tells") {
  for (const std::string_view bytes : {"", "x", "\r\n", "\r\n--cu", "\r\n--cutter\r\n", "x--cut--", "\n--cut\r\n",
                                       "\r\n--cut -", "\r\n--cut\n", "\r\n\r\n--cu\r\n--cut-", "\r\r\n", "\r\n--cut \tx"})
    for (const std::size_t expected : {std::size_t{0}, bytes.size(), bytes.size() + 1, std::size_t{1} << 40}) {
      CAPTURE(bytes);
      CAPTURE(expected);
      const auto body = cat("--cut\r\nContent-Disposition: form-data; name=a\r\n\r\n", bytes, "\r\n--cut \r\n",
                            "Content-Disposition: form-data; name=b\r\n\r\ny\r\n--cut--");
      multipart_reader parts(body, "cut");
      const auto a = parts.next();
      REQUIRE(a);
      CHECK(parts.bytes_of(*a, expected) == bytes);
      const auto b = parts.next();
      REQUIRE(b);
      CHECK(b->name == "b");
      CHECK(parts.bytes_of(*b, 0) == "y");
      CHECK(!parts.next());
    }
}

TEST_CASE("labels and records take at most the memory that is told") {
  const auto labels = std::make_shared<const std::vector<std::string>>(3, std::string(40, '\x01'));
  endpoint row{
      .name = "cats",
      .outputs = {{.name = "label", .dtypes = {dtype::i64}, .labels = labels}, {.name = "p", .dtypes = {dtype::f64}}}};
  const auto codecs = standard_codecs();
  codec& json = *codecs.all().front();
  for (const char* records : {"", "predictions"})
    for (const auto& extents : {shape{0}, shape{1}, shape{7}, shape{5, 0}, shape{200, 3}}) {
      CAPTURE(records);
      CAPTURE(extents.str());
      row.records = records;
      const std::vector results{tensor::zeros(extents, dtype::i64),
                                tensor::full(extents, -1.2345678901234567e-300, dtype::f64)};
      std::int64_t printed = 0;
      for (const auto& piece : json.encode(row, results, {"cpu", {}, nonfinite::refuse, codecs}))
        printed += static_cast<std::int64_t>(piece.bytes.size());
      const std::int64_t around = 200;  // names and what is said of the call
      CHECK(printed <= json.size_of(row, specs_of(results), {}).text + around);
    }
}

TEST_CASE("an op's precisions are those of its endpoint, and the one asked for chooses its options") {
  static constexpr dtype types[] = {dtype::f32};
  static constexpr op_field inputs[] = {{.name = "a", .dtypes = types}};
  static constexpr int values[] = {3, 4};
  static constexpr op_precision precisions[] = {{"low", "Of few", values[0]}, {"high", "Of many", values[1]}};
  static constexpr op_descriptor op{
      .name = "grains",
      .summary = "One of two values",
      .inputs = inputs,
      .result = {.name = "result", .dtypes = types},
      .run = [](const operands&, tensor& out,
                const op_options& options) { out.assign(tensor::full(out.shape(), options.value_or(0))); },
      .precisions = precisions};
  calls c;
  c.e.endpoints.add(serving::endpoint_of(op));
  const auto ask = [&](std::string_view body) { return result(c.post("grains", body, {})); };
  CHECK(ask(R"({"a":[1]})") == "[3]");
  CHECK(ask(R"({"a":[1],"precision":"low"})") == "[3]");
  CHECK(ask(R"({"a":[1],"precision":"high"})") == "[4]");
  // Options that are chosen already leave no choice.
  CHECK(serving::endpoint_of(op, values[1]).precisions.empty());
}

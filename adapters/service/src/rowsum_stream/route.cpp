// POST /v1/rowsum/stream: rows from a body of any length, summed as they arrive.
#include <charconv>

#include <fmt/format.h>

#include "codec/media_type.hpp"
#include "execution/executor.hpp"
#include "execution/result_dtype.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/query.hpp"
#include "http/text.hpp"
#include "rowsum_stream/upload.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice::serving {
namespace {

[[noreturn]] void fail_query(const std::string& sentence) {
  throw http_error{
      400, "malformed",
      fmt::format("[rowsum/stream] {}: application/octet-stream needs ?columns=1024&dtype=f32, or the like", sentence)};
}

// columns=1024&dtype=f32, f32 where no dtype is named.
upload::form form_in(std::string_view query) {
  upload::form f;
  for (const auto& [name, value] : parse_query(query)) {
    if (name == "columns") {
      const auto [end, e] = std::from_chars(value.data(), value.data() + value.size(), f.columns);
      if (e != std::errc{} || end != value.data() + value.size() || f.columns < 1)
        fail_query(fmt::format("columns is {}: it must be an integer, at least 1", json_string(shown(value))));
    } else if (name == "dtype") {
      f.dtype = parse_dtype(value);
    } else if (name != "nonfinite" && name != "result_dtype") {
      fail_query(fmt::format("the query names {}: only columns, dtype, result_dtype and nonfinite are known",
                             json_string(shown(name))));
    }
  }
  if (f.columns == 0) fail_query("the query names no columns");
  static_cast<void>(checked_product(f.columns, static_cast<std::int64_t>(size_of(f.dtype))));
  return f;
}

// Nothing for an .npy, whose header has its form.
std::optional<upload::form> form_of(const request& r) {
  const auto type = header(r, "Content-Type");
  auto name = type.substr(0, type.find(';'));
  while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
  if (same_ignoring_case(name, "application/x-npy")) return {};
  if (same_ignoring_case(name, "application/octet-stream")) return form_in(r.query);
  throw http_error{
      415, "unsupported_media_type",
      fmt::format("[http] Content-Type is \"{}\": this takes application/x-npy or application/octet-stream", shown(type))};
}

class rowsum_stream final : public protocol {
 public:
  explicit rowsum_stream(executor& e) : executor_(e) {}

  void print_metrics(std::string& out) const override {
    out += fmt::format(
        "# HELP sluice_uploads Uploads to rowsum/stream under way, until their answer is sent.\n"
        "# TYPE sluice_uploads gauge\nsluice_uploads {}\n"
        "# HELP sluice_upload_bytes_total Bytes of such uploads, counted as they arrive.\n"
        "# TYPE sluice_upload_bytes_total counter\nsluice_upload_bytes_total {}\n",
        under_way_.load(), bytes_.load());
  }

  std::vector<std::string> patterns() const override { return {std::string(rowsum_stream_path)}; }
  bool owns(std::string_view path) const override { return path == rowsum_stream_path; }

  response answer(const request& r, request_context& record) override {
    record.route = "rowsum_stream";
    record.streamed = true;
    check_method(r, "POST");
    executor_.check_open();
    const auto form = form_of(r);
    constexpr std::string_view types[] = {"application/json", "application/x-npy"};
    const auto numbers = nonfinite_of(r.query);
    const bool wants_json = accepted_type(header(r, "Accept"), types, 1) == 0;
    const upload::form_of_answer wanted{wants_json ? std::optional(numbers) : std::nullopt, result_dtype_in(r.query)};
    const auto u = std::make_shared<upload>(executor_, record, bytes_, take_permit(), wanted, form);
    u->read(r);
    return upload::answer(u);
  }

  void describe(document& d) const override {
    const content npy{.type = "application/x-npy"};
    d.add({.method = "POST",
           .path = std::string(rowsum_stream_path),
           .tag = "calls",
           .summary = "The sum of every row of a body of any length, summed as it arrives",
           .description = "Row by row, as `.npy` or as bare bytes with `columns` and `dtype`. A body that is refused is not "
                          "read to its end: the connection closes.",
           .parameters = {{.name = "columns",
                           .summary = "Elements of a row; application/octet-stream needs it",
                           .in = "query",
                           .schema = R"({"type":"integer","minimum":1})",
                           .example = "1024"},
                          {.name = "dtype",
                           .summary = "Of application/octet-stream: f32 unless given",
                           .in = "query",
                           .schema = R"({"enum":["f64","f32","f16","bf16","i64","i32","u8"]})"},
                          result_dtype_parameter(rowsum_op().result.dtypes),
                          nonfinite_parameter(),
                          timeout_parameter()},
           .takes = {{.type = "application/octet-stream"}, npy},
           .gives = {{200,
                      "The sums",
                      {npy,
                       {.schema =
                            R"({"type":"object","required":["result","shape","dtype","device"],"properties":{"result":{},)"
                            R"("shape":{"type":"array","items":{"type":"integer"}},"dtype":{"type":"string"},)"
                            R"("device":{"type":"string"}}})",
                        .example = R"({"result":[3,7],"shape":[2],"dtype":"f32","device":"cpu"})"}},
                      {"X-Sluice-Device"}}},
           .refusals = {406, 413, 415, 422, 429, 504, 507}});
  }

 private:
  // For one upload; throws http_error (429) when all are taken.
  std::shared_ptr<void> take_permit() {
    const std::shared_ptr<void> taken(nullptr, [this](void*) { --under_way_; });
    if (const auto most = executor_.options.stream.uploads; ++under_way_ > most)
      throw http_error{
          429, "busy", fmt::format("[rowsum/stream] {} uploads are under way: retry later", most), {{"Retry-After", "1"}}};
    return taken;
  }

  executor& executor_;
  std::atomic<int> under_way_{0};
  upload::meter bytes_{0};
};

}  // namespace

std::unique_ptr<protocol> v1_rowsum_stream(executor& e) { return std::make_unique<rowsum_stream>(e); }

}  // namespace sluice::serving

// application/json: an object with a key for each field, {"a": [[1, 2], [3, 4]], "dtype": "f64"}.
#include <algorithm>

#include <fmt/format.h>
#include <simdjson.h>

#include "codec/codec.hpp"
#include "codec/json_decoder.hpp"
#include "codec/json_schema.hpp"
#include "codec/json_writer.hpp"
#include "codec/labels.hpp"
#include "codec/picture_text.hpp"
#include "codec/print_lists.hpp"
#include "codec/records.hpp"

namespace sluice::serving {
namespace {

// Values are read as they come, so a body may be refused for one before its syntax was read to the end. Where that costs
// little it is read now: what is not JSON is called so (400), whatever else is wrong with it. (simdjson calls large numbers
// an error too.)
void check_syntax(const body_buffer& body) {
  constexpr std::size_t most = 1 << 20;
  if (body.size() > most) return;
  simdjson::dom::parser parser;
  const auto e = parser.parse(body.data(), body.size(), false).error();
  if (!e || e == simdjson::NUMBER_ERROR || e == simdjson::DEPTH_ERROR || e == simdjson::MEMALLOC) return;
  throw error(error_code::malformed,
              fmt::format("[json] the body's {} bytes are not JSON: {}", body.size(), simdjson::error_message(e)));
}

class json_bodies final : public codec {
 public:
  std::span<const std::string_view> media_types() const noexcept override {
    static constexpr std::string_view types[] = {"application/json"};
    return types;
  }
  payload carries() const override { return payload::all_fields; }
  bool decompresses(const endpoint& row) const override { return takes_pictures(row); }

  std::vector<tensor> decode(const encoded& from, std::span<const field> inputs, const decode_context& c) override {
    try {
      return decoder_pool::lease(decoders_)->decode(from.body, inputs, c);
    } catch (const error& e) {
      if (e.code() != error_code::malformed) check_syntax(from.body);
      throw;
    }
  }

  std::vector<body_piece> encode(const endpoint& row, const std::vector<tensor>& results, const encode_context& c) override {
    const auto otherwise = results.size() == 1 ? "ask for application/x-npy" : "ask /v2 for binary_data";
    if (c.as_text && row.outputs.size() == 1 && row.outputs[0].kind != field_kind::numbers) return as_text(row, results, c);
    std::vector<body_piece> body;
    json_writer w;
    w.begin_object();
    if (!row.records.empty()) {
      body.push_back(body_piece::of(w.key(row.records).raw({}).take()));
      body.push_back(print_records(row, results, c.numbers, otherwise));
      return ended(w, row, c, std::move(body));
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      const tensor t = results[i].contiguous();
      const bool wrapped = row.described && results.size() > 1;
      w.key(row.outputs[i].name);
      if (wrapped) w.begin_object().key("data");
      body.push_back(body_piece::of(w.raw({}).take()));
      if (row.outputs[i].labels)
        body.push_back(print_labels(row, row.outputs[i], t));
      else
        for (auto& p : print_lists(t, c.numbers, otherwise)) body.push_back(std::move(p));
      if (row.described) w.member("shape", json_array(t.shape())).member("dtype", name_of(t.dtype()));
      if (wrapped) w.end_object();
    }
    return ended(w, row, c, std::move(body));
  }

  encoded_size size_of(const endpoint& row, std::span<const operand_spec> results,
                       const service_limits& limits) const override {
    if (!row.records.empty()) return {.text = records_bytes(row, results, limits)};
    encoded_size size;
    for (std::size_t i = 0; i < results.size(); ++i) size.text += output_bytes(row.outputs[i], results[i], limits);
    return size;
  }

  std::optional<content> describe_request(document& d, const endpoint& row, const service_limits& limits,
                                          const codec_registry&) const override {
    return json_request(d, row, limits.rank);
  }
  std::optional<content> describe_answer(document& d, const endpoint& row) const override { return json_answer(d, row); }

 private:
  // The body, with what is said of the call at its end.
  static std::vector<body_piece> ended(json_writer& w, const endpoint& row, const encode_context& c,
                                       std::vector<body_piece> body) {
    if (row.described) w.member("device", c.device);
    if (row.described && !c.precision.empty()) w.member(precision_key, c.precision);
    body.push_back(body_piece::of(w.end_object().take()));
    join_small(body);
    return body;
  }

  // {"result":"iVBORw0...","media_type":"image/png","shape":[2,3],"dtype":"u8","device":"cpu"}
  static std::vector<body_piece> as_text(const endpoint& row, const std::vector<tensor>& results, const encode_context& c) {
    std::string_view type;
    json_writer w;
    w.begin_object().key(row.outputs[0].name).raw(picture_text(row, results, c, type)).member("media_type", type);
    if (row.described)
      w.member("shape", json_array(results[0].shape()))
          .member("dtype", name_of(results[0].dtype()))
          .member("device", c.device);
    return {body_piece::of(w.end_object().take())};
  }

  decoder_pool decoders_;
};

}  // namespace

std::unique_ptr<codec> json_codec() { return std::make_unique<json_bodies>(); }

}  // namespace sluice::serving

#include "kserve/infer_encoder.hpp"

#include "codec/json_writer.hpp"
#include "execution/result_limits.hpp"
#include "http/coding.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"

namespace sluice::serving {

response encode_inference(const model& m, const infer_request& asked, const std::vector<tensor>& results,
                          const placed_call& where, nonfinite numbers) {
  std::vector<body_piece> text, binary;
  json_writer w;
  w.begin_object().member("model_name", m.name()).member("model_version", model_version);
  if (asked.id) w.member("id", *asked.id);
  w.key("parameters").raw(where.json()).key("outputs").begin_array();
  for (const auto& wanted : asked.outputs) {
    const auto t = std::make_shared<const tensor>(results[wanted.index].contiguous());
    const std::string& name = m.row->outputs[wanted.index].name;
    w.begin_object().member("name", name).member("datatype", datatype_of(t->dtype())).key("shape").begin_array();
    for (const auto extent : t->shape()) w.value(extent);
    w.end_array();
    if (wanted.binary) {
      w.key("parameters").begin_object().member("binary_data_size", t->bytes()).end_object();
      binary.push_back({std::string_view(static_cast<const char*>(t->data()), t->bytes()), t});
    } else {
      text.push_back(body_piece::of(w.key("data").raw({}).take()));
      for (auto& piece : print_flat(*t, numbers, name)) text.push_back(std::move(piece));
    }
    w.end_object();
  }
  text.push_back(body_piece::of(w.end_array().end_object().take()));
  join_small(text);
  response out{.headers = {{"Content-Type", binary.empty() ? "application/json" : "application/octet-stream"}},
               .body = std::move(text)};
  if (binary.empty()) return out;
  out.headers.emplace_back("Inference-Header-Content-Length", std::to_string(out.size()));
  for (auto& piece : binary) out.body.push_back(std::move(piece));
  return out;
}

encoded_size inference_size(const infer_request& asked, std::span<const operand_spec> results) {
  encoded_size size;
  for (const auto& wanted : asked.outputs) {
    const auto& r = results[wanted.index];
    wanted.binary ? size.results += bytes_of({&r, 1}) : size.text += flat_bytes(r);
  }
  return size;
}

void compress(response& answer, const request& r, answer_share& memory) {
  const auto coding = choose_coding(header(r, "Accept-Encoding"));
  answer.headers.emplace_back("Vary", "Accept-Encoding");
  if (coding.name.empty() || !r.compress) return;
  if (!coding.alone && !coding.required && !is_long_text(answer)) return;
  if (!memory.try_resize(memory.bytes() + static_cast<std::int64_t>(answer.size()))) return;  // no memory: as it is
  answer.body = r.compress(answer.body, coding.name);
  answer.headers.emplace_back("Content-Encoding", coding.name);
}

}  // namespace sluice::serving

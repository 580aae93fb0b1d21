#include "kserve/infer_out.hpp"

#include <fmt/format.h>

#include "codec/encode.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

std::string head_json(const model& m, const infer_request& asked, const placed_call& where) {
  std::string head = fmt::format(R"({{"model_name":"{}","model_version":"{}",)", m.name(), model_version);
  if (asked.id) head += fmt::format(R"("id":{},)", json_string(*asked.id));
  return head + "\"parameters\":" + where.json() + ",\"outputs\":[";
}

}  // namespace

response encode_inference(const model& m, const infer_request& asked, const std::vector<tensor>& results,
                          const placed_call& where) {
  std::vector<body_piece> json, binary;
  std::string between = head_json(m, asked, where);
  for (const auto& wanted : asked.outputs) {
    const auto t = std::make_shared<const tensor>(results[wanted.index].contiguous());
    const std::string& name = m.row->outputs[wanted.index].name;
    between += fmt::format(R"({}{{"name":"{}","datatype":"{}","shape":[{}],)", between.ends_with('[') ? "" : ",", name,
                           datatype_of(t->dtype()), fmt::join(t->shape(), ","));
    if (wanted.binary) {
      between += fmt::format(R"("parameters":{{"binary_data_size":{}}}}})", t->bytes());
      binary.push_back({std::string_view(static_cast<const char*>(t->data()), t->bytes()), t});
      continue;
    }
    between += "\"data\":";
    json.push_back(body_piece::of(std::move(between)));
    for (auto& piece : print_flat(*t, name)) json.push_back(std::move(piece));
    between.assign(1, '}');
  }
  between += "]}";
  json.push_back(body_piece::of(std::move(between)));
  join_small(json);
  response out{.headers = {{"Content-Type", binary.empty() ? "application/json" : "application/octet-stream"}},
               .body = std::move(json)};
  if (binary.empty()) return out;
  out.headers.emplace_back("Inference-Header-Content-Length", std::to_string(out.size()));
  for (auto& piece : binary) out.body.push_back(std::move(piece));
  return out;
}

std::string_view wanted_encoding(std::string_view accept) {
  while (accept.ends_with(' ')) accept.remove_suffix(1);
  while (accept.starts_with(' ')) accept.remove_prefix(1);
  for (const std::string_view coding : {"gzip", "deflate"})
    if (same_ignoring_case(accept, coding)) return coding;
  return {};
}

void compress(response& answer, const request& r) {
  const auto coding = wanted_encoding(header(r, "Accept-Encoding"));
  answer.headers.emplace_back("Vary", "Accept-Encoding");
  if (coding.empty() || !r.compress) return;
  answer.body = r.compress(answer.body, coding);
  answer.headers.emplace_back("Content-Encoding", coding);
}

}  // namespace sluice::serving

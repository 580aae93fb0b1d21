#include "kserve/infer_encoder.hpp"

#include <cstring>

#include "codec/base64.hpp"
#include "codec/json_writer.hpp"
#include "codec/labels.hpp"
#include "execution/result_limits.hpp"
#include "http/coding.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"

namespace sluice::serving {

namespace {

// The result as an image file: one element of BYTES, its length before it.
body_piece file_element(const model& m, const infer_request& asked, const call_result& done, const encode_context& c) {
  std::string bytes(sizeof(std::uint32_t), '\0');
  for (const auto& piece : asked.files->encode(*m.row, done.results, c)) bytes += piece.bytes;
  const auto size = static_cast<std::uint32_t>(bytes.size() - sizeof(std::uint32_t));
  std::memcpy(bytes.data(), &size, sizeof size);
  return body_piece::of(std::move(bytes));
}

}  // namespace

response encode_inference(const model& m, const infer_request& asked, const call_result& done, const encode_context& c) {
  std::vector<body_piece> text, binary;
  json_writer w;
  w.begin_object().member("model_name", m.name()).member("model_version", m.row->version);
  if (asked.id) w.member("id", *asked.id);
  w.key("parameters").raw(done.where.json()).key("outputs").begin_array();
  for (const auto& wanted : asked.outputs) {
    const field& output = m.row->outputs[wanted.index];
    const std::string& name = output.name;
    if (asked.files != nullptr) {
      auto file = file_element(m, asked, done, c);
      w.begin_object().member("name", name).member("datatype", bytes_datatype).member("shape", json_array({1}));
      if (wanted.binary) {
        w.key("parameters").begin_object().member("binary_data_size", file.bytes.size()).end_object();
        binary.push_back(std::move(file));
      } else {
        std::string data = "[\"";
        append_base64(data, file.bytes.substr(sizeof(std::uint32_t)));
        w.key("data").raw(data += "\"]");
      }
      w.end_object();
      continue;
    }
    const auto t = std::make_shared<const tensor>(done.results[wanted.index].contiguous());
    w.begin_object().member("name", name).member("datatype", datatype_of(output, t->dtype())).key("shape").begin_array();
    for (const auto extent : t->shape()) w.value(extent);
    w.end_array();
    if (wanted.binary) {
      binary.push_back(output.labels ? pack_labels(*m.row, output, *t)
                                     : body_piece{std::string_view(static_cast<const char*>(t->data()), t->bytes()), t});
      w.key("parameters").begin_object().member("binary_data_size", binary.back().bytes.size()).end_object();
    } else {
      text.push_back(body_piece::of(w.key("data").raw({}).take()));
      if (output.labels)
        text.push_back(print_labels(*m.row, output, t->reshape(shape{t->count()})));
      else
        for (auto& piece : print_flat(*t, c.numbers, name)) text.push_back(std::move(piece));
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

encoded_size inference_size(const model& m, const infer_request& asked, std::span<const operand_spec> results,
                            const service_limits& limits) {
  if (asked.files != nullptr) {
    auto size = asked.files->size_of(*m.row, results, limits);
    size.text *= 4;  // the file, its base64, and the answer that holds it
    return size;
  }
  encoded_size size;
  for (const auto& wanted : asked.outputs) {
    const auto& r = results[wanted.index];
    const auto& f = m.row->outputs[wanted.index];
    if (f.labels)
      size.text +=
          wanted.binary ? packed_bytes(f, r) : output_bytes(f, {.dtype = r.dtype, .shape = {r.shape.count()}}, limits);
    else
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

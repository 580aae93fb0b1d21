// Inference requests to tensors: a JSON object, followed by the tensors in binary.
#pragma once

#include <memory>
#include <optional>

#include "codec/codec.hpp"
#include "kserve/models.hpp"

namespace sluice::serving {

struct infer_request {
  std::optional<std::string> id{};
  std::vector<tensor> inputs{};  // in the row's order

  struct output {
    std::size_t index;  // of the row's
    bool binary;
  };
  std::vector<output> outputs{};  // the requested ones, in the order of the request

  codec* files = nullptr;        // of the outputs that are pictures, where the request asks for files
  std::uint64_t timeout_us = 0;  // 0: none
  std::uint64_t priority = 0;
};

// Decodes one request after the other and reuses its memory.
class infer_decoder {
 public:
  infer_decoder();
  ~infer_decoder();

  // `json_bytes` as the header Inference-Header-Content-Length says; without it all of the body is JSON, and 0 makes the
  // body the data of the model's one input. Tensors in JSON are read into memory of `c.memory`. Throws error: malformed,
  // invalid_argument, limit_exceeded; what c.options.ask() throws; and what codecs of pictures throw.
  infer_request decode(const body_buffer& body, std::optional<std::size_t> json_bytes, const model& m,
                       const decode_context& c);

  [[nodiscard]] std::size_t memory() const noexcept;  // bytes that it keeps

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace sluice::serving

// Inference requests to tensors: a JSON object, and the tensors that stand behind it in binary.
#pragma once

#include <memory>
#include <optional>

#include "codec/body_buffer.hpp"
#include "kserve/models.hpp"

namespace sluice::serving {

struct infer_request {
  std::optional<std::string> id{};
  std::vector<tensor> inputs{};  // in the row's order

  struct output {
    std::size_t index;  // of the row's
    bool binary;
  };
  std::vector<output> outputs{};  // those asked for, in the order of asking

  std::uint64_t timeout_us = 0;  // 0: none
  std::uint64_t priority = 0;
};

// Decodes requests one after the other, with memory it keeps for the next.
class infer_decoder {
 public:
  infer_decoder();
  ~infer_decoder();

  // `json_bytes` as the header Inference-Header-Content-Length says; without it all of the body is JSON, and 0 makes the
  // body the data of the model's one input. What comes in JSON lies in memory of `room`. Throws error: malformed,
  // invalid_argument, limit_exceeded.
  infer_request decode(const body_buffer& body, std::optional<std::size_t> json_bytes, const model& m,
                       const service_limits& limits, const host_allocator& room);

  [[nodiscard]] std::size_t memory() const noexcept;  // bytes that it keeps

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace sluice::serving

// JSON bodies to tensors.
#pragma once

#include <memory>
#include <vector>

#include "codec/body_buffer.hpp"
#include "codec/decoder_pool.hpp"

namespace sluice::serving {

// Decodes bodies one after the other, with memory it keeps for the next.
class json_decoder {
 public:
  json_decoder();
  ~json_decoder();

  // The inputs of `row`, in its order, in memory of `room`. Throws error: malformed for what is no JSON object;
  // invalid_argument for keys, shapes and values that `row` does not take; limit_exceeded.
  std::vector<tensor> decode(const body_buffer& body, const endpoint& row, const service_limits& limits,
                             const host_allocator& room);

  [[nodiscard]] std::size_t memory() const noexcept;  // bytes that it keeps

 private:
  struct state;
  std::unique_ptr<state> state_;
};

using decoder_pool = pool<json_decoder>;

}  // namespace sluice::serving

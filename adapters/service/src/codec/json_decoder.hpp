// JSON bodies to tensors.
#pragma once

#include <memory>
#include <vector>

#include "codec/body_buffer.hpp"
#include "codec/decoder_pool.hpp"
#include "codec/precision.hpp"

namespace sluice::serving {

// Decodes one body after the other and reuses its memory.
class json_decoder {
 public:
  json_decoder();
  ~json_decoder();

  // `inputs`, in their order, in memory of `memory`. Throws error: malformed for what is not a JSON object; invalid_argument
  // for keys, shapes and values that the endpoint does not take; limit_exceeded; and what precision.ask() throws.
  std::vector<tensor> decode(const body_buffer& body, std::span<const field> inputs, std::string_view endpoint,
                             const service_limits& limits, const host_allocator& memory, asked_precision& precision);

  [[nodiscard]] std::size_t memory() const noexcept;  // bytes that it keeps

 private:
  struct state;
  std::unique_ptr<state> state_;
};

using decoder_pool = pool<json_decoder>;

}  // namespace sluice::serving

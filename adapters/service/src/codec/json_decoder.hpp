// JSON bodies to tensors.
#pragma once

#include <memory>
#include <vector>

#include "codec/codec.hpp"
#include "codec/decoder_pool.hpp"

namespace sluice::serving {

// Decodes one body after the other and reuses its memory.
class json_decoder {
 public:
  json_decoder();
  ~json_decoder();

  // `inputs`, in their order, in memory of `c.memory`. Throws error: malformed for what is not a JSON object;
  // invalid_argument for keys, shapes and values that the endpoint does not take; limit_exceeded; what c.options.ask()
  // throws; and what codecs of pictures throw.
  std::vector<tensor> decode(const body_buffer& body, std::span<const field> inputs, const decode_context& c);

  [[nodiscard]] std::size_t memory() const noexcept;  // bytes that it keeps

 private:
  struct state;
  std::unique_ptr<state> state_;
};

using decoder_pool = pool<json_decoder>;

}  // namespace sluice::serving

// JSON bodies to tensors.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "body.hpp"

namespace sluice::http {

// Decodes bodies one after the other, with memory it keeps for the next.
class json_decoder {
 public:
  json_decoder();
  ~json_decoder();

  // The inputs of `row`, in its order. Throws error: malformed for what is no JSON object; invalid_argument for keys, shapes
  // and values that `row` does not take; limit_exceeded.
  std::vector<tensor> decode(const body_buffer& body, const endpoint& row, const service_limits& limits);

  [[nodiscard]] std::size_t memory() const noexcept;  // bytes that it keeps

 private:
  struct state;
  std::unique_ptr<state> state_;
};

// Decoders at rest: few, and none that a large body has made large.
class decoder_pool {
 public:
  static constexpr std::size_t kept_decoders = 8;
  static constexpr std::size_t kept_bytes = 4 << 20;

  class lease {
   public:
    explicit lease(decoder_pool& pool) : pool_(pool), decoder_(pool.take()) {}
    ~lease() { pool_.put(std::move(decoder_)); }
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;
    json_decoder* operator->() const noexcept { return decoder_.get(); }

   private:
    decoder_pool& pool_;
    std::unique_ptr<json_decoder> decoder_;
  };

 private:
  std::unique_ptr<json_decoder> take();
  void put(std::unique_ptr<json_decoder> decoder) noexcept;

  std::mutex mutex_;
  std::vector<std::unique_ptr<json_decoder>> idle_;
};

}  // namespace sluice::http

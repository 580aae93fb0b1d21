// application/x-npy: one tensor, in the body's own memory where its elements are aligned and need no more bytes there.
#include <fmt/format.h>

#include "codec/codec.hpp"
#include "http/http_error.hpp"
#include "sluice/npy.hpp"

namespace sluice::serving {
namespace {

[[noreturn]] void fail(const std::string& sentence) { throw error(error_code::malformed, "[npy] " + sentence); }

npy_header header_of(const encoded& from, const service_limits& limits) try {
  const auto h = parse_npy_header(std::as_bytes(std::span(from.bytes.substr(0, npy_header_limit))));
  if (!h) fail(fmt::format("{} of {} bytes ends inside the header", from.called, from.bytes.size()));
  if (h->shape.count() > limits.elements)
    throw error(error_code::limit_exceeded, fmt::format("[npy] shape {} has {} elements: at most {} are taken",
                                                        h->shape.str(), h->shape.count(), limits.elements));
  if (h->shape.rank() > limits.rank)
    throw error(error_code::invalid_argument, fmt::format("[npy] shape {} has rank {}: at most {} is taken", h->shape.str(),
                                                          h->shape.rank(), limits.rank));
  const auto size = static_cast<std::int64_t>(size_of(h->dtype));
  if (h->is_converted() && h->shape.count() > limits.body_bytes / size)
    throw error(error_code::limit_exceeded,
                fmt::format("[npy] shape {} has {} elements, of {} bytes as {}: at most {} bytes are taken", h->shape.str(),
                            h->shape.count(), size, name_of(h->dtype), limits.body_bytes));
  return *h;
} catch (const error& e) {
  if (e.code() != error_code::unsupported) throw;
  throw http_error{422, "unsupported", e.what()};
}

// `bytes` of the body: the elements.
tensor converted(const npy_header& h, std::string_view bytes, const strides& steps, const encoded& from,
                 const decode_context& c) try {
  const auto elements = std::as_bytes(std::span(bytes));
  if (h.element_bytes() == size_of(h.dtype)) {
    tensor t = from.body.tensor_at(bytes.data(), h.dtype, h.shape, steps);
    convert_npy(h, {static_cast<const std::byte*>(t.data()), elements.size()}, t.data());
    return t;
  }
  auto memory = std::make_shared<tensor>(c.memory.make({h.shape.count()}, h.dtype));
  convert_npy(h, elements, memory->data());
  return tensor::wrap(memory->data(), h.dtype, h.shape, steps, memory);
} catch (const error& e) {
  if (e.code() != error_code::unsupported) throw;
  throw http_error{422, "unsupported", e.what()};
}

class npy_bodies final : public codec {
 public:
  std::span<const std::string_view> media_types() const noexcept override {
    static constexpr std::string_view types[] = {"application/x-npy"};
    return types;
  }
  payload carries() const override { return payload::one_tensor; }
  bool uses_body_memory() const override { return true; }

  std::size_t expected_size(std::string_view bytes) const override try {
    const auto h = parse_npy_header(std::as_bytes(std::span(bytes.substr(0, npy_header_limit))));
    return h ? static_cast<std::size_t>(h->data_offset + h->data_bytes()) : 0;
  } catch (const error&) {  // decode reports it
    return 0;
  }

  std::vector<tensor> decode(const encoded& from, std::span<const field>, const decode_context& c) override {
    const auto h = header_of(from, c.limits);
    const auto size = static_cast<std::size_t>(h.data_offset + h.data_bytes());
    if (size != from.bytes.size())
      fail(fmt::format("{} has {} bytes, and by its header of shape {} of {} bytes each it should have {}", from.called,
                       from.bytes.size(), h.shape.str(), h.element_bytes(), size));
    const strides steps = h.fortran_order ? column_major(h.shape) : row_major(h.shape);
    if (h.is_converted()) return {converted(h, from.bytes.substr(static_cast<std::size_t>(h.data_offset)), steps, from, c)};
    return {from.body.tensor_at(from.bytes.data() + h.data_offset, h.dtype, h.shape, steps)};
  }

  std::vector<body_piece> encode(const endpoint&, const std::vector<tensor>& results, const encode_context&) override {
    const auto held = std::make_shared<const tensor>(results[0].contiguous());
    if (held->dtype() == dtype::bf16)
      throw http_error{406, "not_acceptable",
                       "[npy] the result is of bf16, which .npy has no type for; ask for application/json"};
    return {body_piece::of(npy_header_bytes(held->dtype(), held->shape())),
            {std::string_view(static_cast<const char*>(held->data()), held->bytes()), held}};
  }
};

}  // namespace

std::unique_ptr<codec> npy_codec() { return std::make_unique<npy_bodies>(); }

}  // namespace sluice::serving

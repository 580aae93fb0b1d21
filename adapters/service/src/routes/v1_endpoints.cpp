// POST /v1/NAME: JSON and .npy.
#include "codec/encode.hpp"
#include "codec/json_decoder.hpp"
#include "codec/media_type.hpp"
#include "codec/npy_decoder.hpp"
#include "execution/executor.hpp"
#include "http/protocol.hpp"
#include "openapi/describe_endpoints.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view root = "/v1/";

class v1_protocol final : public protocol {
 public:
  explicit v1_protocol(executor& e) : executor_(e) {}

  std::vector<std::string> patterns() const override { return {std::string(root) + "[A-Za-z0-9_-]{1,64}"}; }
  bool owns(std::string_view path) const override { return path.starts_with(root); }

  response answer(const request& r, request_context& record) override {
    const auto row = executor_.endpoints.find(std::string_view(r.path).substr(root.size()));
    if (!row) fail_not_found(r);
    record.route = row->name;
    check_method(r, "POST");
    record.model = row->name;
    return respond(r, *row, record);
  }

  void describe(document& d) const override {
    d.tag("calls", "The catalogue: JSON or .npy in, JSON or .npy out");
    describe_numbers(d);
    for (const auto& row : executor_.endpoints.rows()) d.add(describe_call(d, *row, executor_.options.limits));
  }

 private:
  response respond(const request& r, const endpoint& row, request_context& record) {
    executor_.check_open();
    const auto type = header(r, "Content-Type");
    const media form = body_media(type, row.inputs.size());
    const media wanted = answer_media(header(r, "Accept"), form, row.outputs.size());
    const host_allocator memory(executor_.options.device);
    // Tensors of .npy use the body's memory; those of JSON have their own.
    const auto body = executor_.read_body(r, record, form == media::json ? host_allocator(device::cpu) : memory);
    call c(row, record, executor_.options);
    const auto take_inputs = [&] { c.take(decode(body, form, type, row, memory)); };
    if (executor_.is_short(record)) take_inputs();
    return executor_.run(c, [&] {
      if (!c.decoded) take_inputs();
      return encode(row, executor_.submit(c), wanted);
    });
  }

  std::vector<tensor> decode(const body_buffer& body, media form, std::string_view type, const endpoint& row,
                             const host_allocator& memory) {
    const auto& limits = executor_.options.limits;
    switch (form) {
      case media::json: return decoder_pool::lease(decoders_)->decode(body, row, limits, memory);
      case media::npy: return decode_npy_body(body, limits);
      case media::multipart: return decode_multipart(body, boundary_of(type), row, limits);
    }
    return {};
  }

  static response encode(const endpoint& row, const call_result& done, media wanted) {
    response out{.headers = {{"Content-Type", wanted == media::json ? "application/json" : "application/x-npy"}}};
    out.body = wanted == media::json ? encode_json(row, done.results, done.where.device) : encode_npy(done.results[0]);
    done.where.add_headers(out);
    return out;
  }

  executor& executor_;
  decoder_pool decoders_;
};

}  // namespace

std::unique_ptr<protocol> v1(executor& e) { return std::make_unique<v1_protocol>(e); }

}  // namespace sluice::serving

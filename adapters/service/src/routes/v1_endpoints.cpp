// POST /v1/NAME: bodies and answers in the media types of the codec registry.
#include "codec/codec_registry.hpp"
#include "codec/json_schema.hpp"
#include "execution/executor.hpp"
#include "execution/model_states.hpp"
#include "execution/result_dtype.hpp"
#include "http/protocol.hpp"
#include "openapi/describe_endpoints.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view root = "/v1/";

class v1_protocol final : public protocol {
 public:
  v1_protocol(executor& e, codec_registry codecs) : executor_(e), codecs_(std::move(codecs)) {}

  std::vector<std::string> patterns() const override { return {std::string(root) + "[A-Za-z0-9_-]{1,64}"}; }
  bool owns(std::string_view path) const override { return path.starts_with(root); }

  response answer(const request& r, request_context& record) override {
    const auto name = std::string_view(r.path).substr(root.size());
    const auto row = executor_.endpoints.find(name);
    if (!row) executor_.endpoints.check_offered(name);
    if (!row) check_missing(executor_.repository().get(), name);
    if (!row) fail_not_found(r);
    record.route = row->name;
    record.row = row;
    check_method(r, "POST");
    record.model = row->name;
    return respond(r, *row_for(row, r.query), record);
  }

  void describe(document& d) const override {
    d.tag("calls", "The catalogue: JSON or .npy in, JSON or .npy out");
    describe_numbers(d);
    for (const auto& row : executor_.endpoints.rows()) d.add(describe_call(d, *row, executor_.options.limits, codecs_));
  }

 private:
  response respond(const request& r, const endpoint& row, request_context& record) {
    executor_.check_open();
    const auto type = header(r, "Content-Type");
    codec& from = codecs_.for_body(type, row);
    codec& to = codecs_.for_answer(header(r, "Accept"), from, row);
    const nonfinite numbers = nonfinite_of(r.query);
    asked_options options(row, r.query);
    bool as_text = false;
    const host_allocator memory(executor_.options.device);
    const auto body = executor_.read_body(r, record, from.uses_body_memory() ? memory : host_allocator(device::cpu));
    const decode_context decoding{row.name, executor_.options.limits, memory, codecs_, options, as_text};
    call c(row, record, executor_.options);
    c.encoded_bytes = [&](std::span<const operand_spec> results) {
      return to.size_of(row, results, executor_.options.limits);
    };
    const auto take_inputs = [&] {
      auto inputs = from.decode({body, {body.data(), body.size()}, type}, row.inputs, decoding);
      c.context.precision = options.precision();
      c.context.parameters = options.values();
      c.take(std::move(inputs));
    };
    if (executor_.is_short(record) && !from.decompresses(row)) take_inputs();
    return executor_.run(c, [&] {
      if (!c.decoded) take_inputs();
      const call_result done = executor_.submit(c);
      response out{
          .headers = {{"Content-Type", std::string(to.media_type())}},
          .body = to.encode(row, done.results, {done.where.device, done.where.precision, numbers, codecs_, as_text})};
      done.where.add_headers(out);
      return out;
    });
  }

  executor& executor_;
  const codec_registry codecs_;
};

}  // namespace

std::unique_ptr<protocol> v1(executor& e, codec_registry codecs) {
  return std::make_unique<v1_protocol>(e, std::move(codecs));
}

}  // namespace sluice::serving

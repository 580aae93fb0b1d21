// POST /v1/NAME: JSON and .npy.
#include "encode.hpp"
#include "media.hpp"
#include "npy_in.hpp"
#include "protocol.hpp"
#include "rows.hpp"

namespace sluice::http {
namespace {

constexpr std::string_view root = "/v1/";

class v1_protocol final : public protocol {
 public:
  explicit v1_protocol(engine& e) : engine_(e) {}

  std::vector<std::string> patterns() const override { return {std::string(root) + "[A-Za-z0-9_-]{1,64}"}; }
  bool owns(std::string_view path) const override { return path.starts_with(root); }

  response answer(const request& r, call_record& record) override {
    const auto row = engine_.rows.find(std::string_view(r.path).substr(root.size()));
    if (!row) fail_not_found(r);
    record.route = row->name;
    check_method(r, "POST");
    record.model = row->name;
    return call(r, *row, record);
  }

  void describe(document& d) const override {
    d.tag("calls", "The catalogue: JSON or .npy in, JSON or .npy out");
    describe_numbers(d);
    for (const auto& row : engine_.rows.rows()) d.add(describe_call(d, *row, engine_.options.limits));
  }

 private:
  response call(const request& r, const endpoint& row, call_record& record) {
    engine_.check_open();
    const auto type = header(r, "Content-Type");
    const media form = body_media(type, row.inputs.size());
    const media wanted = answer_media(header(r, "Accept"), form, row.outputs.size());
    const host_room room(engine_.options.device);
    // Tensors of .npy lie over the body, those of JSON beside it.
    const auto body = engine_.read_body(r, record, form == media::json ? host_room(device::cpu) : room);
    return engine_.call(
        row, record, [&](call_context&) { return decode(body, form, type, row, room); },
        [&](const std::vector<tensor>& results, const placed_call& where) {
          return encode(row, results, where.device, wanted);
        });
  }

  std::vector<tensor> decode(const body_buffer& body, media form, std::string_view type, const endpoint& row,
                             const host_room& room) {
    const auto& limits = engine_.options.limits;
    switch (form) {
      case media::json: return decoder_pool::lease(engine_.decoders)->decode(body, row, limits, room);
      case media::npy: return decode_npy_body(body, limits);
      case media::multipart: return decode_multipart(body, boundary_of(type), row, limits);
    }
    return {};
  }

  static response encode(const endpoint& row, const std::vector<tensor>& results, const std::string& where, media wanted) {
    response out{.headers = {{"Content-Type", wanted == media::json ? "application/json" : "application/x-npy"}}};
    out.body = wanted == media::json ? encode_json(row, results, where) : http::encode_npy(results[0]);
    return out;
  }

  engine& engine_;
};

}  // namespace

std::unique_ptr<protocol> v1(engine& e) { return std::make_unique<v1_protocol>(e); }

}  // namespace sluice::http

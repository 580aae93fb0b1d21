// The Open Inference Protocol (KServe v2) with its binary extension, and the other routes that Triton's clients call.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "codec/codec_registry.hpp"
#include "codec/decoder_pool.hpp"
#include "codec/json_writer.hpp"
#include "execution/executor.hpp"
#include "execution/model_states.hpp"
#include "execution/result_dtype.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"
#include "kserve/describe.hpp"
#include "kserve/infer_encoder.hpp"
#include "kserve/repository.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view root = "/v2";
constexpr std::string_view length_header = "Inference-Header-Content-Length";

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> all;
  path.remove_prefix(root.size());
  while (!path.empty()) {
    path.remove_prefix(1);
    all.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(all.back().size());
  }
  if (all.size() == 1 && all[0].empty()) all.clear();  // "/v2/"
  return all;
}

response json_response(std::string text, int status = 200) {
  return text_response("application/json", std::move(text), status);
}

[[noreturn]] void fail_unsupported(const std::string& sentence) { throw http_error{501, "unsupported", "[v2] " + sentence}; }

// The header's value; nothing where it is absent.
std::optional<std::size_t> json_length(const request& r) {
  const auto text = header(r, length_header);
  if (text.empty()) return std::nullopt;
  std::size_t n = 0;
  const auto [end, e] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (e != std::errc{} || end != text.data() + text.size())
    throw error(error_code::malformed,
                fmt::format("[v2] {} is {}: not a number of bytes", length_header, json_string(shown(text))));
  return n;
}

class v2_protocol final : public protocol {
 public:
  v2_protocol(executor& e, codec_registry codecs) : executor_(e), codecs_(std::move(codecs)) {}

  std::vector<std::string> patterns() const override { return {std::string(root) + R"((/[\s\S]{0,200})?)"}; }
  bool owns(std::string_view path) const override {
    return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
  }

  response answer(const request& r, request_context& record) override {
    record.route = "v2";
    const auto at = segments_of(r.path);
    if (at.empty()) return get(r, server_json());
    if (at[0] == "health" && at.size() == 2) return health(r, at[1]);
    if (at[0] == "models") return at.size() > 1 ? models(r, at, record) : get(r, model_list_json(executor_));
    if (at[0] == "repository" && at.size() > 1) return repository(r, at);
    if (at[0] == "systemsharedmemory" || at[0] == "cudasharedmemory") return shared_memory(r, at);
    fail_not_found(r);
  }

  // {"error": ...}; what /v1 calls unprocessable or not acceptable is a bad request here.
  response refusal(int status, std::string_view, std::string_view detail) const override {
    return json_response(json_object({{"error", detail}}), status == 422 || status == 406 ? 400 : status);
  }

  void describe(document& d) const override {
    describe_v2(d, executor_.endpoints, executor_.options.limits, executor_.repository() != nullptr);
  }

 private:
  static response get(const request& r, std::string text, int status = 200) {
    check_method(r, "GET, HEAD");
    return json_response(std::move(text), status);
  }

  std::string server_json() const {
    std::vector<std::string> extensions{"binary_tensor_data", "model_configuration", "statistics"};
    if (executor_.repository()) extensions.emplace_back("model_repository");
    return json_object({{"name", "sluice"}, {"version", SLUICE_VERSION_STRING}, {"extensions", json_array(extensions)}});
  }

  // Of the server, or of a model.
  static std::string ready_json(bool ready, const std::string& reason, std::string_view name = {}) {
    json_writer w;
    w.begin_object();
    if (!name.empty()) w.member("name", name);
    w.member("ready", ready);
    if (!reason.empty()) w.member("reason", reason);
    return w.end_object().take();
  }

  response health(const request& r, std::string_view what) {
    if (what == "live") return get(r, json_object({{"live", true}}));
    if (what != "ready") fail_not_found(r);
    const auto now = executor_.look();
    std::string reason;
    for (const auto& m : now.models)
      reason +=
          fmt::format("{}{} is {}{}{}", reason.empty() ? "" : "; ", m.name, m.state, m.reason.empty() ? "" : ": ", m.reason);
    return get(r, ready_json(now.ready(), reason), now.ready() ? 200 : 503);
  }

  // /v2/models/stats and /v2/models/NAME[/versions/V][/WHAT]
  response models(const request& r, std::vector<std::string_view> at, request_context& record) {
    if (at.size() == 2 && at[1] == "stats")
      return get(r, statistics_json(all_models(executor_.endpoints), executor_.statistics));
    const std::string_view name = at[1];
    std::string_view version;
    if (at.size() > 3 && at[2] == "versions") {
      version = at[3].empty() ? "-" : at[3];  // which none is called
      at.erase(at.begin() + 2, at.begin() + 4);
    }
    const auto m = find_model(executor_.endpoints, name, version);
    const std::string_view what = at.size() == 3 ? at[2] : "";
    if (what == "ready") return ready(r, name, version, m.has_value());
    if (!m) fail_no_model(name, version);
    if (at.size() == 2) return get(r, metadata_json(*m, versions_of(executor_.endpoints, *m)));
    if (what == "config") return get(r, config_json(*m));
    if (what == "stats") return get(r, statistics_json({*m}, executor_.statistics));
    if (what != "infer") fail_not_found(r);
    record.route = m->name();
    record.row = m->row;
    check_method(r, "POST");
    record.model = m->name();
    return infer(r, {row_for(m->row, r.query), m->only}, record);
  }

  // A model that is not served is not ready where it is wanted, and else not there.
  response ready(const request& r, std::string_view name, std::string_view version, bool is_served) {
    std::string reason;
    try {
      if (!is_served) fail_no_model(name, version);
    } catch (const http_error& e) {
      if (e.status != 503) throw;
      reason = e.detail;
    }
    const bool is_ready = is_served && executor_.look().computes;
    return get(r, ready_json(is_ready, reason, name), is_ready ? 200 : 503);
  }

  [[noreturn]] void fail_no_model(std::string_view name, std::string_view version) const {
    executor_.endpoints.check_offered(name);
    const auto repository = executor_.repository();
    check_missing(repository.get(), name, version);
    const auto other = find_model(executor_.endpoints, name);
    if (!other) throw http_error{404, "not_found", fmt::format("[v2] there is no model {}", json_string(shown(name, 80)))};
    throw http_error{404, "not_found",
                     fmt::format("[v2] {} has version {}, not {}", name,
                                 fmt::join(versions_of(executor_.endpoints, *other), " and "), json_string(shown(version)))};
  }

  response infer(const request& r, const model& m, request_context& record) {
    executor_.check_open();
    const auto json_bytes = json_length(r);
    const nonfinite numbers = nonfinite_of(r.query);
    asked_options options(*m.row, r.query);
    constexpr std::string_view json_type = "application/json";
    if (json_bytes == 0u && same_ignoring_case(header(r, "Content-Type").substr(0, json_type.size()), json_type))
      throw error(
          error_code::malformed,
          fmt::format("[v2] {} is 0: the body is the data of a tensor, and Content-Type is {}", length_header, json_type));
    const auto& limits = executor_.options.limits;
    const host_allocator memory(executor_.options.device);
    // Binary tensors use the body's memory; those of JSON have their own.
    const auto body =
        executor_.read_body(r, record, json_bytes ? memory : host_allocator(device::cpu), json_bytes.value_or(0));
    if (json_bytes) record.text_bytes = static_cast<std::int64_t>(std::min(*json_bytes, body.size()));
    bool as_text = false;
    const decode_context decoding{m.row->name, limits, memory, codecs_, options, as_text};
    infer_request asked;
    call c(*m.row, record, executor_.options);
    c.encoded_bytes = [&](std::span<const operand_spec> results) { return inference_size(m, asked, results, limits); };
    const auto take_inputs = [&] {
      asked = pool<infer_decoder>::lease(decoders_)->decode(body, json_bytes, m, decoding);
      if (asked.timeout_us != 0 && asked.timeout_us < longest_timeout_us)
        c.context.deadline = record.begin + std::chrono::microseconds(asked.timeout_us);
      c.context.priority = asked.priority;
      c.context.precision = options.precision();
      c.context.parameters = options.values();
      c.take(std::move(asked.inputs));
    };
    if (executor_.is_short(record) && !takes_pictures(*m.row)) take_inputs();
    return executor_.run(c, [&] {
      if (!c.decoded) take_inputs();
      const call_result done = executor_.submit(c);
      auto out = encode_inference(m, asked, done, {done.where.device, done.where.precision, numbers, codecs_});
      compress(out, r, *c.answer);
      done.where.add_headers(out);
      return out;
    });
  }

  response repository(const request& r, const std::vector<std::string_view>& at) {
    check_method(r, "POST");
    const bool changes = at.size() == 4 && at[1] == "models" && (at[3] == "load" || at[3] == "unload");
    if (!changes && (at.size() != 2 || at[1] != "index")) fail_not_found(r);
    const auto body = body_buffer::read(r, executor_.options.limits.body_bytes, host_allocator(device::cpu));
    if (!changes) return json_response(model_index_json(executor_, body));
    const auto waits = r.begin_wait ? r.begin_wait() : nullptr;
    if (r.begin_wait && !waits) throw busy(executor_.compute);
    return json_response(change_model(executor_, at[2], at[3] == "load", body));
  }

  // Shared memory is not supported: there are no regions.
  static response shared_memory(const request& r, const std::vector<std::string_view>& at) {
    const auto what = at.back();
    if (at.size() != 2 && (at.size() != 4 || at[1] != "region")) fail_not_found(r);
    if (what == "status") {
      check_method(r, "GET, HEAD");
      if (at.size() == 2) return json_response("[]");
      throw http_error{404, "not_found", fmt::format("[v2] there is no region {}", json_string(shown(at[2])))};
    }
    if (what != "register" && what != "unregister") fail_not_found(r);
    check_method(r, "POST");
    fail_unsupported("tensors come in the request: shared memory is not served");
  }

  static constexpr std::uint64_t longest_timeout_us = 1'000'000'000'000'000;  // 31 years: longer is none

  executor& executor_;
  const codec_registry codecs_;
  pool<infer_decoder> decoders_;
};

}  // namespace

std::unique_ptr<protocol> v2(executor& e, codec_registry codecs) {
  return std::make_unique<v2_protocol>(e, std::move(codecs));
}

}  // namespace sluice::serving

#include "sluice/service.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "catalogue.hpp"
#include "encode.hpp"
#include "health.hpp"
#include "json_in.hpp"
#include "metrics.hpp"
#include "npy_in.hpp"
#include "slots.hpp"
#include "sluice/parallel.hpp"
#include "status.hpp"
#include "text.hpp"

namespace sluice {
namespace {

using http::media;
using http::refused;

response text_response(std::string_view type, std::string text, int status = 200) {
  return {.status = status, .headers = {{"Content-Type", std::string(type)}}, .body = {body_piece::of(std::move(text))}};
}

std::string_view header(const request& r, std::string_view name) { return r.header ? r.header(name) : std::string_view{}; }

[[noreturn]] void fail_method(const request& r, std::string_view allowed) {
  throw refused{405,
                "method_not_allowed",
                fmt::format("[http] {} takes {}, not {}", http::shown(r.path), allowed, http::shown(r.method)),
                {{"Allow", std::string(allowed)}}};
}

std::string devices_json(const http::health& now) {
  std::string out = "{\"devices\":[";
  for (const auto& d : now.devices)
    out += fmt::format(
        R"({}{{"device":{},"description":{},"memory_total":{},"memory_free":{},"awake":{},"healthy":{},"state":{}}})",
        out.back() == '[' ? "" : ",", http::json_string(d.where.str()), http::json_string(d.description), d.memory_total,
        d.memory_free, d.awake, d.healthy, http::json_string(d.state));
  out += "],\"refusals\":[";
  for (const auto& r : refusals())
    out += fmt::format(R"({}{{"backend":{},"reason":{}}})", out.back() == '[' ? "" : ",", http::json_string(r.backend),
                       http::json_string(r.reason));
  return out + "]}";
}

service_options checked(service_options o) {
  const auto need = [](bool holds, const char* name, std::int64_t value, std::string_view range) {
    if (!holds)
      throw error(error_code::invalid_argument, fmt::format("[service] {} is {}: it must be {}", name, value, range));
  };
  need(o.limits.body_bytes >= 1, "limits.body_bytes", o.limits.body_bytes, "at least 1");
  need(o.limits.elements >= 1, "limits.elements", o.limits.elements, "at least 1");
  need(o.limits.rank >= 0 && o.limits.rank <= max_rank, "limits.rank", o.limits.rank, fmt::format("0 to {}", max_rank));
  need(o.compute_slots >= 0, "compute_slots", o.compute_slots, "at least 0");
  need(o.queue_length >= 0, "queue_length", o.queue_length, "at least 0");
  if (o.compute_slots == 0) o.compute_slots = parallel_size();
  return o;
}

}  // namespace

inline namespace v0 {

struct service::state {
  explicit state(service_options o) : options(checked(std::move(o))), compute(options.compute_slots, options.queue_length) {}

  const service_options options;
  http::catalogue catalogue;
  http::slots compute;
  http::decoder_pool decoders;
  http::metrics metrics;
  std::mutex mutex;                // of the next
  std::set<std::string> reported;  // devices that on_device_lost has been told of
  std::condition_variable idle;
  int under_way = 0;
  std::atomic<bool> draining{false};

  // The answer, and the route's name for the metrics in `route`.
  response answer(const request& r, std::string& route) {
    constexpr std::string_view endpoints = "/v1/";
    const std::string_view path = r.path;
    if (path == "/v1/devices") return fixed(r, route = "devices", &state::devices_route);
    if (path == "/health/live") return fixed(r, route = "live", &state::live_route);
    if (path == "/health/ready") return fixed(r, route = "ready", &state::ready_route);
    if (path == "/metrics") return fixed(r, route = "metrics", &state::metrics_route);
    const auto row = path.starts_with(endpoints) ? catalogue.find(path.substr(endpoints.size())) : nullptr;
    if (!row) throw refused{404, "not_found", fmt::format("[http] nothing is served at {}", http::shown(r.path, 80))};
    route = row->name;
    if (r.method != "POST") fail_method(r, "POST");
    return call(r, *row);
  }

  response fixed(const request& r, const std::string&, response (state::*route)()) {
    if (r.method != "GET" && r.method != "HEAD") fail_method(r, "GET, HEAD");
    return (this->*route)();
  }

  response call(const request& r, const endpoint& row) {
    if (draining)
      throw refused{
          503, name_of(error_code::unavailable), "[http] this server is about to end: try again", {{"Retry-After", "1"}}};
    const auto type = header(r, "Content-Type");
    const media form = http::body_media(type, row.inputs.size());
    const media wanted = http::answer_media(header(r, "Accept"), form, row.outputs.size());
    const http::host_room room(options.device);
    // Tensors of .npy lie over the body, those of JSON beside it. Read before a slot is taken: clients may be slow.
    const auto body =
        http::body_buffer::read(r, options.limits.body_bytes, form == media::json ? http::host_room(device::cpu) : room);
    const http::slots::held slot(compute);
    if (!slot)
      throw refused{
          429,
          "busy",
          fmt::format("[http] {} requests are at work and {} wait: try again", options.compute_slots, options.queue_length),
          {{"Retry-After", "1"}}};
    const auto inputs = decode(body, form, type, row, room);
    http::check_inputs(row, inputs);
    auto results = row.run(inputs, call_context{options.device});
    return encode(row, std::move(results), wanted);
  }

  std::vector<tensor> decode(const http::body_buffer& body, media form, std::string_view type, const endpoint& row,
                             const http::host_room& room) {
    switch (form) {
      case media::json: return http::decoder_pool::lease(decoders)->decode(body, row, options.limits, room);
      case media::npy: return http::decode_npy_body(body, options.limits);
      case media::multipart: return http::decode_multipart(body, http::boundary_of(type), row, options.limits);
    }
    return {};
  }

  static response encode(const endpoint& row, std::vector<tensor> results, media wanted) {
    if (results.size() != row.outputs.size())
      throw error(error_code::internal,
                  fmt::format("[{}] gave {} results and is to give {}", row.name, results.size(), row.outputs.size()));
    const std::string where = results[0].device().str();
    for (auto& t : results) t = t.to(device::cpu);
    response out{.headers = {{"Content-Type", wanted == media::json ? "application/json" : "application/x-npy"},
                             {"Sluice-Device", where}}};
    out.body = wanted == media::json ? http::encode_json(row, results, where) : http::encode_npy(results[0]);
    return out;
  }

  response devices_route() { return text_response("application/json", devices_json(look())); }
  response live_route() { return text_response("application/json", R"({"live":true})"); }
  response metrics_route() {
    return text_response("text/plain; version=0.0.4; charset=utf-8", metrics.text(compute, options.compute_slots, look()));
  }
  response ready_route() {
    const auto now = look();
    return text_response("application/json", now.json(), now.ready ? 200 : 503);
  }

  // The devices, and a word to the application about those that were lost.
  http::health look() {
    auto now = http::health::now(options.ready);
    now.ready = now.ready && !draining;
    for (const auto& d : now.devices) {
      if (!d.lost || !options.on_device_lost) continue;
      {
        const std::lock_guard lock(mutex);
        if (!reported.insert(d.where.str()).second) continue;
      }
      try {
        options.on_device_lost(d);
      } catch (...) {  // the application's own; the request goes on
      }
    }
    return now;
  }

  // Every failure as a response.
  response guarded(const request& r, std::string& route) try { return answer(r, route); } catch (const refused& e) {
    auto out = problem(e.status, e.code, e.detail);
    out.headers.insert(out.headers.end(), e.headers.begin(), e.headers.end());
    return out;
  } catch (const error& e) {
    if (e.code() == error_code::device_lost) look();
    auto out = problem(status_of(e.code()), name_of(e.code()), e.what());
    if (out.status == 503) out.headers.emplace_back("Retry-After", "1");
    return out;
  } catch (const std::bad_alloc&) {
    return problem(503, name_of(error_code::out_of_memory), "[http] no memory for this request");
  } catch (...) {  // an application's endpoint: its text may tell more than a client should know
    return problem(500, name_of(error_code::internal), "[http] the endpoint failed");
  }
};

service::service(service_options options) : state_(std::make_unique<state>(std::move(options))) {
  add(http::matmul_row());
  add(http::rowsum_row());
}
service::~service() = default;

void service::add(endpoint row) { state_->catalogue.add(std::move(row)); }
std::vector<std::shared_ptr<const endpoint>> service::catalogue() const { return state_->catalogue.rows(); }
const service_options& service::options() const noexcept { return state_->options; }

std::shared_ptr<void> service::begin_request() {
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->under_way;
  }
  return {state_.get(), [](void* p) {  // called, too, when there is no memory to hold it
            auto* const s = static_cast<state*>(p);
            const std::lock_guard lock(s->mutex);
            if (--s->under_way == 0) s->idle.notify_all();
          }};
}

bool service::drain(double seconds) {
  state_->draining = true;
  std::unique_lock lock(state_->mutex);
  return state_->idle.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return state_->under_way == 0; });
}

response service::handle(const request& r) noexcept try {
  const auto begin = std::chrono::steady_clock::now();
  std::string route = "none";
  response out = state_->guarded(r, route);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  state_->metrics.record(route, out.status, taken.count(), out.size());
  return out;
} catch (...) {  // no memory even for a problem
  return {.status = 500};
}

}  // namespace v0
}  // namespace sluice

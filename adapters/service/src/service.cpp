#include "sluice/service.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>

#include "codec/codec_registry.hpp"
#include "execution/executor.hpp"
#include "http/access.hpp"
#include "http/coding.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/trace.hpp"

namespace sluice {

using serving::http_error;

inline namespace SLUICE_ABI {

struct service::state {
  explicit state(service_options o) : executor(std::move(o)), access(executor.options.tokens, executor.options.origins) {
    using namespace serving;
    protocols.push_back(operations(executor, protocols));
    protocols.push_back(placement(executor));
    protocols.push_back(no_jobs());
    protocols.push_back(v1_rowsum_stream(executor));
    protocols.push_back(v1(executor, standard_codecs()));
    protocols.push_back(v2(executor, standard_codecs()));
    protocols.push_back(docs(executor, [this](document& d) { describe(d); }));
  }

  serving::executor executor;
  const serving::access access;
  serving::protocol_list protocols;  // the first that owns a path answers
  std::mutex mutex;                  // of the next
  std::condition_variable idle;
  int under_way = 0;

  void describe(serving::document& d) const {
    for (const auto& p : protocols) p->describe(d);
  }

  serving::protocol* owner_of(std::string_view path) const {
    for (const auto& p : protocols)
      if (p->owns(path)) return p.get();
    return nullptr;
  }

  response refusal(std::string_view path, int status, std::string_view code, std::string_view detail) const {
    const auto* const p = owner_of(path);
    return p == nullptr ? problem(status, code, detail) : p->refusal(status, code, detail);
  }

  response answer(const request& r, serving::request_context& record) {
    if (auto preflight = access.preflight(r)) return std::move(*preflight);
    access.check(r);
    serving::protocol* const p = owner_of(r.path);
    if (p == nullptr) serving::fail_not_found(r);
    record.deadline = serving::deadline_of(r, record.begin);
    record.gone = r.gone;
    record.begin_wait = r.begin_wait;
    auto out = p->answer(r, record);
    if (record.model.empty()) serving::compress_text(out, r);
    return out;
  }

  // Calls the application's access log.
  void log(const request& r, const serving::request_context& record, std::chrono::system_clock::time_point arrived,
           const serving::trace& trace, const response& out) const noexcept try {
    if (!executor.options.on_request) return;
    constexpr std::array<std::string_view, 7> methods{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
    executor.options.on_request(
        {.time = arrived,
         .request_id = record.request_id,
         .trace_id = trace.id,
         .span_id = trace.span,
         .method =
             std::find(methods.begin(), methods.end(), r.method) != methods.end() ? std::string_view(r.method) : "other",
         .route = record.route,
         .status = out.status,
         .bytes_in = record.streamed
                         ? record.body_bytes
                         : std::max({r.content_length, record.body_bytes, static_cast<std::int64_t>(r.body.size())}),
         .bytes_out = static_cast<std::int64_t>(out.size()),
         .seconds = serving::seconds_of(record.taken()),
         .device = out.header("X-Sluice-Device"),
         .client = r.client});
  } catch (...) {
  }

  // The answer, or the failure as a response.
  response answer_or_refuse(const request& r, serving::request_context& record) {
    try {
      return answer(r, record);
    } catch (const http_error& e) {
      return refuse(r, record, e);
    } catch (const error& e) {
      if (e.code() == error_code::device_lost) executor.look();
      http_error refused{status_of(e.code()), name_of(e.code()), e.what()};
      if (refused.status == 503) refused.headers.emplace_back("Retry-After", "1");
      return refuse(r, record, refused);
    } catch (const std::bad_alloc&) {
      return refuse(r, record, {503, name_of(error_code::out_of_memory), "[http] no memory for this request"});
    } catch (...) {  // of an application's endpoint: its text may reveal what clients should not know
      return refuse(r, record, {500, name_of(error_code::internal), "[http] the endpoint failed"});
    }
  }

  response refuse(const request& r, serving::request_context& record, const http_error& e) const {
    record.rejection = e.code;
    auto out = refusal(r.path, e.status, e.code, e.detail);
    out.headers.insert(out.headers.end(), e.headers.begin(), e.headers.end());
    return out;
  }
};

service::service(service_options options) : state_(std::make_unique<state>(std::move(options))) {
  for (const auto* op : all_ops()) {
    if (!op->has_endpoint) continue;
    auto row = serving::endpoint_of(*op);
    if (serving::takes_pictures(row) && !serving::has_image_codecs())
      state_->executor.endpoints.leave_out(row.name, serving::no_image_codecs);
    else
      add(std::move(row));
  }
}
service::~service() = default;

void service::add_protocol(std::unique_ptr<serving::protocol> p) {
  state_->protocols.insert(state_->protocols.begin(), std::move(p));
}

void service::add(endpoint row) { state_->executor.endpoints.add(std::move(row)); }
void service::replace(endpoint row) { state_->executor.endpoints.replace(std::move(row)); }
bool service::remove(std::string_view name, std::string_view version) {
  const bool was_there = state_->executor.endpoints.remove(name, version);
  state_->executor.forget_removed();
  return was_there;
}
void service::set_model_repository(std::shared_ptr<model_repository> repository) {
  state_->executor.set_repository(std::move(repository));
}
std::vector<std::shared_ptr<const endpoint>> service::endpoints() const { return state_->executor.endpoints.all_rows(); }
std::vector<std::string> service::not_offered() const { return state_->executor.endpoints.left_out(); }
const service_options& service::options() const noexcept { return state_->executor.options; }

std::vector<std::string> service::patterns() const {
  std::vector<std::string> all;
  for (const auto& p : state_->protocols)
    for (auto& pattern : p->patterns())
      if (std::find(all.begin(), all.end(), pattern) == all.end()) all.push_back(std::move(pattern));
  return all;
}

std::span<const std::string_view> service::long_bodies() noexcept {
  static constexpr std::array paths{serving::rowsum_stream_path};
  return paths;
}

response service::refusal(std::string_view path, int status, std::string_view code, std::string_view detail) const {
  return state_->refusal(path, status, code, detail);
}

std::shared_ptr<void> service::begin_request() {
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->under_way;
  }
  return {state_.get(), [](void* p) {  // also called when there is no memory for the pointer
            auto* const s = static_cast<state*>(p);
            const std::lock_guard lock(s->mutex);
            if (--s->under_way == 0) s->idle.notify_all();
          }};
}

void service::begin_drain() {
  if (state_->executor.draining.exchange(true)) return;
  for (const auto& p : state_->protocols) p->drain();
}

bool service::drain(double seconds) {
  begin_drain();
  state_->executor.closed = true;
  std::unique_lock lock(state_->mutex);
  return state_->idle.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return state_->under_way == 0; });
}

response service::handle(const request& r) noexcept try {
  serving::request_context record;
  const auto arrived = std::chrono::system_clock::now();
  const auto trace = serving::trace::begin(serving::header(r, "traceparent"));
  record.request_id = serving::request_id(serving::header(r, "X-Request-Id"));
  record.traceparent = trace.traceparent();
  response out = state_->answer_or_refuse(r, record);
  out.headers.emplace_back("X-Request-Id", record.request_id);
  state_->access.admit(r, out);
  const auto taken = record.taken();
  state_->executor.metrics->record(record, out.status, out.size());
  state_->executor.statistics.record(record, out.status == 200, taken);
  if (out.status == 200 && (!record.model.empty() || record.streamed))
    out.sending = serving::until_sent(state_->executor.metrics, record);
  state_->log(r, record, arrived, trace, out);
  return out;
} catch (...) {  // no memory even for a refusal
  return {.status = 500};
}

}  // namespace SLUICE_ABI
}  // namespace sluice

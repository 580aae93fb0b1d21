#include "http/protocol.hpp"

#include <charconv>
#include <cmath>
#include <exception>

#include <fmt/format.h>

#include "codec/body_buffer.hpp"
#include "http/http_error.hpp"
#include "http/text.hpp"
#include "observability/metrics.hpp"

namespace sluice::serving {

std::chrono::steady_clock::time_point deadline_of(const request& r, std::chrono::steady_clock::time_point begin) {
  using clock = std::chrono::steady_clock;
  constexpr double longest = 1e9;  // 31 years: beyond, there is no deadline
  const auto text = header(r, "X-Request-Timeout");
  if (text.empty()) return clock::time_point::max();
  double seconds = 0;
  const auto [end, e] = std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  const bool number = e == std::errc{} && end == text.data() + text.size() && seconds >= 0 && std::isfinite(seconds);
  if (!number && e != std::errc::result_out_of_range)
    throw http_error{400, "malformed",
                     fmt::format("[http] X-Request-Timeout is {}: it must be a number of seconds, such as 0.5",
                                 json_string(shown(text)))};
  if (!number || seconds >= longest) return clock::time_point::max();
  return begin + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
}

std::shared_ptr<void> until_sent(std::shared_ptr<metrics> to, const request_context& call) {
  struct sending {
    std::shared_ptr<metrics> to;
    series_of call;
    std::shared_ptr<answer_share> memory;
    std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();

    ~sending() {
      try {
        to->sent(call, seconds_of(std::chrono::steady_clock::now() - begin));
      } catch (...) {  // no memory to count it
      }
    }
  };
  return std::shared_ptr<void>(new sending{std::move(to), series_of(call), call.answer},
                               [](void* p) { delete static_cast<sending*>(p); });
}

response text_response(std::string_view type, std::string text, int status) {
  return {.status = status, .headers = {{"Content-Type", std::string(type)}}, .body = {body_piece::of(std::move(text))}};
}

bool read_all(const std::function<bool(const body_receiver&)>& read, const std::function<void(std::string_view)>& take) {
  std::exception_ptr failure;
  const bool whole = read([&](std::string_view bytes) {
    try {
      take(bytes);
    } catch (...) {
      failure = std::current_exception();
    }
    return !failure;
  });
  if (failure) std::rethrow_exception(failure);
  return whole;
}

std::string read_text(const request& r, std::int64_t limit, request_context& record) {
  const auto body = body_buffer::read(r, limit, host_allocator(device::cpu));
  record.body_bytes = static_cast<std::int64_t>(body.size());
  return {body.data(), body.size()};
}

void fail_not_found(const request& r) {
  throw http_error{404, "not_found", fmt::format("[http] nothing is served at {}", shown(r.path, 80))};
}

void check_method(const request& r, std::string_view allowed) {
  for (auto rest = allowed; !rest.empty();) {
    const auto one = rest.substr(0, rest.find(','));
    if (r.method == one) return;
    rest.remove_prefix(std::min(rest.size(), one.size() + 2));
  }
  throw http_error{405,
                   "method_not_allowed",
                   fmt::format("[http] {} takes {}, not {}", shown(r.path), allowed, shown(r.method)),
                   {{"Allow", std::string(allowed)}}};
}

}  // namespace sluice::serving

// What a connection brings next: from bytes to whole requests, without waiting.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "sluice/hardened/connection.hpp"
#include "sluice/hardened/stream.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

class requests {
 public:
  // Has a request answered. `first` is what was received behind its head; what is behind its body is left in
  // connection::received. Whether the connection goes on.
  using answer = std::function<bool(connection&, const head&, std::string_view first, std::span<char> scratch)>;

  requests(const hardened_options& o, answer a) : options_(o), answer_(std::move(a)) {}

  // What to wait for next; 0: the connection is to be closed.
  readiness serve(connection& c, std::span<char> scratch) const {
    if (c.at == phase::lingering) return discard(c, scratch);
    if (c.at == phase::handshake) {
      const auto m = c.wire->handshake();
      if (m.count == 0) return m.wait;
      c.at = phase::fresh;
    }
    for (;;) {
      bool answered = false;
      for (; is_whole(c); answered = true)
        if (!answer_one(c, scratch)) return linger(c);
      // A client has hardly asked again by now; if it has, the poller sees it.
      if (answered && c.received.empty() && !c.wire->holds()) return readable;
      if (c.request && c.request->why) return refuse(c, c.request->why);
      if (const auto why = too_long(c)) return refuse(c, why);
      const auto m = c.wire->receive(scratch.data(), scratch.size());
      if (m.wait != 0) return m.wait;
      if (m.over())  // by the client, or by the timekeeper
        return c.expired && !c.received.empty() ? refuse(c, {408, "the request did not come in time"}) : readiness{0};
      if (c.at == phase::idle) start(c, phase::head);
      if (c.at == phase::fresh) c.at = phase::head;
      c.received.append(scratch.data(), m.count);
    }
  }

 private:
  using phase = connection::phase;

  void start(connection& c, phase at) const {
    c.at = at;
    c.until = clock::now() + seconds(at == phase::idle ? options_.idle_seconds : options_.head_seconds);
  }

  // Whether a request is there as far as it has to be: its head, and a small body, so that who drips it holds no thread.
  bool is_whole(connection& c) const {
    if (!c.request && !read_head(c)) return false;
    return !c.request->why && c.received.size() >= c.wanted;
  }

  bool read_head(connection& c) const {
    while (c.scanned == 0 && c.received.starts_with("\r\n")) c.received.erase(0, 2);  // some clients end a body so
    const auto end = c.received.find("\r\n\r\n", c.scanned);
    if (end == std::string::npos) {
      c.scanned = c.received.size() < 3 ? 0 : c.received.size() - 3;
      return false;
    }
    c.head_size = end + 4;
    if (too_long(c)) return false;
    c.request = std::make_unique<head>(std::string_view(c.received).substr(0, c.head_size), options_);
    c.wanted = c.head_size;
    const auto length = static_cast<std::size_t>(c.request->length);
    if (length > 0 && length <= small_body && !c.request->expects) {
      c.wanted += length;
      if (c.at != phase::body && c.received.size() < c.wanted) {
        c.at = phase::body;
        c.until = clock::now() + seconds(options_.grace_seconds +
                                         static_cast<double>(length) / static_cast<double>(options_.bytes_per_second));
      }
    }
    return true;
  }

  fault too_long(const connection& c) const {
    if (c.request) return {};
    const auto line = std::min(c.received.find("\r\n"), c.received.size());
    if (line > options_.line_bytes) return {414, "the request line is longer than this server takes"};
    if (std::max(c.head_size, c.scanned) > line + options_.head_bytes)
      return {431, "the headers are longer than this server takes"};
    return {};
  }

  bool answer_one(connection& c, std::span<char> scratch) const {
    const auto request = std::exchange(c.request, nullptr);
    const auto received = std::exchange(c.received, {});
    const auto first = std::string_view(received).substr(std::exchange(c.head_size, 0));
    c.scanned = 0;
    c.at = phase::body;  // it is under way: draining waits
    if (!answer_(c, *request, first, scratch)) return false;
    start(c, c.received.empty() ? phase::idle : phase::head);
    return true;
  }

  static readiness refuse(connection& c, const fault& why) {
    const auto text = refusal(why);
    static_cast<void>(c.wire->send(text.data(), text.size()));
    return linger(c);
  }

  // Closing with bytes unread would have the system throw away the answer: they are read, for a while, and thrown away.
  static readiness linger(connection& c) {
    c.wire->finish();
    c.at = phase::lingering;
    c.received = {};
    c.request = nullptr;
    c.until = clock::now() + seconds(2);
    return readable;
  }

  static readiness discard(connection& c, std::span<char> scratch) {
    for (int i = 0; i < 8; ++i) {
      const auto m = c.wire->receive(scratch.data(), scratch.size());
      if (m.count == 0) return m.wait;
    }
    return readable;
  }

  static constexpr std::size_t small_body = 64 << 10;

  const hardened_options& options_;
  const answer answer_;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice

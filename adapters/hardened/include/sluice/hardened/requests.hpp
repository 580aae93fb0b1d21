// Turns received bytes into whole requests, without waiting.
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
  // Answers a request. `first`: bytes received after its head; those after its body are left in connection::received.
  // Returns whether the connection stays open.
  using answer = std::function<bool(connection&, const head&, std::string_view first, std::span<char> scratch)>;

  requests(const hardened_options& o, answer a) : options_(o), answer_(std::move(a)) {}

  // Returns what to wait for next; 0: close the connection.
  readiness serve(connection& c, std::span<char> scratch) const {
    if (c.at == phase::lingering) return discard(c);
    if (c.at == phase::handshake) {
      const auto m = c.wire->handshake();
      if (m.count == 0) return m.wait;
      c.at = phase::fresh;
    }
    for (int answers = 0;;) {
      bool answered = false;
      for (; is_whole(c); answered = true) {
        if (!answer_one(c, scratch)) return linger(c);
        // One that pipelines without end would keep its thread: others come first. (It can nearly always be written to.)
        if (++answers >= most_in_turn) return c.received.empty() && !c.wire->holds() ? readable : writable;
      }
      // The next request is rarely there yet; if it is, the poller reports it.
      if (answered && c.received.empty() && !c.wire->holds()) return readable;
      if (c.request && c.request->why) return refuse(c, c.request->why);
      if (const auto why = too_long(c)) return refuse(c, why);
      const auto m = c.wire->receive(scratch.data(), c.received.empty() ? first_bytes : scratch.size());
      if (m.wait != 0) return m.wait;
      if (m.over() && !c.expired) return 0;  // by the client
      if (m.over()) return c.received.empty() ? linger(c) : refuse(c, {408, "the request did not arrive in time"});
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

  // True if the head, and a small body, are complete: a client that drips them holds no thread.
  bool is_whole(connection& c) const {
    if (!c.request && !read_head(c)) return false;
    return !c.request->why && c.received.size() >= c.wanted;
  }

  bool read_head(connection& c) const {
    if (c.scanned == 0) {  // some clients send an extra CR LF after a body
      std::size_t lines = 0;
      while (lines < empty_lines && std::string_view(c.received).substr(2 * lines).starts_with("\r\n")) ++lines;
      c.received.erase(0, 2 * lines);
      if (c.received.starts_with("\r\n")) return false;  // too many
    }
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

  http_error too_long(const connection& c) const {
    if (c.request) return {};
    if (c.scanned == 0 && c.received.starts_with("\r\n")) return {400, "more than four empty lines precede the request"};
    const auto line = std::min(c.received.find("\r\n"), c.received.size());
    if (line > options_.line_bytes) return {414, "the request line is longer than this server allows"};
    if (std::max(c.head_size, c.scanned) > line + options_.head_bytes)
      return {431, "the headers are longer than this server allows"};
    return {};
  }

  bool answer_one(connection& c, std::span<char> scratch) const {
    const auto request = std::exchange(c.request, nullptr);
    const auto received = std::exchange(c.received, {});
    const auto first = std::string_view(received).substr(std::exchange(c.head_size, 0));
    c.scanned = 0;
    c.at = phase::body;  // under way: draining waits for it
    if (!answer_(c, *request, first, scratch)) return false;
    start(c, c.received.empty() ? phase::idle : phase::head);
    return true;
  }

  static readiness refuse(connection& c, const http_error& why) {
    const auto text = refusal(why, c.request ? c.request->head_only : c.received.starts_with("HEAD "));
    static_cast<void>(c.wire->send(text.data(), text.size()));
    return linger(c);
  }

  // Closing with unread bytes would reset the connection before the client reads the answer: they are read and discarded for
  // 2 s.
  static readiness linger(connection& c) {
    c.wire->finish();
    c.at = phase::lingering;
    c.received = {};
    c.request = nullptr;
    c.until = clock::now() + seconds(2);
    return readable;
  }

  static readiness discard(connection& c) {
    for (int i = 0; i < 8; ++i) {
      const auto m = c.wire->below().discard(256 << 10);  // as it came: of TLS too, where nothing is read any more
      if (m.count == 0) return m.wait;
    }
    return readable;
  }

  static constexpr std::size_t small_body = 64 << 10;
  static constexpr std::size_t empty_lines = 4;
  static constexpr int most_in_turn = 16;  // answers
  // Of a request: most are smaller, and what a large body's first receipt brings is copied.
  static constexpr std::size_t first_bytes = 16 << 10;

  const hardened_options& options_;
  const answer answer_;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice

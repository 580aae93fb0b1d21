// What httplib reads one request from, and writes its answer to.
#pragma once

#include <httplib.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sluice/hardened/body.hpp"
#include "sluice/hardened/exchange.hpp"
#include "sluice/hardened/rate_limit.hpp"
#include "sluice/httplib/server_extensions.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// httplib reads the rewritten head from memory, then the body without its trailers, and not a byte beyond it. An error in
// the body before the answer has begun is answered here, whatever the handler does with it. (Which of these members override
// differs between versions of httplib, so none is marked.)
class stream final : public httplib::Stream, public detail::owned_request {
 public:
  // Bytes are received into `scratch` in large blocks: httplib asks for 4 KiB at a time.
  stream(connection& c, const head& h, std::uint64_t limit, const hardened_options& o, shared_threads& threads,
         std::span<char> scratch)
      : connection_(c),
        asked_(h),
        head_(h.text),
        body_(h, limit),
        continue_(h.expects),
        framing_{h.chunked, h.length},
        plain_(h.length > 0 && h.encoding.empty()),
        long_(limit == body::no_limit),
        threads_(threads),
        in_(o, threads.waiting, c, long_ ? 0 : o.body_seconds),
        out_(o, threads.waiting, c, 0),
        scratch_(scratch),
        why_(body_.why()) {}

  [[nodiscard]] const http_error& why() const noexcept { return why_; }
  [[nodiscard]] bool begun() const noexcept { return begun_; }  // the answer

  ssize_t read(char* to, std::size_t size) {
    for (;;) {
      if (!head_.empty()) return copy(to, head_, std::min(size, head_.size()));
      if (why_ || (long_ && begun_)) return -1;  // the rest of a refused body is not read
      if (body_.done() || size == 0) return 0;
      if (unread_.empty() && (unread_ = {scratch_.data(), receive_more(scratch_)}).empty()) return -1;
      const bool trailers = body_.in_trailers();
      const auto n = body_.take(unread_.substr(0, size));
      if ((why_ = body_.why())) return -1;
      if (!trailers) return copy(to, unread_, n);
      unread_.remove_prefix(n);  // httplib 0.11.4 takes none: it gets the empty line behind them
      if (body_.done()) head_ = "\r\n";
    }
  }

  // Gives `r` what was read of the head, tells its handler the framing, and lets it read a plain body by read_body.
  void opens_for(httplib::Request& r) {
    fill(r, asked_);
    open_for(r, framing_, plain_);
  }
  // Receives in place, and no byte of the next request.
  std::ptrdiff_t read_body(char* to, std::size_t size) {
    take();
    if (!unread_.empty() || why_ || body_.done()) return read(to, size);
    const auto n = receive_more({to, static_cast<std::size_t>(std::min<std::uint64_t>(size, body_.left()))});
    return n == 0 ? -1 : static_cast<std::ptrdiff_t>(body_.take({to, n}));
  }

  std::shared_ptr<void> begin_wait() {
    auto place = std::make_shared<waiting_threads::other_wait>(threads_.waiting, connection_.remote.ip);
    return *place ? place : nullptr;
  }
  bool is_gone() { return connection_.wire->below().is_closed_by_peer(connection_.expired); }

  ssize_t write(const char* from, std::size_t size) {
    if (why_) return -1;
    std::string_view bytes(from, size);
    const auto result = static_cast<ssize_t>(size);
    if (!headed_) {
      begun_ = true;
      held_ += bytes;
      const auto end = held_.find("\r\n\r\n");
      if (end == held_.npos) return result;
      headed_ = true;
      const answer_head own(std::string_view(held_).substr(0, end + 4), asked_);
      closes_ = own.closes;
      bodiless_ = own.bodiless;
      const std::string body = bodiless_ ? std::string() : held_.substr(end + 4);
      held_ = own.text + body;
      // httplib sends the head on its own, which costs a packet with TCP_NODELAY. It is held when a body of known length
      // follows.
      if (body.empty() && own.status < 300 && own.has_length) return result;
      return flush() ? result : -1;
    }
    if (bodiless_) return result;
    if (!held_.empty() && size < 16 << 10) {
      held_ += bytes;
      return flush() ? result : -1;
    }
    return flush(true) && send(bytes) ? result : -1;
  }

  // Sends the held bytes; `ahead`: more follows at once.
  bool flush(bool ahead = false) {
    const std::string held = std::exchange(held_, {});
    return held.empty() || send(held, ahead);
  }

  // Discards the received part of the body. True if the connection stays open: the body is complete, the bytes received
  // after it are the next request, and the answer did not announce the end.
  bool finish() {
    for (int i = 0; i < 2 && !body_.done() && !why_ && !continue_; ++i) {
      while (!unread_.empty() && !body_.done() && !why_) {
        unread_.remove_prefix(body_.take(unread_));
        why_ = body_.why();
      }
      if (unread_.empty() && !body_.done() && i == 0) unread_ = {scratch_.data(), receive(scratch_).count};
    }
    if (!body_.done() || why_ || closes_) return false;
    connection_.received.assign(unread_);
    return true;
  }

  // Bytes received with the head, or before its answer.
  void start_with(std::string_view bytes) noexcept { unread_ = bytes; }

  bool is_readable() const { return !head_.empty() || !unread_.empty(); }
  bool is_writable() const { return !why_; }
  bool wait_readable() const { return !why_; }
  bool wait_writable() const { return !why_; }
  bool is_peer_alive() const { return !why_; }
  time_t duration() const { return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - begin_).count(); }
  socket_t socket() const { return connection_.wire->below().fd(); }
  void get_remote_ip_and_port(std::string& ip, int& port) const {
    ip = connection_.remote.ip;
    port = connection_.remote.port;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const {
    ip = connection_.local.ip;
    port = connection_.local.port;
  }

 private:
  static ssize_t copy(char* to, std::string_view& from, std::size_t n) noexcept {
    std::memcpy(to, from.data(), n);
    from.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }

  moved receive(std::span<char> to) {
    const auto m = threads_.while_receiving([&] { return connection_.wire->receive(to.data(), to.size()); });
    in_.moved(m.count);
    return m;
  }

  // Waits for more of the body. Returns the number of bytes; 0 on an error.
  std::size_t receive_more(std::span<char> to) {
    if (!flush()) return 0;
    if (std::exchange(continue_, false) && !send("HTTP/1.1 100 Continue\r\n\r\n")) return 0;
    for (;;) {
      const auto m = receive(to);
      if (m.count > 0) return m.count;
      why_ = m.over() ? http_error{400, "the connection ended inside the body"} : in_.wait(m.wait);
      if (why_) return 0;
    }
  }

  bool send(std::string_view bytes, bool ahead = false) {
    auto& wire = *connection_.wire;
    while (!bytes.empty()) {
      const auto m = ahead ? wire.send_ahead(bytes.data(), bytes.size()) : wire.send(bytes.data(), bytes.size());
      bytes.remove_prefix(m.count);
      out_.moved(m.count);
      if (m.count > 0) continue;
      why_ = m.over() ? http_error{400, "the client is gone"} : out_.wait(m.wait);
      if (why_) return begun_ = true, false;  // the client cannot be told
    }
    return true;
  }

  connection& connection_;
  const head& asked_;
  std::string_view head_, unread_{};  // for httplib: from memory; received
  body body_;
  bool continue_;  // 100 Continue is still to be sent
  detail::body_framing framing_;
  bool plain_;                              // neither chunked nor compressed
  bool long_;                               // the body may be of any length
  bool begun_ = false;                      // the answer
  bool headed_ = false;                     // its head is complete
  bool closes_ = false, bodiless_ = false;  // as its head says
  std::string held_{};
  shared_threads& threads_;
  rate_limit in_, out_;
  std::span<char> scratch_;
  http_error why_;
  clock::time_point begin_ = clock::now();
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice

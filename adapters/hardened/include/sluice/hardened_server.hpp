/// @file
/// An httplib::Server for public addresses: every route, the application's own too, is read strictly, under deadlines and
/// limits.
///
///     sluice::hardened_server server;          // or hardened_tls_server server({}, "cert.pem", "key.pem")
///     server.Get("/items/1", ...);
///     sluice::mount(server, service);
///     server.listen("0.0.0.0", 8080);
///
/// Heads are read under a deadline and limits, and refused when they could be read in two ways: conflicting or invalid
/// lengths, unknown transfer encodings, blanks and control characters where there are to be none. A body ends where its head
/// said, whatever the handler reads of it. Bodies have a limit (set_payload_max_length, in chunks and decoded as well), a
/// minimum rate and a deadline. Idle connections and those that drip hold no thread. What a handler throws ends in 500
/// without its words.
///
/// A client that closes its side of the connection while its call waits or is computed counts as gone, and the call is given
/// up, also where it would still read the answer: TCP does not tell the two apart.
///
/// Linux only: connections wait in an epoll. Server::stop() cuts off answers that take longer than grace_seconds: drain()
/// first.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "sluice/hardened/requests.hpp"
#include "sluice/hardened/workers.hpp"
#include "sluice/httplib/server_extensions.hpp"
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
#include "sluice/hardened/tls.hpp"
#endif

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// httplib hands each connection to a queue of tasks: this one runs them at once, because all they do is to give it to us.
class direct_queue final : public httplib::TaskQueue {
 public:
  explicit direct_queue(std::function<void()> on_shutdown) : on_shutdown_(std::move(on_shutdown)) {}
  using enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));  // void, or bool from 0.16 on
  enqueued enqueue(std::function<void()> task) override {
    task();
    return static_cast<enqueued>(true);
  }
  void shutdown() override { on_shutdown_(); }

 private:
  std::function<void()> on_shutdown_;
};

}  // namespace hardened

/// An httplib server, over TLS or not, within hardened_options. Every member of httplib's is available except
/// new_task_queue: connections are served by threads of its own.
template <class Base>
class basic_hardened_server : public Base, public detail::long_bodies {
 public:
  /// `more` is for the base: a TLS server's certificate and key. Throws std::invalid_argument unless threads, connections
  /// and bytes_per_second are at least 1.
  template <class... More>
  explicit basic_hardened_server(const hardened_options& options, More&&... more)
      : Base(std::forward<More>(more)...), options_(checked(options)) {
    this->set_tcp_nodelay(true);  // without it a keep-alive request takes 43 ms
    this->set_keep_alive_max_count(1'000'000'000);
    this->set_keep_alive_timeout(static_cast<time_t>(options_.idle_seconds));  // told to clients
    Base::set_payload_max_length(std::numeric_limits<std::size_t>::max());     // bodies are limited here
    this->set_socket_options([](auto socket) { hardened::reuse_address(socket); });
    this->set_exception_handler([](const httplib::Request&, httplib::Response& res, std::exception_ptr) {
      res.status = 500;
      res.set_content(hardened::problem_json({500, "the request failed"}), std::string(hardened::problem_type));
    });
    this->Options(R"(\*)", [](const httplib::Request&, httplib::Response& res) {  // asked of no path
      res.status = 204;
      res.set_header("Allow", std::string(hardened::methods));
    });
    Base::new_task_queue = [this] { return start(); };
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    if constexpr (is_tls) detail::use_forward_secrecy(*this);
#endif
  }
  /// With hardened_options as they are.
  basic_hardened_server() : basic_hardened_server(hardened_options{}) {}

  /// Bytes of a body, in chunks and decoded as well; 413 beyond. In place of httplib's, whose limit holds for every path.
  basic_hardened_server& set_payload_max_length(std::size_t bytes) {
    body_bytes_ = bytes;
    return *this;
  }

  /// Ends the server without cutting anything off, from another thread: connections that the system has accepted are taken,
  /// and no more; each answer closes its connection from now on, and idle connections are closed. Returns when no request is
  /// under way, or after `seconds`, and whether none is. Then listen() cuts off what is left, and returns.
  bool drain(double seconds) {
    if (!this->is_running()) return true;
    const bool first = !stopped_;
    const auto end = hardened::clock::now() + hardened::seconds(seconds);
    if (first) hardened::refuse_new_connections(this->svr_sock_, std::chrono::milliseconds(seconds < 1 ? 100 : 1000));
    const auto w = current();
    if (w) w->promise_time(end);
    stop();
    return !w || w->drain(std::chrono::duration<double>(end - hardened::clock::now()).count());
  }
  /// As httplib's: listen() returns once what is under way is answered, and cuts it off after grace_seconds. May be called
  /// again.
  void stop() {
    if (!this->is_running() || stopped_.exchange(true)) return;
    // httplib's own would also end the answers that are being sent: it looks for INVALID_SOCKET before each of their pieces.
    // Here accept() fails, and httplib closes the socket.
    ::shutdown(this->svr_sock_, SHUT_RDWR);
  }

  /// As httplib's; true once it was stopped.
  bool listen_after_bind() {
    stopped_ = false;
    const bool ended = Base::listen_after_bind();
    this->svr_sock_ = INVALID_SOCKET;
    if (stopped_) Base::stop();  // newer httplibs take the end for a failure, and would not listen again
    return ended || stopped_;
  }
  /// As httplib's; true once it was stopped.
  bool listen(const std::string& host, int port, int socket_flags = 0) {
    return Base::bind_to_port(host, port, socket_flags) && listen_after_bind();
  }

 private:
  using Base::new_task_queue;  // connections have threads of our own

  static hardened_options checked(hardened_options o) {
    if (o.threads < 1 || o.connections < 1 || o.bytes_per_second < 1)
      throw std::invalid_argument("[hardened_server] threads, connections and bytes_per_second must be at least 1");
    return o;
  }

  httplib::TaskQueue* start() {
    auto queue = std::make_unique<hardened::direct_queue>(
        [this] { current()->stop(options_.grace_seconds, [this] { this->svr_sock_ = INVALID_SOCKET; }); });
    hardened::set_backlog(this->svr_sock_, options_.backlog);  // httplib's own backlog may be 5
    auto w = std::make_shared<hardened::workers>(
        options_, [this](hardened::connection& c, std::span<char> scratch) { return requests_.serve(c, scratch); });
    const std::lock_guard lock(mutex_);
    workers_ = std::move(w);
    return queue.release();
  }

  std::shared_ptr<hardened::workers> current() {
    const std::lock_guard lock(mutex_);
    return workers_;
  }

  // Called by httplib for what it has accepted.
  bool process_and_close_socket(socket_t socket) override {
    try {
      auto c = std::make_unique<hardened::connection>(channel_of(hardened::descriptor(socket)));
      if (current()->add(c)) return true;
      if constexpr (!is_tls) {
        const auto text = hardened::refusal({503, "this server has reached its limit of connections"});
        static_cast<void>(c->wire->send(text.data(), text.size()));
      }
    } catch (...) {  // no memory
    }
    return false;
  }

  std::unique_ptr<hardened::channel> channel_of(hardened::descriptor d) {
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    if constexpr (is_tls) return std::make_unique<hardened::tls_channel>(std::move(d), detail::tls_context_of(*this));
#endif
    return std::make_unique<hardened::channel>(std::move(d));
  }

  // One request, by httplib. Returns whether the connection stays open.
  bool answer(hardened::connection& c, const hardened::head& h, std::string_view first, std::span<char> scratch) {
    const auto draining = [this] { return current()->draining(); };
    const bool last = h.close || ++c.answered >= this->keep_alive_max_count_ || draining();
    const auto limit = std::min({body_bytes_, this->payload_max_length_, std::size_t{hardened::body::no_limit - 1}});
    hardened::stream s(c, h, takes_long_body(h.asked.text) ? hardened::body::no_limit : limit, options_, threads_, scratch);
    s.start_with(first);
    hardened::http_error thrown;
    bool going = false, closed = false;
    if (!s.why()) try {
        going = process(*this, s, c, last, closed);
      } catch (...) {  // by a content provider, or for want of memory
        thrown = {500, "the request failed"};
      }
    if (const auto& why = s.why() ? s.why() : thrown; why && !s.begun()) {
      const auto text = hardened::refusal(why, h.head_only);
      static_cast<void>(c.wire->send(text.data(), text.size()));
      return false;
    }
    return !thrown && s.flush() && s.finish() && going && !closed && !last;
  }

  // process_request takes the addresses from 0.16 on.
  template <class Server>
  static bool process(Server& self, hardened::stream& s, hardened::connection& c, bool last, bool& closed) {
    const auto set_up = [&](auto& request) {
      s.opens_for(request);
      if constexpr (requires { request.ssl; }) request.ssl = static_cast<decltype(request.ssl)>(c.wire->session());
    };
    const std::function<void(httplib::Request&)> setup(set_up);
    if constexpr (requires { self.process_request(s, c.remote.ip, 0, c.local.ip, 0, last, closed, setup); })
      return self.process_request(s, c.remote.ip, c.remote.port, c.local.ip, c.local.port, last, closed, setup);
    else
      return self.process_request(s, last, closed, setup);
  }

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
  static constexpr bool is_tls = std::is_base_of_v<httplib::SSLServer, Base>;
#else
  static constexpr bool is_tls = false;
#endif

  const hardened_options options_;
  std::size_t body_bytes_ = 64 << 20;
  hardened::shared_threads threads_{options_.waiting_threads, [this] { current()->replace_waiting(); }};
  const hardened::requests requests_{
      options_, [this](auto& c, const auto& h, auto first, auto scratch) { return answer(c, h, first, scratch); }};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::shared_ptr<hardened::workers> workers_;
};

/// Over TCP.
using hardened_server = basic_hardened_server<httplib::Server>;
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
/// Over TLS 1.2 or newer with forward secrecy, where httplib has OpenSSL: hardened_tls_server server({}, "cert.pem",
/// "key.pem").
using hardened_tls_server = basic_hardened_server<httplib::SSLServer>;
#endif

}  // namespace SLUICE_ABI
}  // namespace sluice

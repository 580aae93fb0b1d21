/// @file
/// A service on the application's own httplib::Server, beside its own routes.
///
///     httplib::Server server;
///     sluice::service service;                 // outlives the server
///     sluice::tune(server);                    // optional: settings that cpp-httplib has slow by default
///     sluice::mount(server, service, "/api");  // /api/v1/matmul, /api/v2/models/matmul/infer, /api/health/live, ...
///     server.listen("127.0.0.1", 8080);
///
/// Server::stop() cuts off answers that are being sent: shut_down(server, service, 10) waits for them.
///
/// Compiled in the application's translation unit, against the application's httplib, 0.11.4 or newer.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "sluice/httplib/exchange.hpp"
#include "sluice/httplib/thread_pool.hpp"
#include "sluice/service.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

namespace detail {

// A pattern that matches `text` alone.
inline std::string escaped(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view(R"(\^$.|?*+()[]{})").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// Registers `pattern` for every method; path_of turns a request's path into the service's.
template <class F>
void serve(httplib::Server& server, const std::string& pattern, std::shared_ptr<service> s, F path_of) {
  const auto answer = [s = std::move(s), path_of](const httplib::Request& req, httplib::Response& res,
                                                  const httplib::ContentReader* reader) noexcept {
    try {
      exchange(*s, path_of(req.path), req, res, reader).run();
    } catch (...) {  // no memory for the answer
      res.status = 500;
    }
  };
  const auto plain = [answer](const httplib::Request& req, httplib::Response& res) { answer(req, res, nullptr); };
  const auto reading = [answer](const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader) {
    answer(req, res, &reader);
  };
  server.Get(pattern, plain).Options(pattern, plain);
  server.Post(pattern, reading).Put(pattern, reading).Patch(pattern, reading).Delete(pattern, reading);
}

inline std::shared_ptr<service> unowned(service& s) { return {std::shared_ptr<void>(), &s}; }

}  // namespace detail

/// Makes `server` answer for `s`, below `prefix` ("" or "/api"). Routes that were registered before win; so an application
/// that has routes at /v1/NAME itself registers them first, or chooses a prefix. Endpoints added to the service later are
/// served too. Throws invalid_argument when `prefix` is not empty and does not begin with '/', or ends with one.
inline void mount(httplib::Server& server, std::shared_ptr<service> s, const std::string& prefix = "") {
  if (!prefix.empty() && (prefix.front() != '/' || prefix.back() == '/'))
    throw error(error_code::invalid_argument,
                "[mount] the prefix is \"" + prefix + "\": it must be empty, or begin with '/' and not end with it");
  const auto below = [size = prefix.size()](const std::string& path) { return path.substr(std::min(size, path.size())); };
  if (auto* const own = dynamic_cast<detail::long_bodies*>(&server))
    for (const auto path : service::long_bodies()) own->take_long_bodies(prefix + std::string(path));
  for (const std::string& pattern : s->patterns()) detail::serve(server, detail::escaped(prefix) + pattern, s, below);
}

/// The same for a service that outlives the server. Throws the same.
inline void mount(httplib::Server& server, service& s, const std::string& prefix = "") {
  mount(server, detail::unowned(s), prefix);
}

/// Serves the endpoint called `name` at `path` as well, with the same decoding, compute queue and limits. While there is no
/// endpoint of that name the answer is 404. The service outlives the server.
inline void mount_endpoint(httplib::Server& server, service& s, const std::string& name, const std::string& path) {
  detail::serve(server, detail::escaped(path), detail::unowned(s), [name](const std::string&) { return "/v1/" + name; });
}

/// Ends a server that `s` is mounted on, from another thread: readiness fails, jobs stop and streams of events end; what has
/// come is answered, for `seconds` at most; then listen() returns. A hardened server takes no new connection from the
/// beginning. On another one, calls that still come get 503, and stop() cuts off answers that take longer. Returns whether
/// all were answered.
template <class Server>
bool shut_down(Server& server, service& s, double seconds) {
  s.begin_drain();
  bool answered = false;
  if constexpr (requires { server.drain(seconds); })
    answered = server.drain(seconds);
  else
    answered = s.drain(seconds);
  server.stop();
  return answered;
}

/// Settings that cpp-httplib leaves slow or loose: TCP_NODELAY (without it a keep-alive request takes 43 ms, the time that
/// Linux delays an acknowledgement), as many requests a connection as the client likes, `connections` threads (each
/// connection holds one, idle ones too; computing happens in the service's workers, and a quarter of the threads never waits
/// for it), and only SO_REUSEADDR, so that a second server on the port fails instead of taking half of the requests.
inline void tune(httplib::Server& server, std::size_t connections = 256) {
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1'000'000'000);
  server.new_task_queue = [connections] { return new detail::thread_pool(connections); };
  server.set_socket_options([](auto socket) {
    const int on = 1;
#if defined(_WIN32)
    constexpr int alone = SO_EXCLUSIVEADDRUSE;  // there SO_REUSEADDR lets others in
#else
    constexpr int alone = SO_REUSEADDR;
#endif
    ::setsockopt(socket, SOL_SOCKET, alone, reinterpret_cast<const char*>(&on), sizeof on);
  });
}

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
/// The same for a server over TLS, which takes TLS 1.2 or newer from then on, with forward secrecy.
inline void tune(httplib::SSLServer& server, std::size_t connections = 256) {
  detail::use_forward_secrecy(server);
  tune(static_cast<httplib::Server&>(server), connections);
}
#endif

}  // namespace SLUICE_ABI
}  // namespace sluice

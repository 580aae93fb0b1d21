// A hardened server with routes of an application's own, on a free port.
#pragma once

#include "sluice/hardened_server.hpp"
#include "wire.hpp"

#include <atomic>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace testing {

template <class Server>
class hardened_app {
 public:
  template <class... More>
  explicit hardened_app(const sluice::hardened_options& o = {}, More&&... more) : server(o, std::forward<More>(more)...) {
    server.Get("/hello", [](const httplib::Request&, httplib::Response& res) { res.set_content("hello", "text/plain"); });
    server.Post("/size", [this](const httplib::Request& req, httplib::Response& res) {
      ++posts;
      res.set_content(std::to_string(req.body.size()), "text/plain");
    });
    server.Delete("/hello", [this](const httplib::Request&, httplib::Response& res) {
      ++deletes;
      res.set_content("gone", "text/plain");
    });
  }
  ~hardened_app() { stop(); }

  void start() {
    port = server.bind_to_any_port("127.0.0.1");
    REQUIRE(port > 0);
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::yield();
  }
  void stop() {
    if (!thread.joinable()) return;
    server.stop();
    thread.join();
  }
  // All that the server says to these bytes, until it closes or nothing comes for a second.
  std::string tell(std::string_view bytes) const { return wire(port).send(bytes).read(); }

  Server server;
  int port = 0;
  std::thread thread;
  std::atomic<int> posts{0}, deletes{0};
};

using app = hardened_app<sluice::hardened_server>;

inline const std::string get = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
inline const std::string last_get = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

inline std::string post(std::string_view extra, std::string_view path = "/size") {
  return cat("POST ", path, " HTTP/1.1\r\nHost: x\r\n", extra, "\r\n");
}

inline bool says(std::string_view answer, std::string_view status) {
  return answer.starts_with(cat("HTTP/1.1 ", status, " "));
}

}  // namespace testing

// A service on a real socket, beside an application's own routes.
#pragma once

#include "sluice/httplib.hpp"

// An application's translation unit gets none of what the service is built with.
#if defined(SIMDJSON_VERSION) || defined(FMT_VERSION) || defined(SLUICE_BACKEND_API_H)
#error "a public header of the service includes more than the public API and the standard library"
#endif

#include "service_testing.hpp"

#include <functional>
#include <thread>

namespace testing {

class running {
 public:
  explicit running(const std::string& prefix = "", sluice::service_options o = {},
                   const std::function<void(sluice::service&)>& extend = {})
      : service(o) {
    if (extend) extend(service);
    sluice::tune(server, 16);
    server.Get("/hello", [](const httplib::Request&, httplib::Response& res) { res.set_content("hello", "text/plain"); });
    sluice::mount(server, service, prefix);
    server.Post("/v1/deep/own",
                [](const httplib::Request& req, httplib::Response& res) { res.set_content(req.body, "text/plain"); });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::yield();
  }
  ~running() {
    server.stop();
    thread.join();
  }
  [[nodiscard]] httplib::Client client() const {
    httplib::Client c("127.0.0.1", port);
    c.set_tcp_nodelay(true);
    c.set_keep_alive(true);
    c.set_read_timeout(30);
    return c;
  }

  sluice::service service;
  httplib::Server server;
  int port = 0;
  std::thread thread;
};

}  // namespace testing

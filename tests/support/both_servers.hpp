// A service on a hardened server, and on a tuned one of httplib's, for tests that hold for both: TEST_CASE_TEMPLATE("...",
// Server, plain, owned).
#pragma once

#include "hardened_testing.hpp"
#include "httplib_testing.hpp"

#include <limits>

namespace testing {

struct owned {
  explicit owned(sluice::service_options o = {}, const sluice::hardened_options& h = {}, const std::string& prefix = "",
                 std::size_t longest_body = 64 << 20)
      : service(std::move(o)), app(h) {
    app.server.set_payload_max_length(longest_body);
    sluice::mount(app.server, service, prefix);
    app.start();
  }
  [[nodiscard]] int port() const { return app.port; }
  [[nodiscard]] httplib::Client client() const {
    httplib::Client c("127.0.0.1", app.port);
    c.set_keep_alive(true);
    c.set_read_timeout(30);
    return c;
  }

  sluice::service service;
  testing::app app;
};

struct plain : running {
  explicit plain(sluice::service_options o = {}) : running("", std::move(o)) {
    server.set_payload_max_length(std::numeric_limits<std::size_t>::max());  // newer httplibs' is 100 MB
  }
  [[nodiscard]] int port() const { return running::port; }
};

}  // namespace testing

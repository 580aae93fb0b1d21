// Answers that clients read slowly, over sockets: what they hold, and when it is given back.
#include "both_servers.hpp"
#include "sluice/npy.hpp"

#include <chrono>

using namespace testing;

namespace {

constexpr std::int64_t n = 2800;  // a result of 31 MB: more than sockets hold
constexpr std::int64_t large = n * n * 4;

std::string product(std::int64_t size) {
  const auto body = cat(part("a", sluice::npy_header_bytes(sluice::dtype::f32, {size, 0})),
                        part("b", sluice::npy_header_bytes(sluice::dtype::f32, {0, size})), "--cut--\r\n");
  return cat("POST /v1/matmul HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=cut\r\n",
             "Connection: close\r\nContent-Length: ", std::to_string(body.size()), "\r\n\r\n", body);
}

}  // namespace

TEST_CASE_TEMPLATE("answers that nobody reads hold the budget until they are read, or their client goes", Server, plain,
                   owned) {
  Server running({.limits = {.result_bytes = large, .all_answers_bytes = 3 * large}});
  const auto status = [&] { return wire(running.port()).send(product(n)).read_until("\r\n\r\n").substr(9, 3); };
  wire first(running.port()), second(running.port());
  CHECK(first.send(product(n)).read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  CHECK(second.send(product(n)).read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  const auto refused = wire(running.port()).send(product(n)).read();
  CHECK(refused.starts_with("HTTP/1.1 503"));
  CHECK(refused.find("Retry-After: 1\r\n") != refused.npos);
  CHECK(refused.find("answers under way hold 62720000 of 94080000") != refused.npos);
  CHECK(wire(running.port()).send(product(2)).read().starts_with("HTTP/1.1 200"));
  const auto eventually_taken = [&] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (status() != "200")
      if (std::chrono::steady_clock::now() > end) return false;
    return true;
  };
  const auto memory = [&] {
    const auto text = send(running.service, "GET", "/metrics").text();
    const auto at = text.find("\nsluice_answer_memory_bytes ");
    REQUIRE(at != text.npos);
    return std::stol(text.substr(at + 28));
  };
  CHECK(memory() >= 2 * large);
  CHECK(memory() < 2 * large + 10'000);  // the small one may be on its way still
  SUBCASE("read") { CHECK(first.read().size() > static_cast<std::size_t>(large) / 2); }
  SUBCASE("given up") { first.reset(); }
  CHECK(eventually_taken());
}

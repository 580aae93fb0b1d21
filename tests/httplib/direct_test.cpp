// A body that the service reads past httplib, from a server that owns its connections: whole, in its place, and not a byte
// of the next request.
#include "hardened_testing.hpp"
#include "sluice/httplib.hpp"

#include "sluice/npy.hpp"

using namespace testing;
using sluice::detail::owned_request;

namespace {

// Rows of one number each, from 0 on, so that a byte out of its place shows in the sums.
std::string counted(std::int64_t rows) {
  sluice::tensor t({rows, 1}, sluice::dtype::i32);
  for (std::int64_t i = 0; i < rows; ++i) static_cast<std::int32_t*>(t.data())[i] = static_cast<std::int32_t>(i);
  return sluice::npy_header_bytes(t.dtype(), t.shape()) + std::string(static_cast<const char*>(t.data()), t.bytes());
}

// The answer's body: the sums, as rowsum gives them.
std::string sums(std::int64_t rows) {
  sluice::tensor t({rows}, sluice::dtype::i64);
  for (std::int64_t i = 0; i < rows; ++i) static_cast<std::int64_t*>(t.data())[i] = i;
  return sluice::npy_header_bytes(t.dtype(), t.shape()) + std::string(static_cast<const char*>(t.data()), t.bytes());
}

std::string summing(std::string_view body, std::string_view more = "") {
  return cat(post(cat("Content-Type: application/x-npy\r\nContent-Length: ", std::to_string(body.size()), "\r\n", more),
                  "/v1/rowsum"),
             body);
}

struct serving : app {
  explicit serving(const sluice::hardened_options& o = {}, const sluice::service_options& s = {}) : app(o), service(s) {
    server.Post("/door", [](const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& read) {
      const httplib::Request copy = req;
      auto* const door = owned_request::with_body(req);
      std::string said = owned_request::with_body(copy) != nullptr ? "another's" : door != nullptr ? "open" : "shut";
      if (door != nullptr) {  // more is asked for than there is
        std::vector<char> room(1 << 20);
        std::ptrdiff_t all = 0, n = 0;
        while ((n = door->read_body(room.data(), room.size())) > 0) all += n;
        said += cat(" ", std::to_string(all), " ", std::to_string(n));
      } else {
        read([](const char*, std::size_t) { return true; });
      }
      res.set_content(said, "text/plain");
    });
    sluice::mount(server, service);
    start();
  }
  ~serving() { stop(); }

  sluice::service service;
};

}  // namespace

TEST_CASE("the way past httplib is open for a body that comes as it is, and for its own request") {
  serving a;
  const std::string last = "Connection: close\r\n";
  CHECK(a.tell(post(cat(last, "Content-Length: 5\r\n"), "/door") + "12345").ends_with("\r\n\r\nopen 5 0"));
  const std::string all = a.tell(cat(post("Content-Length: 900000\r\n", "/door"), std::string(900'000, 'x'), last_get));
  CHECK(all.find("open 900000 0") != all.npos);
  CHECK(all.ends_with("hello"));
  CHECK(a.tell(post(cat(last, "Transfer-Encoding: chunked\r\n"), "/door") + chunk("12345") + "0\r\n\r\n")
            .ends_with("\r\n\r\nshut"));
  CHECK(a.tell(post(cat(last, "Content-Length: 5\r\nContent-Encoding: identity\r\n"), "/door") + "12345")
            .ends_with("\r\n\r\nopen 5 0"));
}

TEST_CASE("bodies of every size between the pieces, and the requests behind them") {
  serving a;
  for (const std::int64_t rows : {1, 1000, 16'000, 70'000, 262'000, 263'000, 1'000'003}) {
    CAPTURE(rows);
    // In one piece with a request before and two behind.
    const std::string all = a.tell(cat(get, summing(counted(rows)), summing(counted(3)), last_get));
    CHECK(answers_in(all) == 4);
    CHECK(all.find(sums(rows)) != all.npos);
    CHECK(all.find(sums(3)) != all.npos);
    CHECK(all.ends_with("hello"));
  }
}

TEST_CASE("a body that comes in pieces, and one that waits to be asked for") {
  serving a;
  const std::string body = counted(300'000);
  const std::string bytes = summing(body, "Expect: 100-continue\r\n");
  wire w(a.port);
  const std::size_t head = bytes.size() - body.size();
  w.send(std::string_view(bytes).substr(0, head));
  CHECK(w.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  for (std::size_t at = head; at < bytes.size(); at += 99'991) {
    w.send(std::string_view(bytes).substr(at, 99'991));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  w.send(last_get);
  const auto all = w.read();
  CHECK(all.find(sums(300'000)) != all.npos);
  CHECK(all.ends_with("hello"));
}

TEST_CASE("a body that breaks off, drips, or is too large") {
  sluice::service_options s;
  s.limits.body_bytes = 1 << 20;
  serving a({.grace_seconds = 0.2, .bytes_per_second = 1 << 20}, s);
  const std::string whole = summing(counted(200'000));
  const auto half = std::string_view(whole).substr(0, whole.size() / 2);
  {
    wire w(a.port);
    w.send(half);
    CHECK(says(w.read(), "408"));
    CHECK(w.closed);
  }
  { wire(a.port).send(half); }  // gone
  const std::string large = a.tell(cat(summing(counted(300'000)), last_get));
  CHECK(says(large, "413"));
  CHECK(answers_in(large) == 1);  // what follows an unread body is no request
  CHECK(says(a.tell(last_get), "200"));
}

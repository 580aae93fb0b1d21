// What a hardened server refuses, on an application's own routes.
#include "gzip.hpp"
#include "hardened_testing.hpp"

using namespace testing;

namespace {

std::string with(std::string_view header) { return cat("GET /hello HTTP/1.1\r\nHost: x\r\n", header, "\r\n\r\n"); }

}  // namespace

TEST_CASE("requests that come well") {
  app a;
  a.start();
  CHECK(says(a.tell(last_get), "200"));
  CHECK(says(a.tell("GET /hello HTTP/1.0\r\n\r\n"), "200"));
  CHECK(answers_in(a.tell(get + get + "\r\n" + last_get)) == 3);  // in one piece; some clients end a body with an empty line
  CHECK(a.tell(post("Content-Length: 5\r\nConnection: Close\r\n") + "12345").ends_with("\r\n\r\n5"));
  CHECK(a.tell(post("Content-Length: 5\r\nContent-Length: 5\r\nConnection: x, close\r\n") + "12345").ends_with("\r\n\r\n5"));
  CHECK(a.tell(post("Transfer-Encoding: Chunked\r\nConnection: close\r\n") + chunk("123") + "2;a=b\r\n45\r\n0\r\n\r\n")
            .ends_with("\r\n\r\n5"));
  const std::string large(3'000'000, 'x');
  CHECK(a.tell(post("Content-Length: 3000000\r\nConnection: close\r\n") + large).ends_with("\r\n\r\n3000000"));
  // Byte by byte, two requests.
  wire w(a.port);
  for (const char c : cat(post("Content-Length: 5\r\n"), "12345", last_get)) w.send({&c, 1});
  CHECK(answers_in(w.read()) == 2);
}

TEST_CASE("a body that waits to be asked for") {
  app a;
  a.start();
  wire w(a.port);
  w.send(post("Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n"));
  CHECK(w.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(w.send("12345").read().ends_with("\r\n\r\n5"));
  CHECK(says(a.tell(post("Content-Length: 5\r\nExpect: 200-ok\r\n")), "417"));
}

TEST_CASE("heads that can be read in two ways, or not at all") {
  app a;
  a.start();
  const std::string hidden = "DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n";
  struct refused {
    std::string bytes, status;
  };
  for (const auto& r : {
           refused{post("Content-Length: abc\r\n"), "400"},
           {post("Content-Length: -1\r\n"), "400"},
           {post("Content-Length: +5\r\n"), "400"},
           {post("Content-Length: \r\n"), "400"},
           {post("Content-Length: 5, 5\r\n"), "400"},
           {post("Content-Length: 99999999999999999999\r\n"), "400"},
           {post("Content-Length: 5\r\nContent-Length: 6\r\n"), "400"},
           {post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "400"},
           {post("Transfer-Encoding: gzip, chunked\r\n"), "501"},
           {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "501"},
           {post("Transfer-Encoding: chunked\r\n") + "0x5\r\n12345\r\n0\r\n\r\n", "400"},
           {post("Transfer-Encoding: chunked\r\n") + "5\n12345\r\n0\r\n\r\n", "400"},
           {post("Transfer-Encoding: chunked\r\n") + "5\r\n1234567\r\n0\r\n\r\n", "400"},
           {post("Transfer-Encoding: chunked\r\n") + "-1\r\n\r\n", "400"},
           {"POST /size HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
           {post("Content-Length : 5\r\n"), "400"},
           {post("X: a\r\n b\r\n"), "400"},  // folded
           {post("no colon\r\n"), "400"},
           {post(": no name\r\n"), "400"},
           {post("X: a\nContent-Length: 5\r\n"), "400"},
           {post(std::string("X: a\0b\r\n", 8)), "400"},
           {post("Host: y\r\n"), "400"},
           {"GET /hello HTTP/1.1\r\n\r\n", "400"},
           {"GET /hello\r\n\r\n", "400"},
           {"GET /hello /x HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
           {"G(T /hello HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
           {"GET /hello HTTP/2.0\r\nHost: x\r\n\r\n", "505"},
           {"GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n", "414"},
           {"GET /" + std::string(90'000, 'x'), "414"},
           {with("X: " + std::string(40'000, 'x')), "431"},
           {"GET /hello HTTP/1.1\r\nX: " + std::string(90'000, 'x'), "431"},
       }) {
    CAPTURE(r.bytes.substr(0, 200));
    wire w(a.port);
    const auto answer = w.send(r.bytes + hidden).read();
    CAPTURE(answer);
    CHECK(says(answer, r.status));
    CHECK(answers_in(answer) == 1);
    CHECK(answer.find("application/problem+json") != answer.npos);
    CHECK(w.closed);
  }
  std::string many;
  for (int i = 0; i < 300'000; ++i) many += "a: b\r\n";
  CHECK(says(a.tell(with(many)), "431"));
  many.resize(6 * 101);
  CHECK(says(a.tell(with(many)), "431"));
  CHECK(a.deletes == 0);
  CHECK(a.posts == 0);
  CHECK(says(a.tell(last_get), "200"));
}

TEST_CASE("methods that httplib cannot route are refused by name") {
  app a;
  a.start();
  for (const std::string method : {"TRACE", "CONNECT", "QUERY", "BREW"}) {
    const auto answer = a.tell(cat(method, " /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    CAPTURE(answer);
    CHECK(says(answer, "405"));
    CHECK(answer.find("\r\nAllow: GET, ") != answer.npos);
    CHECK(answer.find("application/problem+json") != answer.npos);
  }
}

TEST_CASE("bodies that nobody reads are no requests") {
  app a;
  a.server.Options("/hello", [](const httplib::Request&, httplib::Response& res) { res.set_content("any", "text/plain"); });
  a.start();
  const std::string hidden = "DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string length = cat("Content-Length: ", std::to_string(hidden.size()), "\r\n\r\n");
  for (const std::string method : {"GET", "HEAD", "OPTIONS", "DELETE"}) {
    CAPTURE(method);
    const std::string head = cat(method, " /hello HTTP/1.1\r\nHost: x\r\n");
    const int before = a.deletes, own = method == "DELETE";
    CHECK(answers_in(a.tell(head + length + hidden + last_get)) == 2);
    CHECK(a.deletes == before + own);
    CHECK(answers_in(a.tell(cat(head, "Transfer-Encoding: chunked\r\n\r\n", chunk(hidden), "0\r\n\r\n", last_get))) == 2);
    CHECK(a.deletes == before + 2 * own);
    if (own) continue;  // its handler is asked after the body
    wire late(a.port);  // httplib may answer before the body is there, or wait for it
    late.send(head + "Content-Length: 100000\r\n\r\n");
    const auto first = late.read_until("\r\n\r\n");
    CHECK(answers_in(first + late.send(hidden + std::string(99'000, 'x')).send(hidden).read()) <= 1);
    CHECK(a.deletes == before);
  }
}

TEST_CASE("a client's headers are not the connection's") {
  app a;
  a.server.Get("/who", [](const httplib::Request& req, httplib::Response& res) {
    std::string all = req.remote_addr + " ";
    for (const auto& header : req.headers) all += header.second + " ";
    res.set_content(all + req.get_header_value("X-Mine"), "text/plain");
  });
  a.start();
  const auto answer = a.tell(
      "GET /who HTTP/1.1\r\nREMOTE_ADDR: 6.6.6.6\r\nRemote_Port: 6666\r\nLOCAL_ADDR: 6.6.6.6\r\nX-Mine: m\r\nHost: x\r\n"
      "Connection: close\r\n\r\n");
  CAPTURE(answer);
  CHECK(answer.find("\r\n\r\n127.0.0.1 ") != answer.npos);
  CHECK(answer.find("6.6.6.6") == answer.npos);
  CHECK(answer.find("6666") == answer.npos);
  CHECK(answer.ends_with("m"));
}

TEST_CASE("bodies that are too large") {
  app a;
  a.server.set_payload_max_length(100'000);
  a.start();
  CHECK(says(a.tell(post("Content-Length: 100001\r\n")), "413"));
  CHECK(a.tell(post("Content-Length: 100000\r\nConnection: close\r\n") + std::string(100'000, 'x'))
            .ends_with("\r\n\r\n100000"));
  std::string chunks;
  for (int i = 0; i < 400; ++i) chunks += chunk(std::string(1000, 'x'));
  CHECK(says(a.tell(cat(post("Transfer-Encoding: chunked\r\n"), chunks, "0\r\n\r\n")), "413"));
  CHECK(says(a.tell(post("Transfer-Encoding: chunked\r\n") + "10000000000\r\n"), "413"));
  CHECK(says(a.tell(post("Transfer-Encoding: chunked\r\n") + "fffffffffffffff\r\n"), "413"));
  CHECK(a.tell(cat(post("Transfer-Encoding: chunked\r\n"), "1", std::string(5000, ' '))).find(" 400 ") != std::string::npos);
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  const auto compressed = [&](const std::string& text) {
    const auto bytes = gzip(text);
    return a.tell(cat(
        post(cat("Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: ", std::to_string(bytes.size()), "\r\n")),
        bytes));
  };
  CHECK(compressed(std::string(100'000, ' ')).ends_with("\r\n\r\n100000"));
  CHECK(says(compressed(std::string(50'000'000, ' ')), "413"));
#endif
  CHECK(says(a.tell(last_get), "200"));
}

TEST_CASE("what throws does not tell") {
  app a;
  a.server.Get("/throw", [](const httplib::Request&, httplib::Response&) { throw std::runtime_error("secret"); });
  a.server.Get("/throw-int", [](const httplib::Request&, httplib::Response&) { throw 7; });
  a.server.Get("/provide", [](const httplib::Request&, httplib::Response& res) {
    res.set_content_provider(
        10, "text/plain", [](std::size_t, std::size_t, httplib::DataSink&) -> bool { throw std::runtime_error("secret"); });
  });
  a.server.Post("/receive", [](const httplib::Request&, httplib::Response&, const httplib::ContentReader& reader) {
    reader([](const char*, std::size_t) -> bool { throw std::runtime_error("secret"); });
  });
  a.start();
  for (const auto& bytes : {std::string("GET /throw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                            std::string("GET /throw-int HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                            std::string("GET /provide HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                            cat(post("Content-Length: 5\r\nConnection: close\r\n", "/receive"), "12345")}) {
    CAPTURE(bytes);
    const auto answer = a.tell(bytes);
    CAPTURE(answer);
    CHECK(answer.find("secret") == answer.npos);
    if (bytes.find("/provide") == bytes.npos) CHECK(says(answer, "500"));
  }
  CHECK(says(a.tell(last_get), "200"));
}

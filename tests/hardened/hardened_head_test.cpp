// One reading of a request's head, for the server and for httplib; and what an answer's head says.
#include "gzip.hpp"
#include "hardened_testing.hpp"

using namespace testing;

namespace {

const std::string closing = "Connection: close\r\n";

// Answers what httplib made of a request.
struct telling : app {
  explicit telling(const sluice::hardened_options& o = {}) : app(o) {
    const auto tell = [](const httplib::Request& r, httplib::Response& res) {
      std::string said = cat("path=", r.path, " target=", r.target, " ranges=", std::to_string(r.ranges.size()));
      for (const auto& [key, value] : r.params) said += cat(" ", key, "=", value);
      for (const auto& [name, value] : r.headers)
        if (name.find("ADDR") == name.npos && name.find("PORT") == name.npos) said += cat("\n", name, ": ", value);
      res.set_content(said + "\nbody=" + r.body, "text/plain");
    };
    server.Get("/tell.*", tell).Options("/tell.*", tell).Post("/tell.*", tell);
    start();
  }
  ~telling() { stop(); }

  [[nodiscard]] std::string asked(std::string_view target, std::string_view fields = "",
                                  std::string_view method = "GET") const {
    return tell(cat(method, " ", target, " HTTP/1.1\r\nHost: x\r\n", fields, closing, "\r\n"));
  }
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++n;
  return n;
}

std::string head_of(const std::string& answer) { return answer.substr(0, answer.find("\r\n\r\n") + 4); }

std::string with_coding(std::string_view coding, std::string_view body) {
  return cat(post(cat("Content-Encoding: ", coding, "\r\nContent-Length: ", std::to_string(body.size()), "\r\n", closing)),
             body);
}

#ifdef CPPHTTPLIB_BROTLI_SUPPORT
std::string brotli(std::string_view text) {
  std::string out;
  httplib::detail::brotli_compressor().compress(text.data(), text.size(), true,
                                                [&](const char* data, std::size_t n) { return out.append(data, n), true; });
  return out;
}
#endif

}  // namespace

TEST_CASE("a content coding is one that is decoded and counted, or refused before the handler") {
  telling a;
  for (const char* const coding : {"xbr", "brotli", "abracadabra", "br, gzip", "gzip, gzip", "gzip,", ", br", "br;q=1",
                                   "\"br\"", "zstd", "%62r", "gz%69p", "compress", "identity, br"}) {
    CAPTURE(coding);
    const auto answer = a.tell(with_coding(coding, "12345") + last_get);
    CHECK(says(answer, "415"));
    CHECK(answers_in(answer) == 1);
  }
  CHECK(says(a.tell(post("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n") + "12345"), "415"));
  CHECK(a.posts == 0);
  for (const char* const none : {"identity", "Identity", ""})
    CHECK(a.tell(with_coding(none, "12345")).ends_with("\r\n\r\n5"));
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  for (const char* const coding : {"gzip", "GZIP", "x-gzip", "X-GZip"}) {
    CAPTURE(coding);
    CHECK(a.tell(with_coding(coding, gzip("1234567"))).ends_with("\r\n\r\n7"));
    CHECK(says(a.tell(with_coding(coding, gzip(std::string(100'000'000, ' ')))), "413"));
  }
#endif
#ifdef CPPHTTPLIB_BROTLI_SUPPORT
  const auto bomb = brotli(std::string(100'000'000, ' '));
  REQUIRE(bomb.size() < 1000);
  for (const char* const coding : {"br", "BR"}) {
    CHECK(a.tell(with_coding(coding, brotli("1234567"))).ends_with("\r\n\r\n7"));
    CHECK(says(a.tell(with_coding(coding, bomb)), "413"));
  }
  CHECK(says(a.tell(with_coding("xbr", bomb)), "415"));
#endif
}

TEST_CASE("targets: a path, a URI, or the * of OPTIONS") {
  telling a;
  CHECK(has(a.asked("/tell"), "path=/tell target=/tell ranges=0\n"));
  CHECK(has(a.asked("http://other.example:81/tell?a=b"), "path=/tell target=/tell?a=b ranges=0 a=b\n"));
  CHECK(has(a.asked("HTTPS://other.example/tell"), "\nHost: other.example\n"));
  CHECK(says(a.asked("http://x/hello"), "200"));
  CHECK(says(a.asked("http://[::1]:80/hello#part"), "200"));
  CHECK(says(a.asked("http://x"), "404"));  // "/"
  CHECK(has(a.asked("http://x?/tell"), " 404 "));
  for (const char* const none : {"hello", "x:80", "ftp://x/hello", "http:///hello", "http://u@x/hello", "http://x y/hello",
                                 "http:/hello", "//", "*", "?a=b", "/tell%00"}) {
    CAPTURE(none);
    CHECK(says(a.asked(none), std::string_view(none) == "//" ? "404" : "400"));
  }
  for (const char* const all : {"*", "http://x"}) {
    const auto options = a.asked(all, "", "OPTIONS");
    CHECK(says(options, "204"));
    CHECK(has(options, "\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"));
    CHECK(!has(options, "Content-Length"));
  }
  CHECK(says(a.asked("x:443", "", "CONNECT"), "405"));
}

TEST_CASE("queries are data: a second '?', '=', escapes and repetitions") {
  telling a;
  CHECK(has(a.asked("/tell?a=b?c=d"), " a=b?c=d\n"));
  CHECK(has(a.asked("/tell?a=b=c&&=x&e"), " a=b=c e=\n"));
  CHECK(has(a.asked("/tell?a=%32+%2b%zz&%61=3"), " a=2 +%zz a=3\n"));
  CHECK(has(a.asked("/tell%3fa?b"), "path=/tell?a "));
  CHECK(has(a.asked("/tell+a"), "path=/tell+a "));
  CHECK(has(a.asked("/tell%u0041"), "path=/tell%u0041 "));
}

TEST_CASE("Host is a name or an address") {
  telling a;
  for (const char* const host :
       {"a b", "x/y@z", "u@x", "a, b", "a,b", "x:port", "x:123456", "[::1", "[]", "[x]", "x:1:2", "\"x\""}) {
    CAPTURE(host);
    CHECK(says(a.tell(cat("GET /hello HTTP/1.1\r\nHost: ", host, "\r\n\r\n")), "400"));
  }
  for (const char* const host :
       {"x", "x:", "x:80", "a-b.example.", "127.0.0.1:8080", "[::1]", "[::ffff:1.2.3.4]:80", "", "a_b"}) {
    CAPTURE(host);
    CHECK(says(a.tell(cat("GET /hello HTTP/1.1\r\nHost: ", host, "\r\n", closing, "\r\n")), "200"));
  }
}

TEST_CASE("a Host that is not among the server's names is misdirected") {
  telling a({.hosts = {"localhost", "Notes.example"}});
  const auto host = [&](std::string_view name) {
    return a.tell(cat("GET /hello HTTP/1.1\r\nHost: ", name, "\r\n", closing, "\r\n"));
  };
  for (const char* const own : {"localhost", "LOCALHOST:80", "notes.example.", "127.0.0.1:1", "[::1]:8080", "10.2.3.4"})
    CHECK(says(host(own), "200"));
  for (const char* const other :
       {"evil.example", "localhost.evil.example", "notes.example:80:90", "1.2.3.4.evil.example", ""})
    CHECK(says(host(other), has(other, "80:90") ? "400" : "421"));
  CHECK(says(a.asked("http://evil.example/hello"), "421"));
  CHECK(says(a.tell("GET http://localhost/hello HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), "200"));
  CHECK(says(a.tell("GET /hello HTTP/1.0\r\n\r\n"), "200"));
}

TEST_CASE("fields: what a handler sees is what was sent, each name once") {
  telling a;
  const auto seen =
      a.asked("/tell", cat("A: 1\r\na: 2\r\nA:\r\nCookie: c=1\r\nCookie: d=2\r\nPercent: %41%0d%0a\r\nAccept: text/html\r\n"
                           "Accept: */*\r\nEmpty:\r\nX-Forwarded-For: 1.2.3.4\r\n"));
  CAPTURE(seen);
  for (const char* const line :
       {"\nA: 1, 2\n", "\nCookie: c=1; d=2\n", "\nPercent: %41%0d%0a\n", "\nAccept: text/html, */*\n", "\nEmpty: \n",
        "\nConnection: close\n", "\nHost: x\n", "\nX-Forwarded-For: 1.2.3.4\n"})
    CHECK(count(seen, line) == 1);
  for (const char* const twice : {"Content-Type", "Authorization", "origin"})
    CHECK(says(a.asked("/hello", cat(twice, ": a\r\n", twice, ": a\r\n")), "400"));
  CHECK(has(a.asked("/tell", "Accept-Encoding: gzip;q=0, xbr, identity;q=0.5\r\naccept-encoding: *\r\n"),
            "\nAccept-Encoding: identity;q=0.5\n"));
  CHECK(has(a.asked("/tell", "Accept-Encoding: x, *;q=0.5, deflate\r\n"), "\nAccept-Encoding: x, deflate, *\n"));
}

TEST_CASE("a field of 8 to 32 KiB reaches the handler") {
  telling a;
  for (const std::size_t size : {8'000, 8'190, 8'192, 9'000, 20'000, 32'000}) {
    CAPTURE(size);
    for (const char* const name : {"X", "Accept", "Cookie"}) {
      const std::string value(size, 'v');
      CHECK(has(a.asked("/tell", cat(name, ": ", value, "\r\n")), cat("\n", name, ": ", value, "\n")));
    }
  }
  CHECK(says(a.asked("/tell", cat("X: ", std::string(33'000, 'v'), "\r\n")), "431"));
}

TEST_CASE("forms, however their type is written") {
  app a;
  a.server.Post("/form", httplib::Server::Handler([](const auto& r, httplib::Response& res) {
                  std::string said = r.is_multipart_form_data() ? "form " : "none ";
                  if constexpr (requires { r.files; })  // up to 0.22
                    for (const auto& [name, file] : r.files) said += name + "=" + file.content + " ";
                  else
                    for (const auto& [name, field] : r.form.fields) said += name + "=" + field.content + " ";
                  res.set_content(said + r.get_header_value("Content-Type"), "text/plain");
                }));
  a.start();
  const std::string body = "--cut\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--cut--\r\n";
  for (const char* const type : {"multipart/form-data; boundary=cut", "Multipart/Form-Data;charset=utf-8; BOUNDARY=cut; x=y",
                                 "multipart/form-data; x=\"boundary=no\"; boundary=cut"}) {
    CAPTURE(type);
    const auto answer = a.tell(
        cat(post(cat("Content-Type: ", type, "\r\nContent-Length: ", std::to_string(body.size()), "\r\n", closing), "/form"),
            body));
    CAPTURE(answer);
    CHECK(says(answer, "200"));
    CHECK(has(answer, "form a=1 "));
    CHECK(answer.ends_with("multipart/form-data; boundary=cut"));
  }
}

TEST_CASE("ranges are not httplib's to cut from any answer") {
  telling a;
  for (const char* const range : {"bytes=1-2", "bytes=-1", "bytes=9-", "bytes=5-1", "bytes=", "bytes=x-y", "items=0-1", "",
                                  "bytes=0-0,2-2", "bytes=0-18446744073709551615"}) {
    CAPTURE(range);
    const auto get_part = a.asked("/hello", cat("Range: ", range, "\r\n"));
    CHECK(says(get_part, "200"));
    CHECK(get_part.ends_with("\r\n\r\nhello"));
    CHECK(!has(get_part, "Content-Range"));
    const auto posted = a.tell(cat(post(cat("Range: ", range, "\r\nContent-Length: 3\r\n", closing), "/tell"), "123"));
    CHECK(says(posted, "200"));
    CHECK(posted.ends_with("body=123"));
    CHECK(has(posted, cat("\nRange: ", range, "\n")));  // for a handler that serves ranges itself
    CHECK(says(a.asked("/nothing", cat("Range: ", range, "\r\n")), "404"));
  }
  CHECK(says(a.asked("/hello", cat("Range: bytes=0-", list(2000, [](int) { return std::string("0-"); }), "\r\n")), "200"));
}

TEST_CASE("HTTP/1.0: no 100 Continue, and keep-alive in any case") {
  app a;
  a.start();
  const auto expecting = a.tell("POST /size HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n12345");
  CHECK(says(expecting, "200"));
  CHECK(answers_in(expecting) == 1);
  CHECK(says(a.tell("GET /hello HTTP/1.0\r\nExpect: what\r\n\r\n"), "200"));
  for (const char* const kept : {"keep-alive", "Keep-Alive", "KEEP-ALIVE", "x, keep-alive", "keep-alive\r\nConnection: x"}) {
    CAPTURE(kept);
    const std::string once = cat("GET /hello HTTP/1.0\r\nConnection: ", kept, "\r\n\r\n");
    wire w(a.port);
    const auto answers = w.send(once + once).send("GET /hello HTTP/1.0\r\n\r\n").read();
    CHECK(answers_in(answers) == 3);
    CHECK(count(answers, "\r\nConnection: keep-alive\r\n") == 2);
    CHECK(count(answers, "\r\nConnection: close\r\n") == 1);
    CHECK(w.closed);
  }
  CHECK(answers_in(a.tell("GET /hello HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n" + get)) == 1);
  CHECK(answers_in(a.tell("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: CLOSE\r\nConnection: x\r\n\r\n" + get)) == 1);
}

TEST_CASE("every answer has a date and one line about its connection, refusals too") {
  telling a;
  a.server.Get("/last", [](const httplib::Request&, httplib::Response& res) {
    res.set_header("Connection", "close");
    res.set_header("Date", "Sat, 01 Jan 2000 00:00:00 GMT");
    res.set_content("last", "text/plain");
  });
  for (const auto& bytes : {get, last_get, with_coding("xbr", "1"), std::string("GET /hello HTTP/1.1\r\n\r\n"),
                            std::string("BREW / HTTP/1.1\r\n\r\n"), post("Content-Length: 1\r\n", "/nothing") + "1",
                            std::string("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")}) {
    CAPTURE(bytes);
    const auto answer = a.tell(bytes);
    CAPTURE(answer);
    CHECK(count(answer, "\r\nDate: ") == 1);
    CHECK(count(answer, " GMT\r\n") == 1);
    CHECK(count(answer, "\r\nConnection: ") <= 1);
  }
  const auto last = a.tell("GET /last HTTP/1.1\r\nHost: x\r\n\r\n" + get);  // the handler said so
  CHECK(answers_in(last) == 1);
  CHECK(count(last, "\r\nConnection: close\r\n") == 1);
  const std::chrono::sys_seconds moment{std::chrono::seconds(784111777)};
  CHECK(sluice::detail::http_date(moment) == "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST_CASE("HEAD, 204 and 304 have no body, refusals of HEAD neither") {
  telling a;
  const auto status = [](int s) {
    return [s](const httplib::Request&, httplib::Response& res) {
      res.status = s;
      res.set_header("ETag", "\"1\"");
      if (s == 304) res.set_content("no body", "text/plain");
    };
  };
  a.server.Get("/204", status(204)).Get("/304", status(304));
  a.server.Get("/throws", [](const httplib::Request&, httplib::Response&) { throw 1; });
  for (const char* const path : {"/204", "/304"}) {
    const auto all = a.tell(cat("GET ", path, " HTTP/1.1\r\nHost: x\r\n\r\n", last_get));
    CAPTURE(all);
    CHECK(answers_in(all) == 2);
    CHECK(!has(head_of(all), "Content-Length"));
    CHECK(!has(all, "no body"));
    CHECK(all.substr(head_of(all).size()).starts_with("HTTP/1.1 200"));
  }
  for (const auto& bytes : {std::string("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                            std::string("HEAD /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                            std::string("HEAD /throws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                            std::string("HEAD /hello HTTP/1.1\r\n\r\n"), "HEAD /" + std::string(9000, 'x'),
                            std::string("HEAD /hello HTTP/3.0\r\nHost: x\r\n\r\n"),
                            std::string("HEAD /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")}) {
    CAPTURE(bytes.substr(0, 100));
    const auto answer = a.tell(bytes);
    CAPTURE(answer);
    CHECK(answer.ends_with("\r\n\r\n"));
    CHECK(answers_in(answer) == 1);
    CHECK(count(answer, "\r\n\r\n") == 1);
  }
  CHECK(has(a.tell("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "\r\nContent-Length: 5\r\n"));
}

TEST_CASE("trailers are taken, and dropped") {
  app a;
  a.start();
  const std::string chunks = chunk("123") + chunk("45") + "0\r\n";
  for (const std::string trailers : {"", "X-Checksum: abc\r\n", "A: b\r\nC: d\r\n"}) {
    CAPTURE(trailers);
    const std::string request = cat(post("Transfer-Encoding: chunked\r\n"), chunks, trailers, "\r\n");
    const auto all = a.tell(request + request + last_get);
    CHECK(answers_in(all) == 3);
    CHECK(count(all, "\r\n\r\n5") == 2);
    CHECK(all.ends_with("hello"));
    wire w(a.port);  // byte by byte
    for (const char c : request + last_get) w.send({&c, 1});
    CHECK(answers_in(w.read()) == 2);
    // Of a body that no handler reads.
    CHECK(answers_in(a.tell(cat("GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", chunks, trailers,
                                "\r\n", last_get))) == 2);
  }
  CHECK(says(a.tell(cat(post("Transfer-Encoding: chunked\r\n"), chunks, "X: ", std::string(5000, 'x'), "\r\n\r\n")), "431"));
  CHECK(says(a.tell(cat(post("Transfer-Encoding: chunked\r\n"), chunks, "X: a\nb\r\n\r\n")), "400"));
}

TEST_CASE("what changes something is not taken from web pages of others") {
  telling a({.origins = {"https://friend.example"}});
  const auto ask = [&](std::string_view fields, std::string_view method = "POST") {
    return a.tell(cat(method, " /tell HTTP/1.1\r\nHost: me.example:8080\r\nContent-Length: 0\r\n", fields, closing, "\r\n"));
  };
  for (const char* const own :
       {"", "Origin: http://me.example:8080\r\n", "Origin: HTTP://ME.example:8080\r\n", "Sec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n", "Sec-Fetch-Site: same-origin\r\nOrigin: https://proxy.example\r\n",
        "Origin: https://friend.example\r\n", "Sec-Fetch-Site: cross-site\r\nOrigin: https://friend.example\r\n"})
    CHECK_MESSAGE(says(ask(own), "200"), own);
  for (const char* const other :
       {"Origin: http://evil.example\r\n", "Origin: null\r\n", "Origin: http://me.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://me.example:8080\r\n",
        "Origin: http://me.example:8080.evil.example\r\n", "Origin: https://friend.example.evil.example\r\n"}) {
    CHECK_MESSAGE(says(ask(other), "403"), other);
    CHECK_MESSAGE(!says(ask(other, "GET"), "403"), other);
  }
}

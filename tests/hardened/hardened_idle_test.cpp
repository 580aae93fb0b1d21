// Connections of a hardened server that bring nothing, or bring it slowly, or are there when it stops.
#include "hardened_testing.hpp"

#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <vector>

using namespace testing;

namespace {

std::size_t descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

std::vector<std::unique_ptr<wire>> wires(int n, int port) {
  std::vector<std::unique_ptr<wire>> all;
  for (int i = 0; i < n; ++i) all.push_back(std::make_unique<wire>(port));
  return all;
}

// A route that answers when it is let.
struct gated_route {
  std::promise<void> entered, open;

  void at(httplib::Server& server) {
    server.Get("/gate", [this](const httplib::Request&, httplib::Response& res) {
      entered.set_value();
      open.get_future().wait();
      res.set_content("through", "text/plain");
    });
  }
};
const std::string through = "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace

TEST_CASE("heads and small bodies that drip hold no thread, and end with 408") {
  app a({.threads = 1, .head_seconds = 0.3, .grace_seconds = 0.3, .bytes_per_second = 1 << 20});
  a.start();
  auto slow = wires(20, a.port);
  for (std::size_t i = 0; i < slow.size(); ++i) {
    slow[i]->send("POST /size HTTP/1.1\r\nHost: x\r\n");
    if (i % 2 == 1) slow[i]->send("Content-Length: 1000\r\n\r\n12345");
  }
  CHECK(says(a.tell(last_get), "200"));
  for (auto& w : slow) {
    CHECK(says(w->send("x").read(), "408"));
    CHECK(w->closed);
  }
  CHECK(a.posts == 0);
  wire silent(a.port);
  CHECK(silent.read().empty());
  CHECK(silent.closed);
}

TEST_CASE("large bodies that drip hold some of the threads, and end with 408") {
  app a({.threads = 3, .waiting_threads = 2, .grace_seconds = 0.5, .bytes_per_second = 1 << 20});
  a.start();
  auto slow = wires(3, a.port);
  const auto head = post("Content-Length: 1000000\r\n");
  slow[0]->send(head);
  slow[1]->send(post("Transfer-Encoding: chunked\r\n") + "5\r\n12");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until both are waited for
  CHECK(says(slow[2]->send(head).read(), "503"));
  CHECK(says(a.tell(last_get), "200"));
  CHECK(says(slow[0]->read(), "408"));
  CHECK(says(slow[1]->read(), "408"));
  CHECK(a.posts == 0);
}

TEST_CASE("when all threads wait, the slowest client of the address with most of them is given up") {
  app a({.threads = 1, .waiting_threads = 3, .grace_seconds = 20});
  a.start();
  const auto head = post("Content-Length: 1000000\r\n");
  wire slowest(a.port), slow(a.port), other(a.port, "127.0.0.2");
  slowest.send(head);
  slow.send(head + std::string(500'000, 'x'));
  other.send(head);
  std::this_thread::sleep_for(std::chrono::milliseconds(1300));  // until they are slow
  wire fourth(a.port, "127.0.0.3");
  fourth.send(head + "x");
  CHECK(says(slowest.read(), "503"));
  for (wire* w : {&slow, &other, &fourth})
    CHECK(says(w->send(std::string(w == &slow    ? 500'000
                                   : w == &other ? 1'000'000
                                                 : 999'999,
                                   'x'))
                   .read_until("1000000"),
               "200"));
}

TEST_CASE("an address that takes most of the threads gives one back at once") {
  app a({.threads = 1, .waiting_threads = 4, .grace_seconds = 20});
  a.start();
  const auto head = post("Content-Length: 1000000\r\n");
  auto greedy = wires(4, a.port);
  for (auto& w : greedy) w->send(head);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // until all are waited for
  wire other(a.port, "127.0.0.2");
  other.send(head + "x");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(says(other.send(std::string(999'999, 'x')).read_until("1000000"), "200"));
}

TEST_CASE("a deadline is the client's: a request that waits for a thread is not late") {
  app a({.threads = 1, .head_seconds = 0.2, .grace_seconds = 0.2});
  gated_route g;
  g.at(a.server);
  a.start();
  wire first(a.port), whole(a.port), half(a.port);
  first.send(through);
  g.entered.get_future().wait();
  whole.send(last_get);
  half.send("GET /hello HTTP/1.1\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(900));
  g.open.set_value();
  CHECK(says(first.read_until("through"), "200"));
  CHECK(says(whole.read(), "200"));
  CHECK(says(half.read(), "408"));  // it had its time again, and sent nothing
}

TEST_CASE("a body has a deadline, however fast it comes") {
  app a({.grace_seconds = 60, .bytes_per_second = 1, .body_seconds = 0.2});
  a.start();
  wire w(a.port);
  w.send(post("Content-Length: 10000000\r\n"));
  std::thread sender([&] {
    for (int i = 0; i < 30; ++i) {
      w.send(std::string(100'000, 'x'));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  CHECK(says(w.read_until("\r\n\r\n"), "408"));
  sender.join();
}

TEST_CASE("an answer that nobody takes") {
  app a({.threads = 1, .grace_seconds = 0.2, .bytes_per_second = 1 << 30});
  a.server.Get("/large", [](const httplib::Request&, httplib::Response& res) {
    res.set_content(std::string(50'000'000, 'x'), "text/plain");
  });
  a.start();
  wire w(a.port);
  w.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(says(a.tell(last_get), "200"));  // by the one thread, given up by then
}

TEST_CASE("200 connections in a burst") {
  app a({.threads = 2});
  a.start();
  auto all = wires(200, a.port);
  for (auto& w : all) w->send(last_get);
  for (auto& w : all) CHECK(says(w->read(), "200"));
}

TEST_CASE("1,000 idle connections hold no thread, and their end no descriptor") {
  rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 8192);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
  REQUIRE(files.rlim_cur > 2200);
  const auto before = descriptors();
  {
    app a({.threads = 2});
    a.start();
    auto idle = wires(1000, a.port);
    for (auto& w : idle) CHECK(says(w->send(get).read_until("hello"), "200"));
    CHECK(says(a.tell(last_get), "200"));
    for (std::size_t i = 0; i < idle.size(); i += 100) CHECK(says(idle[i]->send(get).read_until("hello"), "200"));
    CHECK(descriptors() > before + 2000);
    a.stop();
    for (auto& w : idle) {
      CHECK(w->read().empty());
      CHECK(w->closed);
    }
  }
  CHECK(descriptors() == before);
}

TEST_CASE("idle connections end after their time, and there are no more than allowed") {
  app a({.connections = 3, .idle_seconds = 0.2});
  a.start();
  auto three = wires(3, a.port);
  for (auto& w : three) CHECK(says(w->send(get).read_until("hello"), "200"));
  CHECK(says(wire(a.port).read(), "503"));
  for (auto& w : three) {
    CHECK(w->read().empty());
    CHECK(w->closed);
  }
  CHECK(says(a.tell(last_get), "200"));
}

TEST_CASE("draining: what was asked is answered, what is idle is closed") {
  app a;
  gated_route g;
  g.at(a.server);
  a.start();
  wire asked(a.port), idle(a.port), half(a.port), accepted(a.port);
  CHECK(says(idle.send(get).read_until("hello"), "200"));
  asked.send(through);
  g.entered.get_future().wait();
  half.send("GET /hello HTTP/1.1\r\n");
  auto drained = std::async(std::launch::async, [&] { return a.server.drain(20); });
  CHECK(idle.read().empty());
  CHECK(idle.closed);
  // Accepted, and not yet read when draining began.
  const auto late = accepted.send(get).read();
  CHECK(says(late, "200"));
  CHECK(late.find("Connection: close") != late.npos);
  CHECK(accepted.closed);
  CHECK(says(half.send("Host: x\r\n\r\n").read(), "200"));
  CHECK(drained.wait_for(std::chrono::milliseconds(0)) == std::future_status::timeout);
  g.open.set_value();
  const auto last = asked.read();
  CHECK(last.ends_with("through"));
  CHECK(asked.closed);
  CHECK(drained.get());
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);  // nothing listens any more
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(a.port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0);
  ::close(fd);
}

TEST_CASE("stopping cuts no answer off that is on its way") {
  app a;
  const std::string text(3'000'000, 'x');
  a.server.Get("/large", [&](const httplib::Request&, httplib::Response& res) {
    res.set_content_provider(text.size(), "text/plain", [&](std::size_t at, std::size_t, httplib::DataSink& sink) {
      return sink.write(text.data() + at, std::min<std::size_t>(100'000, text.size() - at));
    });
  });
  a.server.Post("/unread", [&](const httplib::Request&, httplib::Response& res, const httplib::ContentReader&) {
    res.set_content(text, "text/plain");
  });
  for (int i = 0; i < 5; ++i) {
    a.start();
    wire one(a.port), two(a.port);
    one.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    two.send(post("Content-Length: 100000\r\n", "/unread") + std::string(50'000, 'x'));  // closed with bytes unread
    CHECK(says(one.read_until("\r\n"), "200"));
    CHECK(says(two.read_until("\r\n"), "200"));
    auto stopped = std::async(std::launch::async, [&] { return a.server.drain(20); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(one.read().size() > 2'900'000);
    CHECK(two.read().size() > 2'900'000);
    CHECK(stopped.get());
    a.thread.join();
  }
}

TEST_CASE("draining has an end, and so has stopping") {
  app a({.grace_seconds = 0.2});
  a.start();
  wire w(a.port);
  w.send(post("Content-Length: 1000000\r\n"));
  CHECK(says(a.tell(last_get), "200"));
  CHECK(!a.server.drain(0.05));
  a.stop();
  CHECK(w.read().find(" 200 ") == std::string::npos);
}

TEST_CASE("a server that listens again") {
  app a;
  for (int i = 0; i < 3; ++i) {
    a.server.set_idle_interval(0, i == 2 ? 50'000 : 0);  // httplib looks at the socket before it accepts
    a.start();
    CHECK(says(a.tell(last_get), "200"));
    a.stop();
  }
}

TEST_CASE("options that cannot be") {
  for (const sluice::hardened_options& o :
       {sluice::hardened_options{.threads = 0}, sluice::hardened_options{.connections = 0},
        sluice::hardened_options{.bytes_per_second = 0}})
    CHECK_THROWS_AS(sluice::hardened_server{o}, std::invalid_argument);
}

TEST_CASE("a client that pipelines without end leaves the thread to others") {
  app a({.threads = 1});
  a.start();
  wire flood(a.port);
  std::atomic<bool> over{false};
  std::string many;
  for (int i = 0; i < 2000; ++i) many += get;
  std::thread sender([&] {
    while (!over) flood.send(many);
  });
  std::thread reader([&] {
    while (!over) flood.read_until("HTTP/1.1");
  });
  for (int i = 0; i < 5; ++i) CHECK(says(a.tell(last_get), "200"));
  over = true;
  a.stop();
  sender.join();
  reader.join();
}

TEST_CASE("a few empty lines before a request are passed over, many are none") {
  app a;
  a.start();
  CHECK(says(a.tell("\r\n\r\n\r\n\r\n" + last_get), "200"));
  CHECK(says(a.tell("\r\n\r\n\r\n\r\n\r\n" + last_get), "400"));
  std::string lines;
  for (int i = 0; i < 100'000; ++i) lines += "\r\n";
  CHECK(says(a.tell(lines), "400"));
}

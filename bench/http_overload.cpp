// What a server does when more comes than it can compute: products of two n x n matrices as JSON, at several times the rate
// that it can answer, each on a new connection, beside looks at its health and at an application's own route.
//
//     http_overload --port 8080 --pid 1234 --matrix 512 --times 10 --seconds 20
//
// Prints the peak (4 clients without pause), then under overload: answers by status, goodput over the peak, p50 and p99 of
// the two looks, the server's peak memory; and how the last Retry-After compares with the time in which the backlog drained.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http_client.hpp"

namespace {

using http_client::connection;
using steady = std::chrono::steady_clock;

struct settings {
  int port = 8080, pid = 0, matrix = 512, clients = 400;
  double times = 10, seconds = 20;
};

struct tally {
  std::mutex mutex;
  std::map<int, int> statuses;
  int retry_after_low = 0, retry_after_high = 0, retry_after_last = 0;

  void add(int status, int retry_after) {
    const std::lock_guard lock(mutex);
    ++statuses[status];
    if (retry_after == 0) return;
    retry_after_low = retry_after_low == 0 ? retry_after : std::min(retry_after_low, retry_after);
    retry_after_high = std::max(retry_after_high, retry_after);
    retry_after_last = retry_after;
  }
};

double seconds_since(steady::time_point t) { return std::chrono::duration<double>(steady::now() - t).count(); }

std::string post(std::string_view path, const std::string& body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n"; }

// Answers a second of four clients without pause.
double peak_of(const settings& s, const std::string& request, double seconds) {
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  const auto begin = steady::now();
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      connection c(s.port);
      while (seconds_since(begin) < seconds && c.open) done += c.ask(request) == 200 ? 1 : 0;
    });
  for (auto& t : threads) t.join();
  return done / seconds_since(begin);
}

// 20 looks a second until `over`: their times in ms, in order.
std::vector<double> looks(const settings& s, std::string_view path, const std::atomic<bool>& over,
                          std::atomic<int>& failed) {
  std::vector<double> ms;
  const auto request = get(path);
  while (!over) {
    const auto begin = steady::now();
    connection c(s.port);
    failed += c.ask(request) == 200 ? 0 : 1;
    ms.push_back(seconds_since(begin) * 1000);
    std::this_thread::sleep_until(begin + std::chrono::milliseconds(50));
  }
  std::sort(ms.begin(), ms.end());
  return ms;
}

double peak_megabytes(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:")) return std::atof(line.c_str() + 6) / 1024;
  return 0;
}

void print(const char* what, const std::vector<double>& ms, int failed) {
  const auto at = [&](double q) { return ms[static_cast<std::size_t>(q * static_cast<double>(ms.size() - 1))]; };
  std::printf("%-8s p50 %.1f ms, p99 %.1f ms, worst %.1f ms; failed %d of %zu\n", what, at(0.5), at(0.99), ms.back(), failed,
              ms.size());
}

void overload(const settings& s, const std::string& request, double peak) {
  tally t;
  std::atomic<bool> over{false};
  std::atomic<int> failed_health{0}, failed_items{0};
  std::vector<double> health, items;
  std::thread look_at_health([&] { health = looks(s, "/health/live", over, failed_health); });
  std::thread look_at_items([&] { items = looks(s, "/items/1", over, failed_items); });
  std::atomic<std::int64_t> next{0};
  const auto begin = steady::now();
  const double rate = s.times * peak;
  std::atomic<double> last_answer{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < s.clients; ++i)
    threads.emplace_back([&] {
      for (;;) {
        const double at = static_cast<double>(next++) / rate;
        if (at > s.seconds) return;
        std::this_thread::sleep_until(begin +
                                      std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(at)));
        if (seconds_since(begin) > s.seconds) return;  // all clients wait: the server holds them
        connection c(s.port);
        const int status = c.ask(request);
        t.add(status, c.retry_after);
        if (status == 200) last_answer = std::max(last_answer.load(), seconds_since(begin));
      }
    });
  std::this_thread::sleep_until(begin +
                                std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(s.seconds)));
  over = true;
  look_at_health.join();
  look_at_items.join();
  for (auto& c : threads) c.join();
  int all = 0;
  for (const auto& [status, n] : t.statuses) all += n;
  std::printf("offered  %.0f a second, %d requests in %.0f s; answers:", rate, all, s.seconds);
  for (const auto& [status, n] : t.statuses) std::printf(" %d: %d", status, n);
  const double good = t.statuses[200] / last_answer;
  std::printf("\ngoodput  %.1f a second, %.2f of the peak\n", good, good / peak);
  print("health", health, failed_health);
  print("items", items, failed_items);
  std::printf("memory   %.0f MB at the peak\n", peak_megabytes(s.pid));
  std::printf("backlog  drained in %.1f s; Retry-After said %d to %d, at last %d\n", last_answer - s.seconds,
              t.retry_after_low, t.retry_after_high, t.retry_after_last);
}

}  // namespace

int main(int argc, char** argv) {
  settings s;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view key = argv[i];
    const double value = std::atof(argv[i + 1]);
    if (key == "--port") s.port = static_cast<int>(value);
    if (key == "--pid") s.pid = static_cast<int>(value);
    if (key == "--matrix") s.matrix = static_cast<int>(value);
    if (key == "--clients") s.clients = static_cast<int>(value);
    if (key == "--times") s.times = value;
    if (key == "--seconds") s.seconds = value;
  }
  auto a = http_client::json_matrix(s.matrix, "a");
  a.back() = ',';
  const auto request = post("/v1/matmul", a + http_client::json_matrix(s.matrix, "b").substr(1));
  {
    connection c(s.port);
    static_cast<void>(c.ask(post("/items", R"({"text": "milk"})")));
  }
  const double peak = peak_of(s, request, std::min(5.0, s.seconds));
  std::printf("peak     %.1f a second, bodies of %.1f MB; memory %.0f MB\n", peak, static_cast<double>(request.size()) / 1e6,
              peak_megabytes(s.pid));
  overload(s, request, peak);
}

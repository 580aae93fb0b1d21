// Clients that ask one thing again and again over connections kept alive: requests a second, and how long answers take.
//
//     http_load --port 8080 --path /gpu_multiply --matrix 256 --clients 8 --seconds 3
//     http_load --port 8080 --path /items/1 --clients 1 --rate 200         # a look from time to time, beside other load
//     http_load --port 8080 --path /v1/canny --file photo.jpg --type image/jpeg --accept image/png
//
// One line comes out: req/s, p50, p99 and worst in ms, answers that were not 200.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "http_client.hpp"

namespace {

using namespace http_client;

using steady = std::chrono::steady_clock;

struct settings {
  int port = 8080;
  int clients = 8;
  double seconds = 3;
  double warm = 0.3;  // seconds before counting begins
  double rate = 0;    // requests a second of each client; 0: without pause
  std::string path = "/", body, type, accept;
};

struct outcome {
  std::vector<double> ms;
  int failed = 0;
};

outcome client(const settings& s, const std::string& request, steady::time_point begin, steady::time_point end) {
  outcome o;
  connection c(s.port);
  auto next = steady::now();
  while (steady::now() < end) {
    if (!c.open) return ++o.failed, o;
    if (s.rate > 0)
      std::this_thread::sleep_until(next +=
                                    std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(1 / s.rate)));
    const auto from = steady::now();
    const int status = c.ask(request);
    const auto to = steady::now();
    if (from < begin || to > end) continue;
    o.failed += status == 200 ? 0 : 1;
    o.ms.push_back(std::chrono::duration<double, std::milli>(to - from).count());
  }
  return o;
}

std::string bytes_of(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

settings read(int argc, char** argv) {
  settings s;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view key = argv[i];
    const char* const value = argv[i + 1];
    if (key == "--port") s.port = std::atoi(value);
    if (key == "--clients") s.clients = std::atoi(value);
    if (key == "--seconds") s.seconds = std::atof(value);
    if (key == "--warm") s.warm = std::atof(value);
    if (key == "--rate") s.rate = std::atof(value);
    if (key == "--path") s.path = value;
    if (key == "--matrix") s.body = json_matrix(std::atoi(value), "matrix"), s.type = "application/json";
    if (key == "--npy") s.body = npy_matrix(std::atoi(value)), s.type = "application/x-npy";
    if (key == "--json") s.body = value, s.type = "application/json";
    if (key == "--file") s.body = bytes_of(value);
    if (key == "--type") s.type = value;
    if (key == "--accept") s.accept = value;
  }
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  const settings s = read(argc, argv);
  std::string request = (s.type.empty() ? "GET " : "POST ") + s.path + " HTTP/1.1\r\nHost: localhost\r\n";
  if (!s.type.empty())
    request += "Content-Type: " + s.type + "\r\nContent-Length: " + std::to_string(s.body.size()) + "\r\n";
  if (!s.accept.empty()) request += "Accept: " + s.accept + "\r\n";
  request += "\r\n" + s.body;
  const auto duration = [](double t) {
    return std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(t));
  };
  const auto begin = steady::now() + duration(s.warm);
  const auto end = begin + duration(s.seconds);
  std::vector<outcome> outcomes(static_cast<std::size_t>(s.clients));
  std::vector<std::thread> threads;
  for (auto& o : outcomes) threads.emplace_back([&] { o = client(s, request, begin, end); });
  for (auto& t : threads) t.join();
  std::vector<double> ms;
  int failed = 0;
  for (const auto& o : outcomes) {
    ms.insert(ms.end(), o.ms.begin(), o.ms.end());
    failed += o.failed;
  }
  if (ms.empty()) return std::printf("no answer came within the time; failed %d\n", failed), 1;
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double q) { return ms[static_cast<std::size_t>(q * static_cast<double>(ms.size() - 1))]; };
  std::printf("req/s %.1f p50 %.3f p99 %.3f max %.3f failed %d\n", static_cast<double>(ms.size()) / s.seconds, at(0.5),
              at(0.99), ms.back(), failed);
  return failed == 0 ? 0 : 1;
}

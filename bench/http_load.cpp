// Clients that ask one thing again and again over connections kept alive: requests a second, and how long answers take.
//
//     http_load --port 8080 --path /gpu_multiply --matrix 256 --clients 8 --seconds 3
//     http_load --port 8080 --path /items/1 --clients 1 --rate 200         # a look from time to time, beside other load
//
// One line comes out: req/s, p50, p99 and worst in ms, answers that were not 200.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using steady = std::chrono::steady_clock;

struct settings {
  int port = 8080;
  int clients = 8;
  double seconds = 3;
  double warm = 0.3;  // seconds before counting begins
  double rate = 0;    // requests a second of each client; 0: without pause
  std::string path = "/", body, type;
};

// A square matrix of numbers in [0, 1), as JSON under `key`.
std::string json_matrix(int n, std::string_view key) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> unit(0, 1);
  std::string text = "{\"" + std::string(key) + "\":[";
  char number[32];
  for (int i = 0; i < n; ++i) {
    text += i == 0 ? "[" : ",[";
    for (int j = 0; j < n; ++j) {
      if (j > 0) text += ',';
      text.append(number, std::to_chars(number, std::end(number), unit(random)).ptr);
    }
    text += ']';
  }
  return text + "]}";
}

// The same as .npy of float32.
std::string npy_matrix(int n) {
  std::string head =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(n) + ", " + std::to_string(n) + "), }";
  head.resize((10 + head.size() + 1 + 63) / 64 * 64 - 11, ' ');
  head += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(head.size() & 0xff);
  bytes += static_cast<char>(head.size() >> 8);
  bytes += head;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> unit(0, 1);
  for (int i = 0; i < n * n; ++i) {
    const float x = unit(random);
    bytes.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
  return bytes;
}

class connection {
 public:
  explicit connection(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)), buffer_(1 << 20) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~connection() { ::close(fd_); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // Sends the bytes and reads one answer; its status, or 0 when the connection broke.
  int ask(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return open = false, 0;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    std::size_t have = 0;
    std::size_t head = std::string_view::npos;
    while (head == std::string_view::npos) {
      const auto n = ::recv(fd_, buffer_.data() + have, buffer_.size() - have, 0);
      if (n <= 0) return open = false, 0;
      have += static_cast<std::size_t>(n);
      head = std::string_view(buffer_.data(), have).find("\r\n\r\n");
    }
    const std::string_view text(buffer_.data(), head);
    long long rest = length_of(text) - static_cast<long long>(have - head - 4);
    while (rest > 0) {
      const auto n = ::recv(fd_, buffer_.data() + head, buffer_.size() - head, 0);
      if (n <= 0) return open = false, 0;
      rest -= n;
    }
    return std::atoi(buffer_.data() + 9);
  }

  bool open = false;

 private:
  static long long length_of(std::string_view head) {
    for (const std::string_view name : {"\r\nContent-Length: ", "\r\ncontent-length: "})
      if (const auto at = head.find(name); at != head.npos) return std::atoll(head.data() + at + name.size());
    return 0;
  }

  int fd_;
  std::vector<char> buffer_;
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
  }
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  const settings s = read(argc, argv);
  std::string request = (s.type.empty() ? "GET " : "POST ") + s.path + " HTTP/1.1\r\nHost: localhost\r\n";
  if (!s.type.empty())
    request += "Content-Type: " + s.type + "\r\nContent-Length: " + std::to_string(s.body.size()) + "\r\n";
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

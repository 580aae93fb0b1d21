// What one would write by hand on cpp-httplib: simdjson in, a BLAS where there is one, to_chars out. The service is measured
// beside it.
//
//     http_peer PORT        # GET /hello, POST /gpu_multiply (JSON {"matrix": ...}), POST /raw (.npy of float32, square),
//                            # POST /echo (the body itself: what cpp-httplib alone takes)
#include <httplib.h>
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#if defined(SLUICE_BENCH_SGEMM)
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k, const float* alpha,
                       const float* a, const int* lda, const float* b, const int* ldb, const float* beta, float* c,
                       const int* ldc);
#endif

namespace {

std::vector<float> times_ones(const std::vector<float>& a, int n) {
  const std::vector<float> ones(a.size(), 1);
  std::vector<float> c(a.size());
#if defined(SLUICE_BENCH_SGEMM)
  const float one = 1, zero = 0;
  sgemm_("N", "N", &n, &n, &n, &one, ones.data(), &n, a.data(), &n, &zero, c.data(), &n);  // column-major: the operands swap
#else
  const auto at = [n](int row, int column) {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(n) + static_cast<std::size_t>(column);
  };
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < n; ++k)
      for (int j = 0; j < n; ++j) c[at(i, j)] += a[at(i, k)] * ones[at(k, j)];
#endif
  return c;
}

void multiply(const httplib::Request& req, httplib::Response& res) {
  thread_local simdjson::ondemand::parser parser;
  const simdjson::padded_string json(req.body);
  std::vector<float> a;
  a.reserve(req.body.size() / 8);
  int n = 0;
  auto document = parser.iterate(json);
  for (auto row : document["matrix"].get_array()) {
    for (auto x : row.get_array()) a.push_back(static_cast<float>(double(x)));
    ++n;
  }
  const auto c = times_ones(a, n);
  std::string out;
  out.resize(c.size() * 16 + static_cast<std::size_t>(n) * 2 + 32);
  char* p = out.data();
  std::memcpy(p, "{\"result\":[", 11);
  p += 11;
  for (int i = 0; i < n; ++i) {
    *p++ = i == 0 ? '[' : ',';
    if (i > 0) *p++ = '[';
    for (int j = 0; j < n; ++j) {
      if (j > 0) *p++ = ',';
      p = std::to_chars(p, p + 16, c[static_cast<std::size_t>(i * n + j)]).ptr;
    }
    *p++ = ']';
  }
  *p++ = ']';
  *p++ = '}';
  out.resize(static_cast<std::size_t>(p - out.data()));
  res.set_content(std::move(out), "application/json");
}

void multiply_raw(const httplib::Request& req, httplib::Response& res) {
  const std::size_t head = 10 + static_cast<unsigned char>(req.body[8]) + 256u * static_cast<unsigned char>(req.body[9]);
  std::vector<float> a((req.body.size() - head) / sizeof(float));
  std::memcpy(a.data(), req.body.data() + head, a.size() * sizeof(float));
  const auto c = times_ones(a, static_cast<int>(std::lround(std::sqrt(static_cast<double>(a.size())))));
  std::string out = req.body.substr(0, head);
  out.append(reinterpret_cast<const char*>(c.data()), c.size() * sizeof(float));
  res.set_content(std::move(out), "application/x-npy");
}

}  // namespace

int main(int argc, char** argv) {
  httplib::Server server;
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1'000'000'000);
  server.new_task_queue = [] { return new httplib::ThreadPool(64); };
  server.Get("/hello", [](const httplib::Request&, httplib::Response& res) { res.set_content("hello", "text/plain"); });
  server.Post("/gpu_multiply", multiply);
  server.Post("/raw", multiply_raw);
  server.Post("/echo", [](const httplib::Request& req, httplib::Response& res) { res.set_content(req.body, "text/plain"); });
  return server.listen("127.0.0.1", argc > 1 ? std::atoi(argv[1]) : 8081) ? 0 : 1;
}

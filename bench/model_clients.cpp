// What a service makes of a model: .npy requests from several clients, in process, so without sockets; gathered, and each by
// itself. Beside them t(b), the time of a batch of b rows in a loop of one thread, and b / t(b), which is what clients could
// get of a device that does nothing but run such batches.
//
//     SLUICE_ONNXRUNTIME=FOLDER model_clients MODELS NAME DEVICE [SECONDS [PRECISION]]
//
// MODELS has NAME/1/model.onnx, of one input whose rows are fixed; PRECISION is strict or tensor_core.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "latencies.hpp"
#include "sluice/models.hpp"
#include "sluice/npy.hpp"

namespace {

struct settings {
  std::string folder, name, where;
  double seconds = 2;
  sluice::precision precision = sluice::precision::strict;
};

// A service with the model, of batches of at most `largest` rows, 0: the usual.
struct server {
  server(const settings& s, std::int64_t largest) : service({.device = sluice::require(s.where)}) {
    auto loaded = sluice::add_models(service, {.directory = s.folder,
                                               .names = {s.name},
                                               .devices = {s.where},
                                               .precision = s.precision,
                                               .largest_batch = largest,
                                               .in_background = false});
    for (const auto& m : loaded->index())
      if (m.name == s.name && m.state != "READY")
        throw sluice::error(sluice::error_code::unavailable, m.name + ": " + m.reason);
    for (const auto& row : service.endpoints())
      if (row->name == s.name || row->name == s.name + "_raw") path = "/v1/" + row->name;  // the last is _raw, if any
  }

  // Bytes as they come from a socket: read into memory of the service's choice.
  void call(std::string_view body) {
    std::size_t at = 0;
    sluice::request r{.method = "POST", .path = path};
    r.header = [](std::string_view name) -> std::string_view {
      return name == "Content-Type" ? "application/x-npy" : std::string_view();
    };
    r.content_length = static_cast<std::int64_t>(body.size());
    r.read_some = [&](char* to, std::size_t size) {
      const auto n = std::min(size, body.size() - at);
      std::memcpy(to, body.data() + at, n);
      at += n;
      return static_cast<std::ptrdiff_t>(n);
    };
    r.read_body = [&](const sluice::body_receiver& take) { return take(body.substr(at)); };
    const auto answer = service.handle(r);
    if (answer.status == 200) return;
    std::fprintf(stderr, "%d %s\n", answer.status, answer.text().c_str());
    std::exit(1);
  }

  sluice::service service;
  std::string path;
};

std::string npy_of_row(const sluice::model& m) {
  const auto& in = m.inputs().front();
  auto extents = in.extents;
  extents[0] = 1;
  const auto row = sluice::tensor::zeros(sluice::shape(extents), in.dtype);
  std::string bytes = sluice::npy_header_bytes(in.dtype, row.shape());
  return bytes.append(static_cast<const char*>(row.data()), row.bytes());
}

int run(const settings& s) {
  const auto file = s.folder + "/" + s.name + "/1/model.onnx";
  std::string body;
  std::vector<sluice::batch_time> times;
  {
    const auto m = sluice::model::load(file, {.where = s.where, .precision = s.precision});
    body = npy_of_row(m);
    times = m.warm();
  }
  std::printf("%s on %s\n%8s %12s %12s\n", s.name.c_str(), s.where.c_str(), "rows b", "t(b) us", "b/t(b)");
  for (const auto& t : times)
    std::printf("%8lld %12.0f %12.0f\n", static_cast<long long>(t.rows), t.seconds * 1e6,
                static_cast<double>(t.rows) / t.seconds);
  std::printf("%8s %10s %12s %12s %12s %14s\n", "clients", "", "calls/s", "median us", "p99 us", "of b/t(b)");
  for (const bool gathers : {false, true}) {
    server own(s, gathers ? 0 : 1);
    for (const int clients : {1, 8, 32}) {
      const auto all = latencies(clients, 0.2, s.seconds, [&] { own.call(body); });
      const double rate = static_cast<double>(all.size()) / s.seconds;
      const auto bound =
          std::find_if(times.begin(), times.end(), [&](const auto& t) { return t.rows >= (gathers ? clients : 1); });
      std::printf("%8d %10s %12.0f %12.0f %12.0f %14.2f\n", clients, gathers ? "gathered" : "alone", rate,
                  quantile(all, 0.5) * 1e6, quantile(all, 0.99) * 1e6,
                  rate * bound->seconds / static_cast<double>(bound->rows));
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: model_clients MODELS NAME DEVICE [SECONDS [strict|tensor_core]]\n");
    return 2;
  }
  settings s{.folder = argv[1], .name = argv[2], .where = argv[3]};
  if (argc > 4) s.seconds = std::atof(argv[4]);
  if (argc > 5 && std::strcmp(argv[5], "tensor_core") == 0) s.precision = sluice::precision::tensor_core;
  return run(s);
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}

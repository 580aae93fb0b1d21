// canny of resident 4K images on CUDA, beside NPP's where its headers were there at build time and its library is now.
// Medians of rounds in which the sides take turns. NPP's edges are near, not the same: it is compared for time alone.
//
//     cuda_canny [--json FILE] [--rounds N] [--raw FILE]...     FILE: 3840 x 2160 grey bytes, timed as well
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "canny_images.hpp"
#include "sluice/sluice.hpp"
#if __has_include(<nppi_filtering_functions.h>)
#include <nppi_filtering_functions.h>
#define HAVE_NPP 1
#endif

namespace {

using sluice::tensor;
using steady = std::chrono::steady_clock;

constexpr int height = 2160;
constexpr int width = 3840;
constexpr double low = 100;
constexpr double high = 200;

void must(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "cuda_canny: %s\n", what.c_str());
  std::exit(1);
}
void must(cudaError_t e) { must(e == cudaSuccess, cudaGetErrorString(e)); }

double median(std::vector<double> t) {
  std::nth_element(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(t.size() / 2), t.end());
  return t[t.size() / 2];
}

template <class T>
T* raw(const tensor& t) {
  return static_cast<T*>(const_cast<void*>(static_cast<const tensor&>(t).data()));
}

tensor on_host(const std::vector<std::uint8_t>& pixels, const sluice::shape& extents) {
  tensor host(extents, sluice::dtype::u8);
  std::memcpy(host.data(), pixels.data(), pixels.size());
  return host;
}

// Microseconds a call: of many in a row, and of one that is waited for.
struct times {
  double in_a_row = 0;
  double alone = 0;
};

using action = std::function<void()>;

std::vector<times> time_turns(const std::vector<action>& sides, int rounds) {
  constexpr int calls = 50;
  std::vector<std::vector<double>> rows(sides.size());
  std::vector<std::vector<double>> lone(sides.size());
  const auto since = [](steady::time_point begin) {
    return std::chrono::duration<double, std::micro>(steady::now() - begin).count();
  };
  for (int round = -1; round < rounds; ++round)  // the first warms up
    for (std::size_t turn = 0; turn < sides.size(); ++turn) {
      const std::size_t i = round % 2 == 0 ? turn : sides.size() - 1 - turn;
      must(cudaDeviceSynchronize());
      auto begin = steady::now();
      for (int c = 0; c < calls; ++c) sides[i]();
      must(cudaDeviceSynchronize());
      if (round >= 0) rows[i].push_back(since(begin) / calls);
      for (int c = 0; c < 5; ++c) {
        begin = steady::now();
        sides[i]();
        must(cudaDeviceSynchronize());
        if (round >= 0) lone[i].push_back(since(begin));
      }
    }
  std::vector<times> to;
  for (std::size_t i = 0; i < sides.size(); ++i) to.push_back({median(rows[i]), median(lone[i])});
  return to;
}

#if defined(HAVE_NPP)
// NPP's Canny, from a library found at run time.
class npp {
 public:
  npp() {
    for (const char* name : {"libnppif.so", "libnppif.so.13", "libnppif.so.12"})
      if (library_ == nullptr) library_ = dlopen(name, RTLD_NOW);
    if (library_ == nullptr) return;
    run_ = reinterpret_cast<decltype(run_)>(dlsym(library_, "nppiFilterCannyBorder_8u_C1R_Ctx"));
    const auto size = reinterpret_cast<decltype(&nppiFilterCannyBorderGetBufferSize)>(
        dlsym(library_, "nppiFilterCannyBorderGetBufferSize"));
    int bytes = 0;
    if (size == nullptr || size(extents, &bytes) != NPP_SUCCESS) run_ = nullptr;
    if (run_ == nullptr) return;
    must(cudaMalloc(&buffer_, static_cast<std::size_t>(bytes)));
    must(cudaMalloc(&result_, static_cast<std::size_t>(width) * height));
    cudaDeviceProp p{};
    must(cudaGetDeviceProperties(&p, 0));
    must(cudaStreamCreateWithFlags(&context_.hStream, cudaStreamNonBlocking));
    context_.nMultiProcessorCount = p.multiProcessorCount;
    context_.nMaxThreadsPerMultiProcessor = p.maxThreadsPerMultiProcessor;
    context_.nMaxThreadsPerBlock = p.maxThreadsPerBlock;
    context_.nSharedMemPerBlock = p.sharedMemPerBlock;
    context_.nCudaDevAttrComputeCapabilityMajor = p.major;
    context_.nCudaDevAttrComputeCapabilityMinor = p.minor;
    context_.nStreamFlags = cudaStreamNonBlocking;
  }
  [[nodiscard]] bool there() const { return run_ != nullptr; }
  void run(const std::uint8_t* image) {
    const NppStatus s =
        run_(image, width, extents, {0, 0}, result_, width, extents, NPP_FILTER_SOBEL, NPP_MASK_SIZE_3_X_3,
             static_cast<Npp16s>(low), static_cast<Npp16s>(high), nppiNormL1, NPP_BORDER_REPLICATE, buffer_, context_);
    must(s == NPP_SUCCESS, "NPP gives status " + std::to_string(s));
  }

 private:
  static constexpr NppiSize extents{width, height};
  void* library_ = nullptr;
  decltype(&nppiFilterCannyBorder_8u_C1R_Ctx) run_ = nullptr;
  Npp8u* buffer_ = nullptr;
  Npp8u* result_ = nullptr;
  NppStreamContext context_{};
};
#else
struct npp {
  [[nodiscard]] static bool there() { return false; }
  static void run(const std::uint8_t*) {}
};
#endif

// The device's edges have to be the CPU's.
double share_of_edges(const tensor& image, const tensor& host, sluice::edge_norm norm) {
  const tensor there = sluice::canny(image, low, high, {norm}, "cuda").to("cpu");
  const tensor here = sluice::canny(host, low, high, {norm}, "cpu");
  const auto* p = raw<std::uint8_t>(there);
  must(std::equal(p, p + there.count(), raw<std::uint8_t>(here)), "the edges are not the CPU's");
  return static_cast<double>(std::count(p, p + there.count(), 255)) / static_cast<double>(there.count());
}

}  // namespace

int main(int argc, char** argv) {
  const char* json = nullptr;
  int rounds = 21;
  std::vector<std::pair<std::string, std::vector<std::uint8_t>>> images{{"natural-like", bench::natural_like(height, width)},
                                                                        {"noise", bench::noise(height, width)},
                                                                        {"spiral", bench::spiral(height, width, 6)}};
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      json = argv[++i];
    } else if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
      rounds = std::atoi(argv[++i]);
    } else if (std::strcmp(argv[i], "--raw") == 0 && i + 1 < argc) {
      std::FILE* f = std::fopen(argv[++i], "rb");
      must(f != nullptr, std::string("cannot read ") + argv[i]);
      std::vector<std::uint8_t> pixels(static_cast<std::size_t>(width) * height);
      must(std::fread(pixels.data(), 1, pixels.size(), f) == pixels.size(),
           std::string(argv[i]) + " is shorter than 3840 x 2160");
      std::fclose(f);
      images.emplace_back(argv[i], std::move(pixels));
    } else {
      must(false, std::string("unknown option ") + argv[i]);
    }
  }
  std::FILE* out = json != nullptr ? std::fopen(json, "w") : nullptr;
  must(json == nullptr || out != nullptr, std::string("cannot write ") + (json != nullptr ? json : ""));
  for (const auto& d : sluice::devices())
    if (d.where.backend() == "cuda") std::printf("%s: %s\n", d.where.str().c_str(), d.description.c_str());
  try {
    npp peer;
    std::printf("%-36s %8s %10s %10s %10s %10s\n", "3840 x 2160, us", "edges", "in a row", "alone", "NPP", "alone");
    const auto line = [&](const std::string& name, const tensor& host, sluice::edge_norm norm = sluice::edge_norm::l1,
                          bool beside_npp = false) {
      const tensor image = host.to("cuda");
      const double edges = share_of_edges(image, host, norm);
      std::vector<action> sides{[&] { static_cast<void>(sluice::canny(image, low, high, {norm}, "cuda")); }};
      if (beside_npp && peer.there()) sides.emplace_back([&] { peer.run(raw<std::uint8_t>(image)); });
      const auto t = time_turns(sides, rounds);
      std::printf("%-36s %7.2f%% %10.1f %10.1f", name.c_str(), 100 * edges, t[0].in_a_row, t[0].alone);
      if (t.size() > 1) std::printf(" %10.1f %10.1f", t[1].in_a_row, t[1].alone);
      std::printf("\n");
      if (out == nullptr) return;
      std::fprintf(out, "{\"image\": \"%s\", \"us\": %.2f, \"us_alone\": %.2f", name.c_str(), t[0].in_a_row, t[0].alone);
      if (t.size() > 1) std::fprintf(out, ", \"npp_us\": %.2f, \"npp_us_alone\": %.2f", t[1].in_a_row, t[1].alone);
      std::fprintf(out, "}\n");
    };
    for (const auto& [name, pixels] : images) {
      const tensor grey = on_host(pixels, {height, width});
      line(name, grey, sluice::edge_norm::l1, true);
      line(name + ", l2", grey, sluice::edge_norm::l2);
      std::vector<std::uint8_t> colours;
      for (const auto p : pixels)
        colours.insert(colours.end(), {p, static_cast<std::uint8_t>(255 - p), static_cast<std::uint8_t>(p / 2)});
      line(name + ", colour", on_host(colours, {height, width, 3}));
    }
    line("64 of 224 x 224, noise", on_host(bench::noise(64 * 224, 224), {64, 224, 224, 1}));
    line("224 x 224, noise", on_host(bench::noise(224, 224), {224, 224}));
  } catch (const sluice::error& e) {
    must(false, e.what());
  }
  if (out != nullptr) std::fclose(out);
  return 0;
}

// resize of images in a device's memory on CUDA, beside the CPU's threads. Samples are compared first. Microseconds a call:
// medians of rounds, of 50 calls in a row and of one that is waited for; of the CPU, of one call.
//
//     cuda_resize [ROUNDS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "sluice/sluice.hpp"

namespace {

using sluice::resize_window;
using sluice::tensor;
using steady = std::chrono::steady_clock;

struct resizing {
  const char* name;
  sluice::shape extents;
  std::int64_t height;
  std::int64_t width;
  resize_window window;
};

const resizing all[] = {
    {"3840 x 2160 to 455 x 256", {2160, 3840, 3}, 256, 455, {}},
    {"3840 x 2160 grey to 455 x 256", {2160, 3840, 1}, 256, 455, {}},
    {"3840 x 2160, crop of 224", {2160, 3840, 3}, 256, 455, {16, 116, 224, 224}},
    {"1920 x 1080 to 455 x 256", {1080, 1920, 3}, 256, 455, {}},
    {"64 of 1920 x 1080 to 455 x 256", {64, 1080, 1920, 3}, 256, 455, {}},
    {"64 of 500 x 375, crop of 224", {64, 375, 500, 3}, 256, 341, {16, 58, 224, 224}},
    {"3840 x 2160 to 1920 x 1080", {2160, 3840, 3}, 1080, 1920, {}},
    {"960 x 540 to 3840 x 2160", {540, 960, 3}, 2160, 3840, {}},
    {"1080 x 2400 to 256 x 568, height first", {2400, 1080, 3}, 568, 256, {}},
};

tensor noise(const sluice::shape& extents) {
  tensor t(extents, sluice::dtype::u8);
  std::mt19937 random(1);
  auto* p = static_cast<std::uint8_t*>(t.data());
  for (std::int64_t i = 0; i < t.count(); ++i) p[i] = static_cast<std::uint8_t>(random() >> 24);
  return t;
}

template <class F>
double microseconds(int rounds, int calls, F&& call) {
  std::vector<double> times;
  for (int round = -1; round < rounds; ++round) {  // the first warms up
    tensor last;
    const auto begin = steady::now();
    for (int c = 0; c < calls; ++c) last = call();
    static_cast<void>(last.data());  // waits; the calls are in order of one queue, or nearly
    if (round >= 0) times.push_back(std::chrono::duration<double, std::micro>(steady::now() - begin).count() / calls);
  }
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[static_cast<std::size_t>(rounds / 2)];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 21;
  for (const auto& d : sluice::devices()) std::printf("%s: %s\n", d.where.str().c_str(), d.description.c_str());
  std::printf("%-40s %12s %10s %10s\n", "us", "in a row", "alone", "the CPU");
  try {
    for (const auto& r : all) {
      const tensor host = noise(r.extents);
      const tensor there = host.to("cuda");
      const auto on = [&](const tensor& image, const char* where) {
        return sluice::resize(image, r.height, r.width, {.window = r.window}, where);
      };
      const tensor found = on(there, "cuda").to("cpu");
      const tensor wanted = on(host, "cpu");
      if (std::memcmp(static_cast<const tensor&>(found).data(), wanted.data(), wanted.bytes()) != 0) {
        std::fprintf(stderr, "cuda_resize: %s has other samples than the CPU\n", r.name);
        return 1;
      }
      std::printf("%-40s %12.1f %10.1f %10.1f\n", r.name, microseconds(rounds, 50, [&] { return on(there, "cuda"); }),
                  microseconds(rounds, 1, [&] { return on(there, "cuda"); }),
                  microseconds(5, 1, [&] { return on(host, "cpu"); }));
    }
  } catch (const sluice::error& e) {
    std::fprintf(stderr, "cuda_resize: %s\n", e.what());
    return 1;
  }
}

// canny on every device beside OpenCV's cv::Canny on as many threads, where OpenCV is found (Debian: libopencv-imgproc-dev).
//
//     canny_bench [--images FOLDER] [--run quick]
//
// FOLDER has natural images as .npy, grey (H, W) and colour (H, W, 3): tests/ops/canny_natural.py writes scikit-image's. All
// of a kind are one case; without a folder there are only images made here. OpenCV runs in turns with sluice, on the CPU,
// and its pixels must be the same before anything is timed. Counters: ms_per_megapixel, of the median; opencv, the same of
// OpenCV; ratio, how many times as long OpenCV takes. With one thread the CPU's time is the thread's, which a busy machine
// does not change; else it is the clock's.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <random>

#include "running.hpp"
#include "sluice/npy.hpp"
#include "sluice/ops/canny.hpp"
#if defined(SLUICE_BENCH_OPENCV)
#include <opencv2/imgproc.hpp>
#endif

namespace {

using sluice::tensor;

std::string images_folder;

struct image_set {
  std::string name;
  std::vector<tensor> images;
};

double megapixels(const image_set& s) {
  double sum = 0;
  for (const auto& image : s.images) sum += static_cast<double>(image.extent(0) * image.extent(1)) * 1e-6;
  return sum;
}

template <class F>
tensor painted(std::int64_t height, std::int64_t width, std::int64_t channels, F value) {
  tensor t =
      channels == 1 ? tensor({height, width}, sluice::dtype::u8) : tensor({height, width, channels}, sluice::dtype::u8);
  auto* p = static_cast<std::uint8_t*>(t.data());
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t i = 0; i < width * channels; ++i)
      *p++ = static_cast<std::uint8_t>(value(y, i / channels, i % channels));
  return t;
}

tensor noise(std::int64_t height, std::int64_t width, std::int64_t channels) {
  std::minstd_rand random(1);
  return painted(height, width, channels, [&](auto...) { return random() >> 8 & 255; });
}

// Overlapping discs under some grain.
tensor discs(std::int64_t height, std::int64_t width, std::int64_t channels) {
  std::minstd_rand random(2);
  struct disc {
    std::int64_t y, x, radius, value;
  };
  std::vector<disc> all(60);
  const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(random()) % n; };
  for (auto& d : all) d = {below(height), below(width), 10 + below(200), below(200)};
  return painted(height, width, channels, [&](std::int64_t y, std::int64_t x, std::int64_t c) {
    std::int64_t value = 100 + (x + y) / 64 % 16;
    for (const auto& d : all)
      if ((y - d.y) * (y - d.y) + (x - d.x) * (x - d.x) < d.radius * d.radius) value = (d.value + 40 * c) % 200;
    return value + below(12);
  });
}

// A path that turns inwards, weak but for its inner end: hysteresis goes all its way.
tensor spiral(std::int64_t height, std::int64_t width) {
  constexpr std::int64_t stroke = 8;
  tensor t = tensor::zeros({height, width}, sluice::dtype::u8);
  const auto fill = [&](std::int64_t top, std::int64_t left, std::int64_t bottom, std::int64_t right, double value) {
    tensor part = t.slice(0, top, bottom).slice(1, left, right);
    part.assign(tensor::full(part.shape(), value, part.dtype()));
  };
  std::int64_t top = stroke, left = stroke, bottom = height - stroke, right = width - stroke;
  while (right - left > 6 * stroke && bottom - top > 6 * stroke) {
    fill(top, left == stroke ? left : left - 2 * stroke, top + stroke, right, 40);
    fill(top, right - stroke, bottom, right, 40);
    fill(bottom - stroke, left, bottom, right, 40);
    fill(top += 2 * stroke, left, bottom, left + stroke, 40);
    left += 2 * stroke;
    right -= 2 * stroke;
    bottom -= 2 * stroke;
  }
  fill(top, left - 2 * stroke, top + stroke, left, 255);
  return t;
}

std::vector<image_set> sets() {
  std::vector<image_set> all;
  const std::int64_t height = by_run(90, 1080, 2160);
  const std::int64_t width = by_run(160, 1920, 3840);
  for (const std::int64_t channels : {1, 3}) {
    const std::string kind = channels == 1 ? "grey" : "colour";
    all.push_back({kind + "/noise", {noise(height, width, channels)}});
    all.push_back({kind + "/discs", {discs(height, width, channels)}});
    if (channels == 1) all.push_back({kind + "/spiral", {spiral(height, width)}});
    if (images_folder.empty()) continue;
    image_set natural{kind + "/natural", {}};
    for (const auto& file : std::filesystem::directory_iterator(images_folder)) {
      if (file.path().extension() != ".npy") continue;
      tensor image = sluice::read_npy(file.path().string());
      if (image.rank() == (channels == 1 ? 2 : 3)) natural.images.push_back(std::move(image));
    }
    if (!natural.images.empty()) all.push_back(std::move(natural));
  }
  return all;
}

#if defined(SLUICE_BENCH_OPENCV)
tensor by_opencv(const tensor& image, sluice::edge_norm norm) {
  const auto height = static_cast<int>(image.extent(0));
  const auto width = static_cast<int>(image.extent(1));
  tensor out({height, width}, sluice::dtype::u8);
  cv::Mat edges(height, width, CV_8UC1, out.data());
  cv::Canny(cv::Mat(height, width, image.rank() == 2 ? CV_8UC1 : CV_8UC3, const_cast<void*>(image.data())), edges, 100, 200,
            3, norm == sluice::edge_norm::l2);
  return out;
}
#endif

double now(bool of_threads) {
  if (!of_threads) return std::chrono::duration<double>(clock_type::now().time_since_epoch()).count();
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

template <class F>
double timed(bool of_threads, F&& call) {
  const double start = now(of_threads);
  call();
  return now(of_threads) - start;
}

double median(std::vector<double> all) {
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  return *middle;
}

void edges(benchmark::State& state, const image_set& set, const sluice::device& where, sluice::edge_norm norm) {
  std::vector<tensor> there;
  for (const auto& image : set.images) there.push_back(image.to(where));
  std::vector<tensor> made(there.size());
  const auto ours = [&] {
    for (std::size_t i = 0; i < there.size(); ++i) made[i] = sluice::canny(there[i], 100, 200, {norm}, where);
    for (const auto& t : made) benchmark::DoNotOptimize(t.data());  // waits
  };
  const bool of_threads = where.is_cpu() && sluice::parallel_size() == 1;
  std::vector<double> times;
  ours();
#if defined(SLUICE_BENCH_OPENCV)
  cv::setNumThreads(sluice::parallel_size());
  std::vector<double> opencv_times;
  for (std::size_t i = 0; i < there.size(); ++i) {
    const tensor found = made[i].to("cpu");
    const tensor wanted = by_opencv(set.images[i], norm);
    if (std::memcmp(found.data(), wanted.data(), wanted.bytes()) != 0)
      return state.SkipWithError("other edges than OpenCV's");
  }
#endif
  for (auto _ : state) {
    times.push_back(timed(of_threads, ours));
    state.SetIterationTime(times.back());
#if defined(SLUICE_BENCH_OPENCV)
    opencv_times.push_back(timed(of_threads, [&] {
      for (const auto& image : set.images) benchmark::DoNotOptimize(by_opencv(image, norm).data());
    }));
#endif
  }
  state.counters["ms_per_megapixel"] = median(times) * 1e3 / megapixels(set);
#if defined(SLUICE_BENCH_OPENCV)
  state.counters["opencv"] = median(opencv_times) * 1e3 / megapixels(set);
  state.counters["ratio"] = median(opencv_times) / median(times);
#endif
}

void register_all() {
  for (const auto& set : sets())
    for (const auto& where : first_devices())
      for (const auto norm : {sluice::edge_norm::l1, sluice::edge_norm::l2})
        add("canny", "sluice", where.str(), "u8", set.name + (norm == sluice::edge_norm::l1 ? "/l1" : "/l2"),
            [=](benchmark::State& s) { edges(s, set, where, norm); });
}

}  // namespace

int main(int argc, char** argv) {
  images_folder = take_option(argc, argv, "--images");
  return run_benchmarks(argc, argv, register_all);
}

// Canny's edges beside those of OpenCV's cv::Canny: not one pixel may differ.
//
//   canny_opencv_test                  the images of the digests, and that canny_digests.hpp has what OpenCV gives
//   canny_opencv_test --all [FOLDER]   500 images made here, and those in FOLDER's .npy files, with both norms and 20 pairs
//   of
//                                      thresholds, on one device of each backend (SLUICE_TEST_DEVICE names one)
//   canny_opencv_test --digests        prints canny_digests.hpp's lines
#define DOCTEST_CONFIG_IMPLEMENT  // for what testing.hpp declares
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <opencv2/imgproc.hpp>

#include "canny_digests.hpp"
#include "canny_images.hpp"
#include "sluice/npy.hpp"

using namespace testing;

namespace {

tensor by_opencv(const tensor& image, const thresholds& t, sluice::edge_norm norm) {
  const auto height = static_cast<int>(image.extent(0));
  const auto width = static_cast<int>(image.extent(1));
  tensor out({height, width}, dtype::u8);
  cv::Mat edges(height, width, CV_8UC1, out.data());
  cv::Canny(cv::Mat(height, width, image.rank() == 2 ? CV_8UC1 : CV_8UC3, const_cast<void*>(image.data())), edges, t.low,
            t.high, 3, norm == sluice::edge_norm::l2);
  return out;
}

class comparison {
 public:
  void compare(const std::string& name, const tensor& image) {
    ++images_;
    for (const auto& where : devices_) {
      const tensor there = image.to(where);
      for (const auto norm : both_norms)
        for (const auto& t : threshold_pairs) {
          ++results_;
          const auto found = bytes_of(sluice::canny(there, t.low, t.high, {norm}, where));
          const auto wanted = bytes_of(by_opencv(image, t, norm));
          std::int64_t differ = 0;
          for (std::size_t i = 0; i < wanted.size(); ++i) differ += found[i] != wanted[i] ? 1 : 0;
          pixels_ += static_cast<double>(wanted.size());
          if (differ == 0) continue;
          ++wrong_;
          std::printf("%s on %s, thresholds %g and %g, norm %d: %" PRId64 " of %zu pixels differ\n", name.c_str(),
                      where.str().c_str(), t.low, t.high, static_cast<int>(norm), differ, wanted.size());
        }
    }
  }

  int report() const {
    std::printf("%d images, %d results, %.0f million pixels, OpenCV %s: %d results differ\n", images_, results_,
                pixels_ / 1e6, CV_VERSION, wrong_);
    return wrong_ == 0 && results_ > 0 ? 0 : 1;
  }

 private:
  std::vector<sluice::device> devices_ = one_of_each_backend();
  int images_ = 0;
  int results_ = 0;
  double pixels_ = 0;
  int wrong_ = 0;
};

std::uint64_t digest_by_opencv(const digest_image& image) {
  const tensor pixels = image_of(image);
  std::uint64_t hash = empty_digest;
  for (const auto norm : both_norms)
    for (const auto& t : std::span(threshold_pairs).first(4)) add_to_digest(hash, bytes_of(by_opencv(pixels, t, norm)));
  return hash;
}

int print_digests() {
  for (const auto& [image, digest] : opencv_digests)
    std::printf("    {{\"%s\", %" PRId64 ", %" PRId64 ", %" PRId64 "}, 0x%016" PRIx64 "},\n", image.kind, image.height,
                image.width, image.channels, digest_by_opencv(image));
  return 0;
}

int check_digests() {
  comparison c;
  int stale = 0;
  for (const auto& [image, digest] : opencv_digests) {
    const std::string name =
        std::string(image.kind) + " " + std::to_string(image.height) + " x " + std::to_string(image.width);
    if (digest_by_opencv(image) != digest) {
      ++stale;
      std::printf("%s: canny_digests.hpp has another digest than OpenCV %s\n", name.c_str(), CV_VERSION);
    }
    c.compare(name, image_of(image));
  }
  return c.report() == 0 && stale == 0 ? 0 : 1;
}

int compare_all(const char* folder) {
  comparison c;
  if (folder != nullptr)
    for (const auto& file : std::filesystem::directory_iterator(folder))
      if (file.path().extension() == ".npy")
        c.compare(file.path().filename().string(), sluice::read_npy(file.path().string()));
  numbers n(17);
  for (int i = 0; i < 500; ++i) {
    const char* kind = image_kinds[static_cast<std::size_t>(i) % std::size(image_kinds)];
    std::int64_t height = 1 + n.below(i % 10 == 0 ? 700 : 160);
    std::int64_t width = 1 + n.below(i % 10 == 0 ? 900 : 300);
    if (i % 29 == 0) height = 1;
    if (i % 31 == 0) width = 1;
    const std::int64_t channels = n.below(2) == 0 ? 1 : 3;
    c.compare(std::string(kind) + " " + std::to_string(i),
              image_of(kind, height, width, channels, static_cast<std::uint64_t>(i)));
  }
  c.compare("blocks of 16 megapixels", image_of("blocks", 3456, 4608, 1, 1));
  c.compare("a spiral of 16 megapixels", spiral(4096, 4096, 1, 8, 40));
  return c.report();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "--digests") return print_digests();
  return what == "--all" ? compare_all(argc > 2 ? argv[2] : nullptr) : check_digests();
}

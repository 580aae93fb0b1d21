// Digests of the edges that OpenCV 4.6's cv::Canny finds in images of canny_images.hpp, with both norms and the first four
// pairs of thresholds. canny_opencv_test --digests writes the lines.
#pragma once

#include "canny_images.hpp"

namespace testing {

struct opencv_digest {
  digest_image image;
  std::uint64_t digest;
};

// clang-format off
inline constexpr opencv_digest opencv_digests[] = {
    {{"noise", 61, 83, 1}, 0x2f2eb0fedd767b8a},
    {{"noise", 100, 129, 3}, 0xb545c8940c4465db},
    {{"noise", 257, 320, 1}, 0x9f19e49639b1164e},
    {{"noise", 240, 191, 3}, 0x603a1527854347ef},
    {{"sparse", 61, 83, 1}, 0x2e19f8a4a9680b9d},
    {{"sparse", 100, 129, 3}, 0x0a3a474ab5396684},
    {{"sparse", 257, 320, 1}, 0xb179b9fe41c01253},
    {{"sparse", 240, 191, 3}, 0xd3676c9ee1b20de1},
    {{"flat", 61, 83, 1}, 0x4df68e4231538c23},
    {{"flat", 100, 129, 3}, 0x56fbfafe3c316903},
    {{"flat", 257, 320, 1}, 0xf1b5a44405bf7b83},
    {{"flat", 240, 191, 3}, 0x6c4355a1d10ea983},
    {{"lines", 61, 83, 1}, 0x11269e27a87682c9},
    {{"lines", 100, 129, 3}, 0xbf3f017ffbce1732},
    {{"lines", 257, 320, 1}, 0xbb975da6b2803b66},
    {{"lines", 240, 191, 3}, 0x4ec93024d5d07556},
    {{"spiral", 61, 83, 1}, 0x4df68e4231538c23},
    {{"spiral", 100, 129, 3}, 0x17ed90eae4a111e3},
    {{"spiral", 257, 320, 1}, 0xc576157cd1433333},
    {{"spiral", 240, 191, 3}, 0x4df31cdf2f08896b},
    {{"board", 61, 83, 1}, 0xc0ba41d0ef6358fb},
    {{"board", 100, 129, 3}, 0x030b2fc833989e43},
    {{"board", 257, 320, 1}, 0xa250fa4325442f83},
    {{"board", 240, 191, 3}, 0xee06ae82716b5483},
    {{"waves", 61, 83, 1}, 0xa303761053960a8e},
    {{"waves", 100, 129, 3}, 0xd19b5f4237a044fd},
    {{"waves", 257, 320, 1}, 0x2e8cbfe3c889eb2f},
    {{"waves", 240, 191, 3}, 0x4e7798b89cbb9f45},
    {{"blocks", 61, 83, 1}, 0xcaa9ed71a0c2c5c7},
    {{"blocks", 100, 129, 3}, 0x65f97d1b7409eea7},
    {{"blocks", 257, 320, 1}, 0xfcb9e0d373762c98},
    {{"blocks", 240, 191, 3}, 0x436bb93883fa18d9},
    {{"steps", 61, 83, 1}, 0xc763403eef84ddbb},
    {{"steps", 100, 129, 3}, 0x749f1a237e1fc993},
    {{"steps", 257, 320, 1}, 0x75951307609f7583},
    {{"steps", 240, 191, 3}, 0x43961068cfe3976f},
    {{"noise", 1, 1, 1}, 0x47fe0d7eaf8e51e3},
    {{"waves", 1, 300, 1}, 0xdcb213accc4a749f},
    {{"waves", 300, 1, 3}, 0x06b3e3479696ed43},
    {{"blocks", 720, 1280, 1}, 0xc42bb7a10b62d526},
    {{"blocks", 720, 1280, 3}, 0xd935f5741a18aa47},
    {{"spiral", 700, 900, 1}, 0xa89818fdb2b11222},
    {{"noise", 540, 960, 1}, 0x7af194746b9b104c},
};
// clang-format on

}  // namespace testing

// Known pixels, options, and what encode() takes. Pixels beside Pillow's are in pillow_test.py.
#include "sluice/image.hpp"

#include "image_testing.hpp"

using namespace testing;
using image::decode;
using image::describe;
using image::encode;
using image::format;

TEST_CASE("a PNG of known pixels is decoded to them, as grey and as RGB") {
  const auto bytes = png(3, 2, std::string("\0\x01\x02\xff\0\x10\x20\x30", 8));
  const auto about = describe(bytes_of(bytes));
  CHECK(about.kind == format::png);
  CHECK(about.width == 3);
  CHECK(about.height == 2);
  CHECK(about.channels == 1);
  CHECK(about.orientation == 1);
  CHECK_FALSE(about.progressive);
  const auto grey = decode(bytes_of(bytes));
  CHECK(grey.shape() == shape{2, 3, 1});
  CHECK(grey.device() == sluice::device::cpu);
  CHECK(bytes_of(grey) == std::vector<std::uint8_t>{1, 2, 255, 16, 32, 48});
  const auto rgb = decode(bytes_of(bytes), {.channels = 3});
  CHECK(rgb.shape() == shape{2, 3, 3});
  CHECK(bytes_of(rgb) == std::vector<std::uint8_t>{1, 1, 1, 2, 2, 2, 255, 255, 255, 16, 16, 16, 32, 32, 32, 48, 48, 48});
}

TEST_CASE("a PNG of one long row whose data is stored, in blocks of 1,000 bytes, is decoded") {
  constexpr std::uint32_t width = 100'000;
  std::string raw(1 + width, '\0'), data = "\x78\x01";
  for (std::uint32_t i = 1; i <= width; ++i) raw[i] = static_cast<char>(i * 2654435761U >> 24);
  for (std::size_t at = 0; at < raw.size(); at += 1000) {
    const auto n = std::min<std::size_t>(1000, raw.size() - at);
    const auto low = static_cast<char>(n & 255), high = static_cast<char>(n >> 8);
    data += std::string{at + n == raw.size() ? '\1' : '\0', low, high, static_cast<char>(~low), static_cast<char>(~high)};
    data.append(raw, at, n);
  }
  data += big32(
      static_cast<std::uint32_t>(::adler32(1, reinterpret_cast<const Bytef*>(raw.data()), static_cast<uInt>(raw.size()))));
  const auto bytes = std::string(png_signature) + ihdr(width, 1) + chunk("IDAT", data) + chunk("IEND", "");
  const auto pixels = bytes_of(decode(bytes_of(bytes)));
  CHECK(std::equal(pixels.begin(), pixels.end(), raw.begin() + 1,
                   [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }));
}

TEST_CASE("what is encoded as PNG is decoded to the same pixels, from any strides") {
  for (const auto& extents : {shape{5, 7}, shape{5, 7, 1}, shape{5, 7, 3}, shape{1, 1}, shape{1, 9}, shape{9, 1, 3}}) {
    const auto pixels = random(extents, dtype::u8);
    const auto whole = extents.rank() == 2 ? pixels.reshape({extents[0], extents[1], 1}) : pixels;
    CHECK(same_bits(decode(encode(pixels, format::png)), whole));
    const auto turned = whole.transpose(0, 1);
    CHECK(same_bits(decode(encode(turned, format::png)), turned.contiguous()));
  }
  const auto wide = random({6, 40, 3}, dtype::u8);
  CHECK(same_bits(decode(encode(wide.slice(1, 3, 40, 2), format::png)), wide.slice(1, 3, 40, 2).contiguous()));
}

TEST_CASE("a bilevel PNG has white where a pixel is not 0, in widths around whole bytes") {
  for (std::int64_t width = 1; width <= 18; ++width) {
    auto pixels = random({3, width}, dtype::u8, static_cast<std::uint64_t>(width));
    auto view = pixels.view<std::uint8_t, 2>();
    for (std::int64_t x = 0; x < width; x += 2) view(1, x) = 0;
    const auto back = decode(encode(pixels, format::png, {.bilevel = true}));
    auto expected = bytes_of(pixels);
    for (auto& pixel : expected) pixel = pixel == 0 ? 0 : 255;
    CHECK(bytes_of(back) == expected);
  }
}

TEST_CASE("a JPEG of one colour keeps it, and quality changes the size") {
  for (const int channels : {1, 3}) {
    const auto flat = tensor::full({20, 33, channels}, 200, dtype::u8);
    const auto bytes = encode(flat, format::jpeg);
    const auto about = describe(bytes);
    CHECK(about.kind == format::jpeg);
    CHECK(about.width == 33);
    CHECK(about.height == 20);
    CHECK(about.channels == channels);
    CHECK(same_bits(decode(bytes), flat));
    CHECK(same_bits(decode(bytes, {.channels = 1}), tensor::full({20, 33, 1}, 200, dtype::u8)));
    CHECK(same_bits(decode(bytes, {.channels = 3}), tensor::full({20, 33, 3}, 200, dtype::u8)));
  }
  const auto noise = random({64, 64, 3}, dtype::u8);
  CHECK(encode(noise, format::jpeg, {.quality = 20}).size() * 2 < encode(noise, format::jpeg, {.quality = 95}).size());
}

TEST_CASE("pixels go to pinned memory, and not to a device's own") {
  const auto bytes = encode(random({4, 5}, dtype::u8), format::png);
  CHECK_REFUSED(decode(bytes, {}, "cuda:0", sluice::memory::device), invalid_argument, "cuda:0", "memory::pinned");
}

TEST_CASE("options that decode() and encode() do not take are refused with the numbers") {
  const auto pixels = random({4, 5, 3}, dtype::u8);
  const auto bytes = encode(pixels, format::png);
  CHECK_REFUSED(decode(bytes, {.channels = 2}), invalid_argument, "channels is 2", "0, 1 or 3");
  CHECK_REFUSED(decode(bytes, {.channels = -1}), invalid_argument, "channels is -1");
  CHECK_REFUSED(decode(bytes, {.most_pixels = 0}), invalid_argument, "most_pixels is 0");
  CHECK_REFUSED(encode(pixels, format::jpeg, {.quality = 0}), invalid_argument, "quality is 0", "1 to 100");
  CHECK_REFUSED(encode(pixels, format::jpeg, {.quality = 101}), invalid_argument, "quality is 101");
  CHECK_REFUSED(encode(pixels, format::png, {.bilevel = true}), invalid_argument, "bilevel", "(4, 5, 3)");
  CHECK_REFUSED(encode(pixels[0], format::jpeg, {.bilevel = true}), invalid_argument, "bilevel", "jpeg");
  CHECK_REFUSED(encode(random({4, 5}, dtype::f32), format::png), invalid_argument, "f32 (4, 5)", "u8");
  CHECK_REFUSED(encode(random({4, 5, 2}, dtype::u8), format::png), invalid_argument, "(4, 5, 2)");
  CHECK_REFUSED(encode(random({5}, dtype::u8), format::png), invalid_argument, "(5)");
  CHECK_REFUSED(encode(random({0, 5}, dtype::u8), format::png), invalid_argument, "5 x 0");
  CHECK_REFUSED(encode(random({2, 65'501}, dtype::u8), format::jpeg), invalid_argument, "65501 x 2", "65500");
  CHECK_REFUSED(encode(random({1'000'001, 1}, dtype::u8), format::png), invalid_argument, "1 x 1000001", "1000000");
}

TEST_CASE("the largest extents that can be written are read again") {
  const auto row = random({1, 65'500}, dtype::u8);
  CHECK(decode(encode(row, format::jpeg)).shape() == shape{1, 65'500, 1});
  const auto column = random({1'000'000, 1}, dtype::u8);
  CHECK(same_bits(decode(encode(column, format::png)).reshape({1'000'000, 1}), column));
}

TEST_CASE("each reason has its name and its code") {
  CHECK(name_of(format::jpeg) == "jpeg");
  CHECK(name_of(format::png) == "png");
  const std::pair<refusal, error_code> reasons[] = {{refusal::unrecognised, error_code::unsupported},
                                                    {refusal::unsupported, error_code::unsupported},
                                                    {refusal::too_large, error_code::limit_exceeded},
                                                    {refusal::truncated, error_code::malformed},
                                                    {refusal::corrupt, error_code::malformed}};
  std::string names;
  for (const auto& [reason, code] : reasons) {
    CHECK(image::bad_image(reason, "why").code() == code);
    CHECK(image::bad_image(reason, "why").what() == std::string("why"));
    names += std::string(name_of(reason)) + ' ';
  }
  CHECK(names == "unrecognised unsupported too_large truncated corrupt ");
}

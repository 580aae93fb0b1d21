// Bytes that are refused: by reason, with the numbers, and before memory is taken.
#include <sys/resource.h>

#include "image_testing.hpp"

using namespace testing;
using image::decode;
using image::describe;
using image::most_scans;

namespace {

constexpr unsigned sof0 = 0xc0, dht = 0xc4, dqt = 0xdb, eoi = 0xd9, sos = 0xda, dnl = 0xdc, app0 = 0xe0, com = 0xfe;

std::string with(std::string bytes, std::size_t at, const std::string& replacement) {
  return bytes.replace(at, replacement.size(), replacement);
}
std::string before(const std::string& bytes, std::size_t at, const std::string& more) {
  return bytes.substr(0, at) + more + bytes.substr(at);
}

// With another size in its frame header.
std::string claiming(const std::string& jpeg, unsigned width, unsigned height) {
  return with(jpeg, find_marker(jpeg, sof0) + 5, big16(height) + big16(width));
}

// Between 2 markers; the bytes of a scan, with its header.
std::string scan_of(const std::string& jpeg) {
  return jpeg.substr(find_marker(jpeg, sos), find_marker(jpeg, eoi) - find_marker(jpeg, sos));
}

long most_memory_kib() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return use.ru_maxrss;
}

}  // namespace

TEST_CASE("what is neither is unrecognised") {
  CHECK_BAD("", unrecognised, "0 bytes");
  CHECK_BAD("this is text, whatever its media type says", unrecognised, "42 bytes");
  CHECK_BAD("\xff\xd8", unrecognised);
  CHECK_BAD("GIF89a", unrecognised);
  CHECK_BAD(std::string(png_signature.substr(0, 7)), unrecognised);
}

TEST_CASE("sizes above most_pixels are refused from the header, without memory") {
  // 3 kB and 49 kB that claim 20000 x 20000.
  const auto tall = claiming(jpeg(32, 32), 20000, 20000);
  const auto wide =
      std::string(png_signature) + ihdr(20000, 20000) + chunk("IDAT", std::string(49'000, 'x')) + chunk("IEND", "");
  const auto huge = claiming(jpeg(1, 1, 1), 65535, 65535);
  CHECK(tall.size() < 4000);
  const long before_it = most_memory_kib();
  CHECK_BAD(tall, too_large, "20000 x 20000", "400000000 pixels", "100000000 at most");
  CHECK_BAD(wide, too_large, "20000 x 20000", "400000000 pixels", "100000000 at most");
  CHECK_BAD(huge, too_large, "65535 x 65535");
  CHECK_BAD(std::string(png_signature) + ihdr(0x7fffffff, 0x7fffffff) + chunk("IDAT", "x") + chunk("IEND", ""), too_large,
            "2147483647", "1000000 columns");
  CHECK_BAD(std::string(png_signature) + ihdr(1'000'001, 1) + chunk("IDAT", "x") + chunk("IEND", ""), too_large,
            "1000001 x 1");
  CHECK(most_memory_kib() - before_it < 4096);
  const auto at_limit = png(3, 2, std::string(8, '\0'));
  CHECK(decode(bytes_of(at_limit), {.most_pixels = 6}).shape() == shape{2, 3, 1});
  CHECK(refused_as(refusal::too_large, at_limit, {"3 x 2 are 6 pixels: 5 at most"}, {.most_pixels = 5}) == "");
}

TEST_CASE("a size within the limit that so few bytes cannot encode takes no memory") {
  const auto grey = claiming(jpeg(1, 1, 1), 10000, 10000);
  const auto png_bytes =
      std::string(png_signature) + ihdr(10000, 10000) + chunk("IDAT", deflated(std::string(1000, '\0'))) + chunk("IEND", "");
  const long before_it = most_memory_kib();
  CHECK_BAD(grey, truncated, "10000 x 10000", "195313 bytes");
  CHECK_BAD(png_bytes, truncated, "10000 x 10000", "96899 bytes");
  CHECK(most_memory_kib() - before_it < 4096);
}

TEST_CASE("a JPEG that ends early is truncated wherever it ends") {
  const auto whole = jpeg(40, 40);
  REQUIRE(whole.size() > 1500);
  CHECK_BAD(whole.substr(0, 700), truncated, "700 bytes");
  std::size_t wrong = 0;
  for (std::size_t size = 3; size < whole.size(); ++size)
    if (refused_as(refusal::truncated, whole.substr(0, size), {std::to_string(size) + " bytes"}) != "") ++wrong;
  CHECK(wrong == 0);
  CHECK(decode(bytes_of(whole)).shape() == shape{40, 40, 3});
}

TEST_CASE("a JPEG whose scan is cut and then ended is corrupt, not completed with grey") {
  const auto whole = jpeg(40, 40);
  const auto at = find_marker(whole, sos);
  for (const std::size_t kept : {100u, 500u, 900u}) CHECK_BAD(whole.substr(0, at + kept) + big16(0xffd9), corrupt);
  const auto grey = jpeg(64, 64, 1);
  CHECK_BAD(claiming(grey, 64, 72), corrupt, "JPEG");
  CHECK_BAD(claiming(grey, 64, 56), corrupt, "JPEG");  // codes are left over
}

TEST_CASE("bytes after the end are ignored") {
  const auto j = jpeg(20, 10);
  CHECK(same_bits(decode(bytes_of(j + "a preview that a camera appends \xff\xd8\xff")), decode(bytes_of(j))));
  const auto p = png(2, 1, std::string("\0\1\2", 3));
  CHECK(same_bits(decode(bytes_of(p + "more")), decode(bytes_of(p))));
}

TEST_CASE("scans are counted before they are decoded") {
  const auto whole = jpeg(8, 8, 1);
  const auto scan = scan_of(whole);
  std::string many = whole.substr(0, find_marker(whole, sos));
  for (int i = 0; i < 1000; ++i) many += scan;
  CHECK_BAD(many + big16(0xffd9), unsupported, "more than 100 scans");
  CHECK(most_scans == 100);
  // Twice the same scan of a baseline file is for the library to refuse.
  CHECK_BAD(whole.substr(0, find_marker(whole, eoi)) + scan + big16(0xffd9), corrupt);
}

TEST_CASE("kinds of JPEG that are not decoded are named") {
  const auto whole = jpeg(16, 16);
  const auto at = find_marker(whole, sof0);
  CHECK_BAD(claiming(whole, 16, 0), unsupported, "height is 0", "DNL");
  CHECK_BAD(before(claiming(whole, 16, 0), find_marker(whole, eoi), segment(dnl, big16(16))), unsupported, "DNL");
  CHECK_BAD(with(whole, at + 4, "\x0c"), unsupported, "12");
  CHECK_BAD(with(whole, at + 1, "\xc3"), unsupported, "SOF3 is lossless");
  CHECK_BAD(with(whole, at + 1, "\xc6"), unsupported, "SOF6 is hierarchical");
  CHECK_BAD(with(whole, at + 1, "\xc9"), unsupported, "SOF9 is arithmetic");
  const std::string component("\1\x11\0", 3);
  const auto frame_of = [&](int components) {
    std::string content = '\x08' + big16(16) + big16(16) + static_cast<char>(components);
    for (int i = 0; i < components; ++i) content += component;
    return whole.substr(0, at) + segment(sof0, content) + whole.substr(find_marker(whole, dht));
  };
  CHECK_BAD(frame_of(4), unsupported, "4 components", "CMYK");
  CHECK_BAD(frame_of(2), unsupported, "2 components");
  CHECK_BAD(frame_of(0), unsupported, "0 components");
  CHECK_BAD(frame_of(255), unsupported, "255 components");
}

TEST_CASE("a JPEG with wrong markers or headers is corrupt") {
  const auto whole = jpeg(16, 16);
  const auto frame = find_marker(whole, sof0), scan = find_marker(whole, sos);
  CHECK_BAD(claiming(whole, 0, 16), corrupt, "0 x 16");
  CHECK_BAD(before(whole, scan, whole.substr(frame, 19)), corrupt, "two frame headers");
  CHECK_BAD(before(whole, find_marker(whole, eoi), whole.substr(frame, 19)), corrupt, "two frame headers");
  CHECK_BAD(with(whole, frame + 11, std::string(1, '\0')), corrupt, "sampled 0 x 0");
  CHECK_BAD(with(whole, frame + 11, "\x51"), corrupt, "sampled 5 x 1");
  CHECK_BAD(with(whole, frame + 2, big16(18)), corrupt);
  CHECK_BAD(with(whole, 4, big16(1)), corrupt, "length 1");
  CHECK_BAD(before(whole, 2, "\xff\xd8"), corrupt, "0xd8");
  CHECK_BAD(before(whole, 2, "\xff\xd0"), corrupt, "0xd0");
  CHECK_BAD(before(whole, scan, "x"), corrupt, "begins with 0xff");
  CHECK_BAD(whole.substr(0, frame) + big16(0xffd9), corrupt, "EOI before a frame header");
  CHECK_BAD(whole.substr(0, scan) + big16(0xffd9), corrupt, "no scan");
  CHECK_BAD(whole.substr(0, frame) + whole.substr(scan), corrupt, "a scan before a frame header");
  const auto tables = find_marker(whole, dqt);
  CHECK_BAD(whole.substr(0, tables) + whole.substr(frame), corrupt, "Quantization table");
  // Fill bytes and segments that are not needed are taken.
  const auto padded = before(before(whole, frame, "\xff\xff"), 2, segment(com, "a comment") + segment(app0 + 13, "more"));
  CHECK(same_bits(decode(bytes_of(padded)), decode(bytes_of(whole))));
}

TEST_CASE("a PNG that ends early is truncated wherever it ends") {
  const auto whole = text_of(image::encode(random({9, 8, 3}, dtype::u8), image::format::png));
  std::size_t wrong = 0;
  for (std::size_t size = png_signature.size(); size < whole.size(); ++size)
    if (refused_as(refusal::truncated, whole.substr(0, size), {std::to_string(size) + " bytes end before IEND"}) != "")
      ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("every wrong checksum of a PNG is corrupt") {
  const std::string raw("\0\1\2\3\0\4\5\6", 8);
  const auto flipped = [](std::string bytes, std::size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
  };
  const auto crc_of = [](const std::string& bytes, const std::string& name) {
    const auto at = bytes.find(name);
    return at + 4 + static_cast<unsigned char>(bytes[at - 1]);
  };
  const auto whole = png(3, 2, raw, chunk("tEXt", std::string("Title\0x", 7)) + chunk("gAMA", big32(45455)));
  CHECK(decode(bytes_of(whole)).shape() == shape{2, 3, 1});
  for (const auto* name : {"IHDR", "IDAT", "IEND", "tEXt", "gAMA"})
    CHECK_BAD(flipped(whole, crc_of(whole, name)), corrupt, "CRC");
  // Adler-32, at the end of the compressed data, under a right CRC; and data that goes on, or stops.
  const auto of_data = [](const std::string& data) {
    return std::string(png_signature) + ihdr(3, 2) + chunk("IDAT", data) + chunk("IEND", "");
  };
  const auto data = deflated(raw);
  CHECK_BAD(of_data(flipped(data, data.size() - 1)), corrupt);
  CHECK_BAD(of_data(data.substr(0, data.size() - 4)), corrupt);
  CHECK_BAD(of_data(data.substr(0, data.size() - 6)), corrupt);
  CHECK_BAD(of_data(data + "more"), corrupt);
  CHECK_BAD(of_data(deflated(raw + "more")), corrupt);
  CHECK_BAD(of_data(deflated(raw.substr(0, 7))), corrupt);
  CHECK_BAD(of_data("no zlib stream"), corrupt);
  CHECK_BAD(of_data(deflated(std::string("\5\1\2\3\0\4\5\6", 8))), corrupt, "filter");
}

TEST_CASE("a PNG with wrong chunks is corrupt, and one with a critical chunk that is not known unsupported") {
  const std::string raw("\0\1\2\3\0\4\5\6", 8), head(png_signature), end = chunk("IEND", "");
  const auto data = chunk("IDAT", deflated(raw));
  CHECK_BAD(head + ihdr(0, 2) + data + end, corrupt, "0 x 2");
  CHECK_BAD(head + ihdr(3, 0x80000000u) + data + end, corrupt, "2147483648");
  CHECK_BAD(head + ihdr(3, 2, 3) + data + end, corrupt, "colour type 0 with 3 bits");
  CHECK_BAD(head + ihdr(3, 2, 4, 2) + data + end, corrupt, "colour type 2 with 4 bits");
  CHECK_BAD(head + ihdr(3, 2, 8, 5) + data + end, corrupt, "colour type 5");
  CHECK_BAD(head + ihdr(3, 2, 8, 0, 2) + data + end, corrupt, "interlace 2");
  CHECK_BAD(head + ihdr(3, 2) + end, corrupt, "IEND");
  CHECK_BAD(head + data + end, corrupt, "IHDR", "first");
  CHECK_BAD(head + ihdr(3, 2) + ihdr(3, 2) + data + end, corrupt, "IHDR");
  CHECK_BAD(head + ihdr(3, 2, 8, 3) + data + end, corrupt, "PLTE");
  CHECK_BAD(head + ihdr(3, 2) + data + chunk("tEXt", std::string("a\0b", 3)) + data + end, corrupt);
  CHECK_BAD(head + ihdr(3, 2) + chunk("CRIT", "") + data + end, unsupported, "CRIT");
  CHECK_BAD(head + ihdr(3, 2) + big32(0xffffffffu) + "IDAT" + data, truncated);
}

TEST_CASE("of an animation the default image counts: bad, it is refused, and bad frames after it are not looked at") {
  const std::string raw("\0\1\2\3\0\4\5\6", 8);
  const auto control = chunk("acTL", big32(2) + big32(0)), frame = chunk("fcTL", std::string(26, '\0'));
  const auto bad_frame = frame + chunk("fdAT", big32(1) + "no zlib stream");
  const auto good = std::string(png_signature) + ihdr(3, 2) + control + frame + chunk("IDAT", deflated(raw));
  CHECK(bytes_of(decode(bytes_of(good + bad_frame + chunk("IEND", "")))) == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  const auto bad =
      std::string(png_signature) + ihdr(3, 2) + control + frame + chunk("IDAT", "no zlib stream") + chunk("IEND", "");
  CHECK_BAD(bad, corrupt);
}

TEST_CASE("chunks that change no pixel cost nothing: not even compressed text that would fill memory") {
  const std::string raw("\0\1\2\3\0\4\5\6", 8);
  const auto bomb = deflated(std::string(50'000'000, 'a'));
  std::string more;
  for (int i = 0; i < 20; ++i)
    more += chunk("zTXt", std::string("Title\0\0", 7) + bomb) + chunk("iCCP", std::string("x\0\0", 3) + bomb);
  const auto bytes = png(3, 2, raw, more);
  const long before_it = most_memory_kib();
  CHECK(decode(bytes_of(bytes)).shape() == shape{2, 3, 1});
  CHECK(most_memory_kib() - before_it < 4096);
}

TEST_CASE("describe() reads headers alone") {
  const auto whole = jpeg(40, 30);
  const auto about = describe(bytes_of(std::string_view(whole).substr(0, find_marker(whole, sos) + 20)));
  CHECK(about.width == 40);
  CHECK(about.height == 30);
  CHECK(describe(bytes_of(claiming(whole, 20000, 20000))).width == 20000);
}

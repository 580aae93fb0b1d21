// Numbers in and out of JSON: every reading is what strtof and strtod read, every printing reads back as the same bits.
#include "codec/print_number.hpp"
#include "codec/read_number.hpp"

#include <cstdlib>
#include <string>

#include "testing.hpp"

using namespace sluice::serving;
using testing::numbers;

namespace {

template <class T>
using bits_of = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
T reference(const std::string& text) {
  if constexpr (sizeof(T) == 4) return std::strtof(text.c_str(), nullptr);
  return static_cast<T>(std::strtod(text.c_str(), nullptr));
}

// The text is all of a number, and read as the C library reads it; text that the reader leaves to others is fine as well.
template <class T>
bool reads_right(const std::string& text, bool& taken) {
  const std::string padded = text + std::string(16, '\0');
  const char* p = padded.data();
  T x{};
  taken = read_json_number(p, x);
  if (!taken) return true;
  return p == padded.data() + text.size() && std::bit_cast<bits_of<T>>(x) == std::bit_cast<bits_of<T>>(reference<T>(text));
}

template <class T>
std::string printed(T x) {
  char buffer[96];
  char* const end = print_number(buffer, x);
  CHECK(end - buffer <= print_width<T>());
  return {buffer, end};
}

template <class T>
void check_round_trips(int count, std::uint64_t seed) {
  numbers n(seed);
  int wrong = 0;
  int left = 0;
  for (int i = 0; i < count; ++i) {
    const T x = std::bit_cast<T>(static_cast<bits_of<T>>(n.next()));
    if (!std::isfinite(x)) continue;
    char buffer[96];
    char* const end = print_number(buffer, x);
    const std::string text(buffer, end);
    bool taken = false;
    const bool same = std::bit_cast<bits_of<T>>(reference<T>(text)) == std::bit_cast<bits_of<T>>(x) &&
                      text == fmt::format("{}", x) && end - buffer <= print_width<T>() && reads_right<T>(text, taken);
    left += taken ? 0 : 1;
    if (!same && wrong++ == 0) CHECK_MESSAGE(same, text);
  }
  CHECK(wrong == 0);
  CHECK(left < count / 100);  // denormals at most
}

}  // namespace

TEST_CASE("random bits: printed, read back, and in no more digits than fmt needs") {
  check_round_trips<float>(400'000, 1);
  check_round_trips<double>(400'000, 2);
}

TEST_CASE("random decimals of any length are read to the nearest value") {
  numbers n(3);
  int wrong = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string text = n.below(2) == 0 ? "-" : "";
    const auto digits = [&](std::int64_t most) {
      for (auto k = n.below(most); k >= 0; --k) text += static_cast<char>('0' + n.below(10));
    };
    if (n.below(3) == 0)
      text += '0';
    else
      text += static_cast<char>('1' + n.below(9)), digits(12);
    if (n.below(4) != 0) text += '.', digits(24);
    if (n.below(3) == 0) (text += 'e') += std::to_string(n.below(100) - 50);
    bool taken = false;
    wrong += reads_right<float>(text, taken) && reads_right<double>(text, taken) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("decimals half-way between two floats, and a little beside them") {
  numbers n(4);
  int wrong = 0;
  int taken_count = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(0x30000000u + n.next() % 0x1f000000u));
    const double half = (static_cast<double>(x) + std::nextafter(x, 3e38f)) / 2;
    for (const auto& text :
         {fmt::format("{:.60f}", half), fmt::format("{:.17g}", half), fmt::format("{:.60f}1", half),
          fmt::format("{:.18g}", std::nextafter(half, 0.0)), fmt::format("{:.17g}", std::nextafter(half, 9e37))}) {
      bool taken = false;
      wrong += reads_right<float>(text, taken) ? 0 : 1;
      taken_count += taken ? 1 : 0;
    }
  }
  CHECK(wrong == 0);
  CHECK(taken_count > 90'000);
}

TEST_CASE("numbers at the edges") {
  const auto value = [](std::string_view text, auto& out) {
    const std::string padded = std::string(text) + std::string(16, '\0');
    const char* p = padded.data();
    return read_json_number(p, out) && p == padded.data() + text.size();
  };
  float f = 7;
  for (const char* text : {"0", "-0.0", "0.1", "16777217", "3.4028235e38", "1.17549435e-38", "1.4e-45", "1E2", "1e+2",
                           "9007199254740993", "123456789012345678901234567890", "0.000000000000000000000000000000001"}) {
    REQUIRE_MESSAGE(value(text, f), text);
    CHECK_MESSAGE(std::bit_cast<std::uint32_t>(f) == std::bit_cast<std::uint32_t>(std::strtof(text, nullptr)), text);
  }
  double d = 7;
  CHECK(value("1.7976931348623157e308", d));
  CHECK(d == std::numeric_limits<double>::max());
  CHECK(value("5e-324", d));
  CHECK(d == 5e-324);
  CHECK(value(std::string(5000, '9'), d) == false);
  CHECK(value("0." + std::string(5000, '9'), d));
  CHECK(d == 1);
  for (const char* text : {"1e400", "3.5e38", "NaN", "nan", "Infinity", "-",    "",    ".5",      "5.",  "01", "-01",
                           "00",    "+1",     "1e",  "1e+", "1.e5",     "0x10", "1_0", "1e99999", "--1", "1-"})
    CHECK_MESSAGE(!value(text, f), text);
  std::uint8_t u = 0;
  CHECK(value("255", u));
  CHECK(u == 255);
  std::int64_t i = 0;
  CHECK(value("-999999999999999999", i));
  CHECK(i == -999999999999999999);
  for (const char* text : {"256", "-1", "1.5", "1e3", "99999999999999999999", "1.", "01.0", "1.0e", "1e-2"})
    CHECK_MESSAGE(!value(text, u), text);
  for (const char* text : {"100", "100.0", "1e2", "1E+2", "0.1e3", "10000e-2", "100.00000000000000000000000000000000"}) {
    REQUIRE_MESSAGE(value(text, u), text);
    CHECK(u == 100);
  }
}

TEST_CASE("printing") {
  CHECK(printed(0.0f) == "0");
  CHECK(printed(-0.0) == "-0.0");
  CHECK(printed(-0.0f) == "-0.0");
  CHECK(printed(0.1f) == "0.1");
  CHECK(printed(0.1) == "0.1");
  CHECK(printed(19.0f) == "19");
  CHECK(printed(16777216.0f) == "16777216");
  CHECK(printed(1e15f) == "1000000000000000");
  CHECK(printed(-1234567948140544.0f) == "-1234568000000000");
  CHECK(printed(1e16f) == "1e+16");
  CHECK(printed(1e20) == "1e+20");
  CHECK(printed(0.0001f) == "0.0001");
  CHECK(printed(0.00001234f) == "1.234e-05");
  CHECK(printed(-1.17549435e-38f) == "-1.1754944e-38");
  CHECK(printed(1e-45f) == "1e-45");
  CHECK(printed(5e-324) == "5e-324");
  CHECK(printed(-2.2250738585072014e-308) == "-2.2250738585072014e-308");
  CHECK(printed(1234567890123456.7) == "1234567890123456.8");
  CHECK(printed(123456789.0) == "123456789");
  CHECK(printed(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
}

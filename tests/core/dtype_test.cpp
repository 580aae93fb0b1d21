// Element types: names, sizes, and the two 16-bit floats over all their patterns.
#include <limits>
#include <type_traits>

#include "testing.hpp"

using namespace testing;
using reference::real;
using sluice::bfloat16;
using sluice::float16;

TEST_CASE("every dtype has a name that reads back, a size and a C++ type") {
  for (const dtype t : every_dtype) {
    INFO(text(t));
    CHECK(sluice::parse_dtype(sluice::name_of(t)) == t);
    CHECK(static_cast<std::int64_t>(sluice::size_of(t)) == reference::size_of(code_of(t)));
    CHECK(sluice::is_floating(t) == !reference::is_integer(code_of(t)));
    sluice::visit(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      CHECK(sizeof(T) == sluice::size_of(t));
      CHECK(sluice::dtype_of<T> == t);
      CHECK(sluice::dtype_of<const T> == t);
    });
  }
}

TEST_CASE("long names are known, too") {
  const std::pair<const char*, dtype> names[] = {{"float64", dtype::f64}, {"double", dtype::f64},  {"float32", dtype::f32},
                                                 {"float", dtype::f32},   {"float16", dtype::f16}, {"bfloat16", dtype::bf16},
                                                 {"int64", dtype::i64},   {"int32", dtype::i32},   {"uint8", dtype::u8}};
  for (const auto& [name, t] : names) CHECK(sluice::parse_dtype(name) == t);
}

TEST_CASE("any other name is refused, and quoted up to 64 letters") {
  for (const char* name : {"", "f", "F32", "f32 ", "int8", "u16"})
    CHECK_REFUSED(sluice::parse_dtype(name), invalid_argument, in_quotes(name), "f64, f32, f16, bf16, i64, i32, u8");
  const std::string longer(1000, 'x');
  CHECK_REFUSED(sluice::parse_dtype(longer), invalid_argument, in_quotes(longer.substr(0, 64)));
  CHECK_REFUSED(sluice::visit(static_cast<dtype>(9), [](auto) {}), invalid_argument, "9");
}

TEST_CASE("every float16 is the number that its bits say, and comes back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    float16 h;
    h.bits = static_cast<std::uint16_t>(bits);
    const real exact = reference::f16.decode(bits);
    const auto f = static_cast<float>(h);
    if (std::isnan(exact)) {
      REQUIRE(std::isnan(f));
      REQUIRE((float16(f).bits & 0x7fffu) == 0x7e00u);
      REQUIRE(std::signbit(f) == (bits >= 0x8000u));
      continue;
    }
    REQUIRE(f == exact);
    REQUIRE(std::signbit(f) == (bits >= 0x8000u));
    REQUIRE(float16(f).bits == bits);
  }
}

TEST_CASE("every bfloat16 is the number that its bits say, and comes back") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    bfloat16 h;
    h.bits = static_cast<std::uint16_t>(bits);
    const real exact = reference::bf16.decode(bits);
    const auto f = static_cast<float>(h);
    if (std::isnan(exact)) {
      REQUIRE(std::isnan(f));
      REQUIRE(std::isnan(static_cast<float>(bfloat16(f))));
      continue;
    }
    REQUIRE(f == exact);
    REQUIRE(std::signbit(f) == (bits >= 0x8000u));
    REQUIRE(bfloat16(f).bits == bits);
  }
}

namespace {

template <class H>
void check_rounding(float f, const reference::small_float& slow) {
  const auto expected = slow.encode(f);
  if (std::isnan(f))
    REQUIRE(std::isnan(static_cast<float>(H(f))));
  else
    REQUIRE_MESSAGE(H(f).bits == expected, f, " rounds to ", expected, ", not ", H(f).bits);
}

// Every number of the small type, the ties to its neighbours, and the floats next to both.
template <class H>
void check_around_all(const reference::small_float& slow) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const real here = slow.decode(bits);
    const real next = slow.decode(static_cast<std::uint16_t>(bits + 1));
    if (std::isnan(here) || std::isinf(here)) continue;
    const real tie = std::isfinite(next) && next != 0 ? (here + next) / 2 : here * (1 + 1.0L / (2 << slow.mantissa_bits));
    for (const real x : {here, tie}) {
      const auto f = static_cast<float>(x);
      for (const float g : {f, std::nextafter(f, 2 * f), std::nextafter(f, 0.0f)}) check_rounding<H>(g, slow);
    }
  }
}

}  // namespace

TEST_CASE("rounding goes to the nearest, ties to even, as the slow way does") {
  check_around_all<float16>(reference::f16);
  check_around_all<bfloat16>(reference::bf16);
  numbers n(4);
  for (int i = 0; i < 100000; ++i) {
    const auto f = std::bit_cast<float>(static_cast<std::uint32_t>(n.next()));
    check_rounding<float16>(f, reference::f16);
    check_rounding<bfloat16>(f, reference::bf16);
  }
  for (const float f :
       {0.0f, -0.0f, 65504.0f, 65519.996f, 65520.0f, 65536.0f, 3.3895314e38f, 3.3961775e38f, 0x1p-24f, 0x1p-25f, 0x1p-149f,
        std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN(), std::bit_cast<float>(0x7f800001u), std::bit_cast<float>(0xffffffffu)}) {
    check_rounding<float16>(f, reference::f16);
    check_rounding<bfloat16>(f, reference::bf16);
  }
}

TEST_CASE("codes have names") {
  CHECK(sluice::name_of(error_code::invalid_argument) == "invalid_argument");
  CHECK(sluice::name_of(error_code::limit_exceeded) == "limit_exceeded");
  for (int i = 1; i <= 10; ++i) CHECK(sluice::name_of(static_cast<error_code>(i)) != "unknown");
  CHECK(sluice::name_of(static_cast<error_code>(11)) == "unknown");
}

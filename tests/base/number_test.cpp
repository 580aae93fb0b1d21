// 16-bit floats against their definition, for every bit pattern; pairwise sums against theirs.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include "reference.hpp"
#include "sluice/impl/base/half.hpp"
#include "sluice/impl/base/pairwise.hpp"

using namespace sluice::base;

namespace {

// Mantissa bits of a NaN, the quiet one set.
template <class Half>
constexpr std::uint32_t quiet_bit = std::is_same_v<Half, f16> ? 0x200u : 0x40u;

template <class Half>
Half narrowed(float x) {
  if constexpr (std::is_same_v<Half, f16>)
    return to_f16(x);
  else
    return to_bf16(x);
}
template <class Half>
Half narrowed(double x) {
  if constexpr (std::is_same_v<Half, f16>)
    return to_f16(x);
  else
    return to_bf16(x);
}

template <class Half>
void check_every_pattern(const reference::small_float& format) {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const Half h{static_cast<std::uint16_t>(bits)};
    const float wide = to_float(h);
    const auto exact = format.decode(bits);
    if (std::isnan(exact)) {
      const int spare = 23 - format.mantissa_bits;
      const auto sign = (bits & 0x8000u) << 16;
      const auto payload = (bits & ((1u << format.mantissa_bits) - 1)) << spare;
      // f16 comes out quiet; bf16 has its bits moved, whatever they are.
      const auto quiet = std::is_same_v<Half, f16> ? 0x00400000u : 0u;
      wrong += std::bit_cast<std::uint32_t>(wide) != (sign | 0x7f800000u | payload | quiet);
      wrong += narrowed<Half>(wide).bits != (bits | quiet_bit<Half>);
    } else {
      wrong += static_cast<reference::real>(wide) != exact || std::signbit(wide) != std::signbit(exact);
      wrong += narrowed<Half>(wide).bits != bits;
      wrong += narrowed<Half>(static_cast<double>(wide)).bits != bits;
    }
  }
  CHECK(wrong == 0);
}

// Around each value, and each point halfway to the next: in f32, and in f64 where f32 is too coarse.
template <class Half>
void check_rounding(const reference::small_float& format, std::uint32_t infinity) {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < infinity; ++bits) {
    const auto below = static_cast<double>(format.decode(bits));
    const bool last = bits + 1 == infinity;
    const auto above =
        last ? 2 * below - static_cast<double>(format.decode(bits - 1)) : static_cast<double>(format.decode(bits + 1));
    const double halfway = below + (above - below) / 2;
    for (const double x : {below, halfway, std::nextafter(halfway, 0.0), std::nextafter(halfway, 1e300)})
      for (const double signed_x : {x, -x}) wrong += narrowed<Half>(signed_x).bits != format.encode(signed_x);
    const auto single = static_cast<float>(halfway);
    for (const float x :
         {single, std::nextafter(single, 0.0f), std::nextafter(single, std::numeric_limits<float>::infinity())})
      for (const float signed_x : {x, -x}) wrong += narrowed<Half>(signed_x).bits != format.encode(signed_x);
  }
  CHECK(wrong == 0);
}

// Adjacent pairs, level by level, an odd one carried up.
template <class T>
T slow_sum(std::vector<T> level) {
  if (level.empty()) return T{};
  while (level.size() > 1) {
    std::vector<T> next;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      if constexpr (std::is_integral_v<T>)
        next.push_back(static_cast<T>(static_cast<std::uint64_t>(level[i]) + static_cast<std::uint64_t>(level[i + 1])));
      else
        next.push_back(level[i] + level[i + 1]);
    }
    if (level.size() % 2 == 1) next.push_back(level.back());
    level = next;
  }
  return level[0];
}

template <class T>
std::vector<T> some_values(std::size_t count) {
  std::mt19937_64 random(count);
  std::vector<T> values(count);
  for (auto& v : values) {
    if constexpr (std::is_integral_v<T>)
      v = static_cast<T>(random());  // sums wrap
    else
      v = std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 80) - 90) *
          (random() % 2 == 0 ? 1 : -1);
  }
  return values;
}

template <class T>
std::uint64_t word(T x) {
  return std::bit_cast<std::uint64_t>(x);
}

template <class T>
void check_sums() {
  constexpr bool floating = std::is_floating_point_v<T>;
  pairwise_accumulator one(floating);
  CHECK(one.take() == pairwise_accumulator::words{0});
  for (std::size_t count = 0; count <= 200; ++count) {
    const auto values = some_values<T>(count);
    const std::uint64_t expected = word(slow_sum(values));
    auto copy = values;
    const T joined = join_pairwise(std::span(copy));
    CHECK(word(joined) == expected);
    for (const T v : values) one.add({word(v)});
    CHECK(one.count() == count);
    CHECK(one.take() == pairwise_accumulator::words{expected});
    CHECK(one.count() == 0);
  }
}

}  // namespace

TEST_CASE("every 16-bit float widens exactly and narrows to itself") {
  check_every_pattern<f16>(reference::f16);
  check_every_pattern<bf16>(reference::bf16);
}

TEST_CASE("narrowing rounds once, to nearest, ties to even") {
  check_rounding<f16>(reference::f16, 0x7c00);
  check_rounding<bf16>(reference::bf16, 0x7f80);
  CHECK(to_f16(65519.0f).bits == 0x7bff);
  CHECK(to_f16(65520.0f).bits == 0x7c00);
  CHECK(to_f16(-std::numeric_limits<double>::infinity()).bits == 0xfc00);
  CHECK(to_f16(0x1p-25).bits == 0);
  CHECK(to_f16(std::nextafter(0x1p-25, 1.0)).bits == 1);
  CHECK(to_f16(-0.0).bits == 0x8000);
  CHECK(to_bf16(-0.0).bits == 0x8000);
}

TEST_CASE("a NaN of 64 bits narrows to a quiet NaN with its sign and what fits of its payload") {
  const auto nan = std::bit_cast<double>(0xfff8000000000000u | 0x0004000000000000u);
  CHECK(to_f16(nan).bits == 0xff00);
  CHECK(to_bf16(nan).bits == 0xffe0);
}

TEST_CASE("sums of f64 and i64 join pairwise, at once and one by one") {
  static_assert(block_size == 1024 && lane_count == 32);
  check_sums<double>();
  check_sums<std::int64_t>();
}

TEST_CASE("sums side by side join as each alone, and an accumulator resumes from its state") {
  constexpr std::size_t width = 3, count = 45;
  const auto values = some_values<double>(width * count);
  pairwise_accumulator whole(true, width);
  std::vector<std::vector<double>> columns(width);
  for (std::size_t i = 0; i < count; ++i) {
    pairwise_accumulator::words row;
    for (std::size_t j = 0; j < width; ++j) {
      row.push_back(word(values[i * width + j]));
      columns[j].push_back(values[i * width + j]);
    }
    whole.add(std::span<const std::uint64_t>(row));
  }
  pairwise_accumulator::words expected;
  for (const auto& column : columns) expected.push_back(word(slow_sum(column)));
  CHECK(whole.take() == expected);

  for (std::size_t cut = 0; cut <= count; ++cut) {
    pairwise_accumulator first(true, width), second(true, width);
    const auto row = [&](std::size_t i) {
      pairwise_accumulator::words w;
      for (std::size_t j = 0; j < width; ++j) w.push_back(word(values[i * width + j]));
      return w;
    };
    for (std::size_t i = 0; i < cut; ++i) first.add(row(i));
    pairwise_accumulator::words state;
    first.append_state(state);
    CHECK(state.size() == first.state_words(cut));
    second.add(row(0));  // is replaced
    second.restore(cut, state);
    for (std::size_t i = cut; i < count; ++i) second.add(row(i));
    CHECK(second.take() == expected);
  }
  pairwise_accumulator none(false, 2);
  CHECK(none.take() == pairwise_accumulator::words{0, 0});
}

// What the tests share: tensors of random values, comparisons by bits, and refusals with their code and sentence.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "reference.hpp"
#include "sluice/dtype.hpp"
#include "sluice/impl/core/tensor_access.hpp"
#include "sluice/tensor.hpp"

namespace testing {

using sluice::dtype;
using sluice::error_code;
using sluice::shape;
using sluice::tensor;

inline constexpr std::array every_dtype{dtype::f64, dtype::f32, dtype::f16, dtype::bf16, dtype::i64, dtype::i32, dtype::u8};
inline constexpr std::array floats{dtype::f64, dtype::f32, dtype::f16, dtype::bf16};

inline std::int32_t code_of(dtype t) { return static_cast<std::int32_t>(t); }
inline std::string in_quotes(std::string_view s) {
  std::string q = "\"";
  q += s;
  return q += '"';
}
inline std::string text(dtype t) { return std::string(sluice::name_of(t)); }

// Numbers that look random and are the same everywhere (splitmix64).
class numbers {
 public:
  explicit numbers(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n)); }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-52 - 1; }  // [-1, 1)

 private:
  std::uint64_t state_;
};

// Each element is what `value(i)` gives, rounded by the reference, on the CPU.
inline tensor made(const shape& extents, dtype type, const std::function<reference::real(std::int64_t)>& value) {
  tensor t(extents, type);
  auto* p = static_cast<char*>(t.data());
  for (std::int64_t i = 0; i < t.count(); ++i)
    reference::put(code_of(type), p + i * reference::size_of(code_of(type)), value(i));
  return t;
}

// Floats in [-1, 1), integers over their whole range.
inline tensor random(const shape& extents, dtype type, std::uint64_t seed = 1) {
  numbers n(seed);
  if (sluice::is_floating(type)) return made(extents, type, [&](std::int64_t) { return n.unit(); });
  tensor t(extents, type);
  auto* p = static_cast<std::uint8_t*>(t.data());
  for (std::size_t i = 0; i < t.bytes(); ++i) p[i] = static_cast<std::uint8_t>(n.next());
  return t;
}

// Floats of magnitudes far apart, whose sums depend on the order of the additions.
inline tensor rough(const shape& extents, dtype type, std::uint64_t seed = 1) {
  numbers n(seed);
  if (!sluice::is_floating(type)) return random(extents, type, seed);
  const int span = type == dtype::f64 || type == dtype::f32 ? 30 : 6;
  return made(extents, type, [&](std::int64_t) {
    const auto power = static_cast<int>(n.below(2 * span)) - span;  // before unit() with every compiler
    return std::ldexp(n.unit(), power);
  });
}

// The elements of a tensor anywhere, as bytes in row-major order.
inline std::vector<std::uint8_t> bytes_of(const tensor& t) {
  const tensor host = t.to("cpu");
  static_cast<void>(host.data());  // waits
  std::vector<std::uint8_t> bytes;
  const auto size = reference::size_of(code_of(t.dtype()));
  if (t.count() == 0) return bytes;
  for (const char* p : reference::elements(sluice::core::array_of(host))) bytes.insert(bytes.end(), p, p + size);
  return bytes;
}

inline bool same_bits(const tensor& a, const tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && bytes_of(a) == bytes_of(b);
}

// Equal, or both not a number.
inline bool same_values(const tensor& a, const tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  const auto x = bytes_of(a);
  const auto y = bytes_of(b);
  const auto size = static_cast<std::size_t>(reference::size_of(code_of(a.dtype())));
  for (std::size_t i = 0; i < x.size(); i += size) {
    if (std::memcmp(&x[i], &y[i], size) == 0) continue;
    if (!std::isnan(reference::get(code_of(a.dtype()), &x[i])) || !std::isnan(reference::get(code_of(a.dtype()), &y[i])))
      return false;
  }
  return true;
}

// Frees memory full of NaN (or -1) where the pool will find it next: what an operation does not write would show.
inline void dirty(const shape& extents, dtype type) {
  tensor t(extents, type);
  if (t.count() > 0) std::memset(t.data(), 0xff, t.bytes());
}

// The devices that the parity tests run on: all there are, or those of the backend SLUICE_TEST_DEVICE.
inline std::vector<sluice::device> devices_under_test() {
  const char* only = std::getenv("SLUICE_TEST_DEVICE");
  std::vector<sluice::device> list;
  for (const auto& d : sluice::devices())
    if (only == nullptr || d.where.backend() == only) list.push_back(d.where);
  return list;
}

// For what takes long: the first of them of each backend, or all of the backend that SLUICE_TEST_DEVICE names.
inline std::vector<sluice::device> one_of_each_backend() {
  const bool named = std::getenv("SLUICE_TEST_DEVICE") != nullptr;
  std::vector<sluice::device> list;
  for (const auto& d : devices_under_test())
    if (named || d.index() == 0) list.push_back(d);
  return list;
}

// Empty when f throws an E of this reason whose sentence holds every one of `words`; else what it did.
template <class E, class Reason, class F>
std::string refused_for(F&& f, Reason (E::*reason_of)() const noexcept, Reason reason,
                        std::initializer_list<std::string_view> words) {
  try {
    f();
  } catch (const E& e) {
    const std::string sentence = e.what();
    if ((e.*reason_of)() != reason) return "the reason is " + std::string(name_of((e.*reason_of)())) + ": " + sentence;
    for (const auto word : words)
      if (sentence.find(word) == std::string::npos) return "\"" + std::string(word) + "\" is not in: " + sentence;
    return "";
  } catch (const std::exception& e) {
    return std::string("another exception: ") + e.what();
  }
  return "nothing was thrown";
}

// Of a sluice::error and its code.
template <class F>
std::string refused(F&& f, error_code code, std::initializer_list<std::string_view> words) {
  return refused_for<sluice::error>(f, &sluice::error::code, code, words);
}

}  // namespace testing

// CHECK_REFUSED(matmul(a, b), invalid_argument, "(2, 3)", "a.extent(1)")
#define CHECK_REFUSED(expression, code, ...) \
  CHECK(::testing::refused([&] { static_cast<void>(expression); }, ::sluice::error_code::code, {__VA_ARGS__}) == "")

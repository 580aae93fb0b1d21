// The bits of sums do not depend on the options of the including program: this one, compiled header-only with options that allow a
// compiler to change floating-point arithmetic, repeats rowsum_digest.cpp on the CPU's table alone and knows what must come out.
//
//   SLUICE_SIMD=plain|avx2   less than the widest instructions
#if !defined(SLUICE_HEADER_ONLY)
#define SLUICE_HEADER_ONLY
#endif
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "sluice/impl/cpu/table.hpp"

namespace {

constexpr std::uint64_t expected_digest = 0x3f7d2f0aae94250u;

const sluice_host host{SLUICE_BACKEND_API_VERSION,
                       sizeof(sluice_host),
                       [] { return 1; },
                       [](std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
                         for (std::int64_t i = 0; i < count; ++i) body(context, i);
                       },
                       [](std::int32_t, const char*) {},
                       std::uint64_t{1} << 30,
                       std::uint64_t{1} << 30,
                       0,
                       8};

const sluice_backend& cpu() {
  static const sluice_backend* table = sluice::cpu::backend_table(&host);
  return *table;
}

sluice_array array_of(void* data, std::int32_t dtype, const std::vector<std::int64_t>& extents) {
  sluice_array a{};
  a.data = data;
  a.dtype = dtype;
  a.rank = static_cast<std::int32_t>(extents.size());
  std::int64_t stride = 1;
  for (std::size_t i = extents.size(); i-- > 0; stride *= extents[i]) {
    a.extents[i] = extents[i];
    a.strides[i] = stride;
  }
  return a;
}

// The values of testing::rough({350000}, dtype::f32, 77): every step but the last is exact.
std::vector<float> rough_values() {
  std::uint64_t state = 77 * 0x9e3779b97f4a7c15u + 1;
  const auto next = [&state] {
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  };
  std::vector<float> values(350000);
  for (float& value : values) {
    const int power = static_cast<int>(next() % 60) - 30;
    const double unit = static_cast<double>(next() >> 11) * 0x1p-52 - 1;
    value = static_cast<float>(unit * (power < 0 ? 1.0 / static_cast<double>(1 << -power) : static_cast<double>(1 << power)));
  }
  return values;
}

std::uint64_t hash = 1469598103934665603u;  // FNV-1a

void add_sums(const sluice_array& a, std::int32_t out_dtype, std::size_t out_size) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(a.extents[0]) * out_size);
  const sluice_array out = array_of(bytes.data(), out_dtype, {a.extents[0]});
  sluice_message message{};
  if (cpu().rowsum(0, nullptr, &a, &out, &message) != SLUICE_OK) std::printf("%s\n", message.text);
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 1099511628211u;
}

}  // namespace

int main() {
  std::vector<float> values = rough_values();
  const std::int64_t shapes[][2] = {{40000, 3}, {9000, 31}, {700, 500}, {100, 3333}, {3, 100000}, {1, 300001}};
  for (std::int32_t dtype = SLUICE_F64; dtype <= SLUICE_U8; ++dtype)
    for (const auto& [rows, columns] : shapes) {
      std::vector<std::uint64_t> elements(static_cast<std::size_t>(rows * columns));  // of at most 8 bytes
      const sluice_array from = array_of(values.data(), SLUICE_F32, {rows, columns});
      const sluice_array a = array_of(elements.data(), dtype, {rows, columns});
      sluice_message message{};
      if (cpu().copy(0, nullptr, &a, &from, &message) != SLUICE_OK) std::printf("%s\n", message.text);
      sluice_array transposed = a;
      std::swap(transposed.extents[0], transposed.extents[1]);
      std::swap(transposed.strides[0], transposed.strides[1]);
      const bool floats = dtype <= SLUICE_BF16;
      const std::int32_t unrounded = floats ? SLUICE_F64 : SLUICE_I64;
      const bool rounds = floats && dtype != SLUICE_F64;
      add_sums(a, rounds ? SLUICE_F32 : unrounded, rounds ? 4 : 8);
      add_sums(a, unrounded, 8);
      add_sums(transposed, rounds ? SLUICE_F32 : unrounded, rounds ? 4 : 8);
    }
  std::printf("digest %llx, expected %llx\n", static_cast<unsigned long long>(hash),
              static_cast<unsigned long long>(expected_digest));
  return hash == expected_digest ? 0 : 1;
}

// The bits of sums, products and pictures do not depend on the options of the including program: this one, compiled
// header-only with options that allow a compiler to change floating-point arithmetic, uses the CPU's table alone and knows
// what must come out: for sums the digest of rowsum_digest.cpp, for products that of reference::chained_matmul on the same
// operands, for pictures that of the same program without these options.
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

constexpr std::uint64_t expected_sums = 0x3f7d2f0aae94250u;
constexpr std::uint64_t expected_products = 0x355869dd4b26ad13u;
constexpr std::uint64_t expected_pictures = 0xdbdcd9a0574a0dc1u;

const sluice_host host{SLUICE_BACKEND_API_VERSION,
                       sizeof(sluice_host),
                       [] { return 4; },  // of parallel_for, which takes turns: products are cut for as many threads
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

class random_bits {
 public:
  explicit random_bits(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// The values of testing::rough({350000}, dtype::f32, 77): every step but the last is exact.
std::vector<float> rough_values() {
  random_bits bits(77);
  std::vector<float> values(350000);
  for (float& value : values) {
    const int power = static_cast<int>(bits.next() % 60) - 30;
    const double unit = static_cast<double>(bits.next() >> 11) * 0x1p-52 - 1;
    value =
        static_cast<float>(unit * (power < 0 ? 1.0 / static_cast<double>(1 << -power) : static_cast<double>(1 << power)));
  }
  return values;
}

void check(sluice_status status, const sluice_message& message) {
  if (status != SLUICE_OK) std::printf("%s\n", message.text);
}

struct digest {
  std::uint64_t hash = 1469598103934665603u;  // FNV-1a

  void add(const std::vector<std::uint8_t>& bytes) {
    for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 1099511628211u;
  }
  bool is(std::uint64_t expected, const char* of) const {
    std::printf("digest of %s %llx, expected %llx\n", of, static_cast<unsigned long long>(hash),
                static_cast<unsigned long long>(expected));
    return hash == expected;
  }
};

sluice_array transposed(sluice_array matrix) {
  std::swap(matrix.extents[matrix.rank - 2], matrix.extents[matrix.rank - 1]);
  std::swap(matrix.strides[matrix.rank - 2], matrix.strides[matrix.rank - 1]);
  return matrix;
}

void add_sums(const sluice_array& a, std::int32_t out_dtype, std::size_t out_size, digest& sums) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(a.extents[0]) * out_size);
  const sluice_array out = array_of(bytes.data(), out_dtype, {a.extents[0]});
  sluice_message message{};
  check(cpu().rowsum(0, nullptr, &a, &out, &message), message);
  sums.add(bytes);
}

digest digest_of_sums() {
  digest sums;
  std::vector<float> values = rough_values();
  const std::int64_t shapes[][2] = {{40000, 3}, {9000, 31}, {700, 500}, {100, 3333}, {3, 100000}, {1, 300001}};
  for (std::int32_t dtype = SLUICE_F64; dtype <= SLUICE_U8; ++dtype)
    for (const auto& [rows, columns] : shapes) {
      std::vector<std::uint64_t> elements(static_cast<std::size_t>(rows * columns));  // of at most 8 bytes
      const sluice_array from = array_of(values.data(), SLUICE_F32, {rows, columns});
      const sluice_array a = array_of(elements.data(), dtype, {rows, columns});
      sluice_message message{};
      check(cpu().copy(0, nullptr, &a, &from, &message), message);
      const bool floats = dtype <= SLUICE_BF16;
      const std::int32_t unrounded = floats ? SLUICE_F64 : SLUICE_I64;
      const bool rounds = floats && dtype != SLUICE_F64;
      add_sums(a, rounds ? SLUICE_F32 : unrounded, rounds ? 4 : 8, sums);
      add_sums(a, unrounded, 8, sums);
      add_sums(transposed(a), rounds ? SLUICE_F32 : unrounded, rounds ? 4 : 8, sums);
    }
  return sums;
}

// Each fourth element is a signed zero. The first row and the first column are so small that the sum of their products is
// denormal in f32, and one product alone rounds to a signed zero; there is one NaN, with a payload, and one infinity.
std::vector<std::uint32_t> values_of_f32(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  random_bits random(seed);
  std::vector<std::uint32_t> values;
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::uint64_t bits = random.next();
      const auto sign_and_mantissa = static_cast<std::uint32_t>(bits) & 0x807fffffu;
      const auto exponent = static_cast<std::uint32_t>(bits >> 32 & 7) + (i == 0 || j == 0 ? 50 : 121);
      const bool zero = (bits >> 40 & 3) == 0;
      values.push_back(zero ? sign_and_mantissa & 0x80000000u : sign_and_mantissa | exponent << 23);
    }
  if (rows > 4 && columns > 4) {
    values[static_cast<std::size_t>(2 * columns + 3)] = 0xff812345u;
    values[static_cast<std::size_t>(4 * columns + 4)] = 0x7f800000u;
  }
  return values;
}

// A matrix of `dtype`, in memory of its own: rows or columns are contiguous, or neither.
struct matrix {
  enum layout { by_rows, by_columns, spread };
  std::vector<std::uint64_t> elements;  // of at most 8 bytes
  sluice_array array;

  matrix(std::int64_t rows, std::int64_t columns, std::int32_t dtype, layout l, std::uint64_t seed)
      : elements(static_cast<std::size_t>(2 * rows * columns)) {
    std::vector<std::uint32_t> values = values_of_f32(rows, columns, seed);
    const sluice_array from = array_of(values.data(), SLUICE_F32, {1, rows, columns});
    array = array_of(elements.data(), dtype, {1, rows, columns});
    if (l == by_columns) array = transposed(array_of(elements.data(), dtype, {1, columns, rows}));
    if (l == spread) {
      array.strides[1] *= 2;
      array.strides[2] *= 2;
    }
    sluice_message message{};
    check(cpu().copy(0, nullptr, &array, &from, &message), message);
  }
};

// Products of few elements, of operands where they are, packed, and with one row or column; of one block of k and of
// several.
digest digest_of_products() {
  digest products;
  const std::int64_t shapes[][3] = {{5, 7, 9},     {8, 8, 8},    {14, 1030, 33},   {40, 2100, 70}, {1, 1500, 70},
                                    {67, 1500, 1}, {1, 40, 600}, {150, 1025, 260}, {3, 1, 5},      {1, 1, 40}};
  const std::size_t sizes[] = {8, 4, 2, 2};
  using layout = std::pair<matrix::layout, matrix::layout>;
  for (std::int32_t dtype = SLUICE_F64; dtype <= SLUICE_BF16; ++dtype)
    for (const auto& [m, k, n] : shapes)
      for (const auto& [of_a, of_b] :
           {layout(matrix::by_rows, matrix::by_rows), layout(matrix::by_columns, matrix::by_rows),
            layout(matrix::by_rows, matrix::by_columns), layout(matrix::spread, matrix::spread)}) {
        const matrix a(m, k, dtype, of_a, 1);
        const matrix b(k, n, dtype, of_b, 2);
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>(m * n) * sizes[dtype]);
        const sluice_array out = array_of(bytes.data(), dtype, {1, m, n});
        sluice_message message{};
        check(cpu().matmul(0, nullptr, &a.array, &b.array, &out, SLUICE_PRECISION_STRICT, &message), message);
        products.add(bytes);
      }
  return products;
}

// Pictures of many extents, whose weights are computed in f64.
digest digest_of_pictures() {
  digest pictures;
  random_bits random(3);
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random.next() % n); };
  for (int i = 0; i < 200; ++i) {
    const std::int64_t height = 1 + below(90), width = 1 + below(i % 9 == 0 ? 2000 : 90), channels = i % 3 == 0 ? 1 : 3;
    const sluice_resize_options options{1 + below(90), 1 + below(90), 0, 0, 0, 0, 1, 0};
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(height * width * channels));
    for (std::uint8_t& sample : pixels) sample = static_cast<std::uint8_t>(random.next());
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(options.height * options.width * channels));
    const sluice_array in = array_of(pixels.data(), SLUICE_U8, {height, width, channels});
    const sluice_array out = array_of(bytes.data(), SLUICE_U8, {options.height, options.width, channels});
    sluice_message message{};
    check(cpu().find_op("resize")(0, nullptr, &in, 1, &out, 1, &options, sizeof options, &message), message);
    pictures.add(bytes);
  }
  return pictures;
}

}  // namespace

int main() {
  const bool sums = digest_of_sums().is(expected_sums, "sums");
  const bool products = digest_of_products().is(expected_products, "products");
  const bool pictures = digest_of_pictures().is(expected_pictures, "pictures of another size");
  return sums && products && pictures ? 0 : 1;
}

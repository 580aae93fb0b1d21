// The bits of strict products: those of the slow chain, on every device, however the operands lie and whatever is beside
// them.
//
//   SLUICE_TEST_SHAPES=2000   random products; 150 by default, smaller ones
//   SLUICE_TEST_FROM=500      the first of them, for several processes; 0 by default
//   SLUICE_TEST_DIGEST=FILE   gets a line each with a digest of its bits, to be compared with that of another machine
#include <cstdlib>
#include <fstream>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "matmul_random.hpp"

using namespace testing;

namespace {

// Contiguous tensors of rank 3.
tensor chained(const tensor& a, const tensor& b) {
  tensor out({a.extent(0), a.extent(1), b.extent(2)}, a.dtype());
  reference::chained_matmul(sluice::core::array_of(a), sluice::core::array_of(b), sluice::core::array_of(out));
  return out;
}

std::uint64_t digest_of(const tensor& t) {
  std::uint64_t hash = 1469598103934665603u;  // FNV-1a
  for (const auto byte : bytes_of(t)) hash = (hash ^ byte) * 1099511628211u;
  return hash;
}

// Writes rows of a, `along` 1, or columns of b, 2, whose sums are denormal, zeros of either sign, and infinite.
void mark(const tensor& t, int along) {
  const dtype type = t.dtype();
  const double small = type == dtype::f64 ? 0x1p-530 : 0x1p-70;
  const auto line = [&](std::int64_t i) { return t.slice(along, i, i + 1); };
  const auto put = [](tensor to, const std::function<reference::real(std::int64_t)>& value) {
    to.assign(made(to.shape(), to.dtype(), value));
  };
  numbers n(static_cast<std::uint64_t>(along));
  put(line(40), [&](std::int64_t) { return static_cast<reference::real>(n.unit() * small); });
  put(line(41), [&](std::int64_t p) { return p % 1024 == 0 ? small : 0.0; });
  put(line(42), [&](std::int64_t) { return -small * small; });
  put(line(43), [&](std::int64_t) { return -0.0; });
  put(line(44), [&](std::int64_t) { return 1.0; });
  put(line(45).slice(3 - along, 0, 1), [&](std::int64_t) { return std::numeric_limits<double>::infinity(); });
}

int number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : 0;
}

}  // namespace

TEST_CASE("products have the bits of the chain, whatever their extents") {
  const std::int64_t lengths[] = {1, 2, 3, 7, 16, 33, 255, 256, 257, 1023, 1024, 1025, 2048, 2051, 3079};
  for (const auto& where : one_of_each_backend())
    for (const dtype type : floats)
      for (const std::int64_t k : lengths)
        for (const auto& [rows, columns] : std::vector<std::pair<std::int64_t, std::int64_t>>{
                 {1, 1}, {1, 70}, {67, 1}, {2, 5}, {3, 9}, {5, 33}, {13, 16}, {14, 32}, {29, 47}, {9, 65}}) {
          const std::int64_t m = rows, n = columns;  // clang 14 captures no structured binding in INFO
          INFO(where.str(), ": ", text(type), " ", m, " x ", k, " x ", n);
          const tensor a = rough({1, m, k}, type, 11);
          const tensor b = rough({1, k, n}, type, 12);
          CHECK(same_bits(sluice::matmul(a.to(where), b.to(where)).to("cpu"), chained(a, b)));
        }
}

TEST_CASE("random products have the bits of the chain in every layout") {
  const int wanted = number_of("SLUICE_TEST_SHAPES");
  const int from = number_of("SLUICE_TEST_FROM");
  const int count = wanted > 0 ? wanted : 150;
  const char* path = std::getenv("SLUICE_TEST_DIGEST");
  std::ofstream digests;
  if (path != nullptr) digests.open(path);
  for (int i = from; i < from + count; ++i) {
    const random_product p = draw_product(static_cast<std::uint64_t>(i) + 1, 3000, wanted > 0 ? 2e8 : 4e6);
    INFO(i, ": ", p.str());
    const tensor a = p.a.view(p.a.base(p.type, p.seed));
    const tensor b = p.b.view(p.b.base(p.type, p.seed + 1));
    tensor first;
    for (const auto& where : one_of_each_backend()) {
      const tensor c = p.on(where);
      if (first.count() != c.count()) first = c;
      CHECK_MESSAGE(same_bits(c, first), where.str());
    }
    digests << p.str() << ' ' << std::hex << digest_of(first) << std::dec << '\n';
    numbers n(static_cast<std::uint64_t>(i) + 77);
    const auto size = sluice::size_of(p.type);
    const std::int64_t rows = first.extent(first.rank() - 2);
    const std::int64_t columns = first.extent(first.rank() - 1);
    for (int sample = 0; sample < 8; ++sample) {
      const std::int64_t at = n.below(first.count());
      std::uint64_t bits = 0;
      std::memcpy(&bits, static_cast<const char*>(first.data()) + static_cast<std::size_t>(at) * size, size);
      CHECK(bits == chained_element(a, b, at / (rows * columns), at / columns % rows, at % columns));
    }
  }
}

TEST_CASE("a row has the same bits alone, among others and in a batch") {
  for (const auto& where : one_of_each_backend())
    for (const dtype type : floats)
      for (const auto& [depth, columns] :
           std::vector<std::pair<std::int64_t, std::int64_t>>{{40, 24}, {300, 513}, {1500, 40}, {2100, 7}}) {
        const std::int64_t k = depth, n = columns;
        INFO(where.str(), ": ", text(type), " ", k, " x ", n);
        const tensor a = rough({150, k}, type, 21).to(where);
        const tensor b = rough({k, n}, type, 22).to(where);
        const tensor all = sluice::matmul(a, b).to("cpu");
        CHECK(same_bits(sluice::matmul(a.reshape({10, 15, k}), b).to("cpu").reshape({150, n}), all));
        CHECK(same_bits(sluice::matmul(a.reshape({150, 1, k}), b).to("cpu").reshape({150, n}), all));
        CHECK(same_bits(sluice::matmul(a.reshape({75, 2, k}).slice(1, 1, 2), b).to("cpu").reshape({75, n}),
                        all.slice(0, 1, 150, 2).clone()));
        for (const std::int64_t row : {0, 77, 149}) {
          CHECK(same_bits(sluice::matmul(a.slice(0, row, row + 1), b).to("cpu"), all.slice(0, row, row + 1).clone()));
          const tensor column = b.slice(1, n / 2, n / 2 + 1);
          CHECK(same_bits(sluice::matmul(a.slice(0, row, row + 1), column).to("cpu"),
                          all.slice(0, row, row + 1).slice(1, n / 2, n / 2 + 1).clone()));
        }
      }
}

TEST_CASE("a batch of more small products than a device has counters has the bits of the chain") {
  constexpr std::int64_t batch = 20000;
  constexpr std::int64_t k = 1100;
  const auto filled = [](const shape& extents, std::uint64_t seed) {  // signs, four powers of two, all mantissas
    numbers n(seed);
    tensor t(extents, dtype::f16);
    auto* p = static_cast<std::uint16_t*>(t.data());
    for (std::int64_t i = 0; i < t.count(); ++i) p[i] = static_cast<std::uint16_t>((n.next() & 0x8fffu) | 0x3000u);
    return t;
  };
  const tensor a = filled({batch, 1, k}, 41);
  const tensor b = filled({batch, k, 1}, 42);
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor c = sluice::matmul(a.to(where), b.to(where)).to("cpu");
    for (std::int64_t i = 0; i < batch; i += 1999) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, static_cast<const char*>(c.data()) + i * 2, 2);
      CHECK(bits == chained_element(a, b, i, 0, 0));
    }
  }
}

TEST_CASE("a sum of zero is +0, denormals keep their bits, and NaN is the one NaN") {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& where : one_of_each_backend())
    for (const dtype type : floats) {
      // Of f16 widened to f32 no product is lost; its sums are denormal where they are rounded.
      const double tiny = type == dtype::f64 ? 0x1p-1070 : type == dtype::f16 ? 0x1p-20 : 0x1p-130;
      const std::vector<double> values{0.0, -0.0, 1, -1, tiny, -tiny, inf, -inf, nan, -nan, 0x1p-8, -0x1p-8};
      for (const std::int64_t k : {1, 2, 3, 1025}) {
        INFO(where.str(), ": ", text(type), " ", k);
        numbers n(static_cast<std::uint64_t>(k));
        const auto pick = [&](std::int64_t) {
          const auto among = k > 3 ? 6 : static_cast<std::int64_t>(values.size());  // else all sums are NaN
          return static_cast<reference::real>(values[static_cast<std::size_t>(n.below(among))]);
        };
        const tensor a = made({1, 40, k}, type, pick);
        const tensor b = made({1, k, 37}, type, pick);
        CHECK(same_bits(sluice::matmul(a.to(where), b.to(where)).to("cpu"), chained(a, b)));
        const tensor at = a.transpose().contiguous().to(where).transpose();
        const tensor bt = b.transpose().contiguous().to(where).transpose();
        CHECK(same_bits(sluice::matmul(at, bt).to("cpu"), chained(a, b)));
        CHECK(same_bits(sluice::matmul(a.to(where).slice(1, 3, 4), bt).to("cpu"), chained(a.slice(1, 3, 4).clone(), b)));
      }
    }
}

// A backend of a GPU may find another way to make a large product once its shape has come back.
TEST_CASE("a large product has the bits of the chain each time it is made, and NaN is the one NaN") {
  for (const auto& where : one_of_each_backend())
    for (const dtype type : {dtype::f32, dtype::f64})
      for (const auto& extents : where.is_cpu()
                                     ? std::vector<std::array<std::int64_t, 3>>{{300, 1100, 260}}
                                     : std::vector<std::array<std::int64_t, 3>>{{1024, 1024, 1024}, {524, 3083, 700}})
        for (int form = 0; form < 4; ++form) {
          const std::int64_t m = extents[0], k = extents[1], n = extents[2];
          INFO(where.str(), ": ", text(type), " ", m, " x ", k, " x ", n, " form ", form);
          const tensor a = form % 2 == 0 ? rough({1, m, k}, type, 31) : rough({1, k, m}, type, 31).transpose();
          const tensor b = form < 2 ? rough({1, k, n}, type, 32) : rough({1, n, k}, type, 32).transpose();
          mark(a, 1);
          mark(b, 2);
          const tensor nan = tensor::full({1, 1, 1}, std::numeric_limits<double>::quiet_NaN(), type);
          const tensor with_nan = a.clone();
          with_nan.slice(1, 7, 8).slice(2, 5, 6).assign(nan);
          const tensor x = form % 2 == 0 ? a.to(where) : a.transpose().to(where).transpose();
          const tensor y = form < 2 ? b.to(where) : b.transpose().to(where).transpose();
          const tensor first = sluice::matmul(x, y).to("cpu");
          numbers random(static_cast<std::uint64_t>(m + form));
          for (int sample = 0; sample < 86; ++sample) {
            const std::int64_t row = sample < 36 ? 40 + sample / 6 : random.below(m);
            const std::int64_t column = sample < 36 ? 40 + sample % 6 : random.below(n);
            std::uint64_t bits = 0;
            std::memcpy(&bits, first.slice(1, row, row + 1).slice(2, column, column + 1).clone().data(),
                        sluice::size_of(type));
            CHECK(bits == chained_element(a, b, 0, row, column));
          }
          for (int time = 0; time < 6; ++time) CHECK(same_bits(sluice::matmul(x, y).to("cpu"), first));
          const tensor c = sluice::matmul(with_nan.to(where), y).to("cpu");
          CHECK(same_bits(c.slice(1, 7, 8), nan.broadcast_to({1, 1, n}).clone()));
          CHECK(same_bits(c.slice(1, 8, m), first.slice(1, 8, m).clone()));
        }
}

#if defined(__x86_64__)
TEST_CASE("products have the same bits where the application's threads flush denormals and round towards zero") {
  for (const dtype type : {dtype::f32, dtype::bf16, dtype::f16})
    for (const auto& extents : std::vector<std::array<std::int64_t, 3>>{
             {1, 1 << 19, 1}, {2, 1 << 18, 2}, {3, 1 << 18, 1}, {8, 40, 9}, {40, 2100, 300}, {200, 300, 150}}) {
      const std::int64_t m = extents[0], k = extents[1], n = extents[2];
      INFO(text(type), " ", m, " x ", k, " x ", n);
      numbers random(static_cast<std::uint64_t>(k));
      // Products of about 2^-140, a few a block of k: block sums are denormal.
      const auto sparse = [&](std::int64_t i) -> reference::real {
        return i % 97 == 0
                   ? std::ldexp(static_cast<reference::real>(1 + random.below(1000)) / 1024, type == dtype::f16 ? -12 : -70)
                   : 0;
      };
      const tensor a = made({m, k}, type, sparse);
      const tensor b = made({n, k}, type, sparse).transpose();
      const tensor before = sluice::matmul(a, b, "cpu");
      const unsigned mode = _mm_getcsr();
      _mm_setcsr(mode | 0x8040u | 0x6000u);
      const tensor after = sluice::matmul(a, b, "cpu");
      _mm_setcsr(mode);
      CHECK(same_bits(after, before));
    }
}
#endif

// matmul on every device present, within the error that rounding may cost: (k + 1) units in the last place of what it
// accumulates in, and one rounding to the dtype of the result.
#include <atomic>

#include "parity_views.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/parallel.hpp"

using namespace testing;
using reference::real;

namespace {

struct rounding {
  real accumulator;  // unit roundoff
  real result;
  real least;  // half of the smallest denormal
};

rounding rounding_of(dtype t) {
  switch (t) {
    case dtype::f64: return {0x1p-53L, 0x1p-53L, 0x1p-1075L};
    case dtype::f32: return {0x1p-24L, 0x1p-24L, 0x1p-150L};
    case dtype::f16: return {0x1p-24L, 0x1p-11L, 0x1p-25L};
    default: return {0x1p-24L, 0x1p-8L, 0x1p-134L};
  }
}

// A contiguous tensor of rank 2 or more as one batch of matrices: the table's rank.
sluice_array as_batch(const tensor& t) {
  const std::int64_t rows = t.shape().back(1);
  const std::int64_t columns = t.shape().back();
  return sluice::core::array_of(t.reshape({t.count() / (rows * columns), rows, columns}));
}

// Empty when `c` is a x b within bounds, else the first element that is not.
std::string difference(const tensor& a, const tensor& b, const tensor& c) {
  const auto k = static_cast<real>(a.shape().back());
  const rounding u = rounding_of(a.dtype());
  if (c.count() == 0) return "";
  const shape batch = c.shape().first(c.rank() - 2);
  const tensor x = a.broadcast_to(batch.with(a.shape().back(1)).with(a.shape().back())).clone();
  const tensor y = b.broadcast_to(batch.with(b.shape().back(1)).with(b.shape().back())).clone();
  std::vector<reference::product> exact(static_cast<std::size_t>(c.count()));
  if (x.count() > 0 && y.count() > 0) exact = reference::products(as_batch(x), as_batch(y));
  const auto got = bytes_of(c);
  const auto size = static_cast<std::size_t>(reference::size_of(code_of(c.dtype())));
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const real value = reference::get(code_of(c.dtype()), &got[i * size]);
    const auto& [sum, magnitude] = exact[i];
    if (std::isnan(sum) ? std::isnan(value) : (std::isinf(sum) && value == sum)) continue;
    const real accumulated = 1.01L * (k + 1) * u.accumulator * magnitude;
    if (std::fabs(value - sum) <= accumulated + u.result * (std::fabs(sum) + accumulated) + u.least) continue;
    return "element " + std::to_string(i) + " is " + std::to_string(value) + ", not " + std::to_string(sum);
  }
  return "";
}

tensor product_on(const sluice::device& where, const tensor& a, const tensor& b) {
  dirty(result_of(sluice::matmul_op(), {{a.dtype(), a.shape()}, {b.dtype(), b.shape()}}).shape, a.dtype());
  const tensor c = sluice::matmul(a, b);
  CHECK(c.device() == where);
  CHECK(c.dtype() == a.dtype());
  CHECK(c.is_contiguous());
  return c;
}

void check_sizes(dtype type, std::initializer_list<std::array<std::int64_t, 3>> sizes) {
  for (const auto& where : one_of_each_backend())
    for (const auto& size : sizes) {
      const auto m = size[0];
      const auto k = size[1];
      const auto n = size[2];
      INFO(where.str(), ": ", text(type), " ", m, " x ", k, " x ", n);
      const tensor a = random({m, k}, type, 11);
      const tensor b = random({k, n}, type, 12);
      const tensor at = random({k, m}, type, 13);
      const tensor bt = random({n, k}, type, 14);
      CHECK(difference(a, b, product_on(where, a.to(where), b.to(where))) == "");
      CHECK(difference(at.transpose(), b, product_on(where, at.to(where).transpose(), b.to(where))) == "");
      CHECK(difference(a, bt.transpose(), product_on(where, a.to(where), bt.to(where).transpose())) == "");
      CHECK(difference(at.transpose(), bt.transpose(),
                       product_on(where, at.to(where).transpose(), bt.to(where).transpose())) == "");
    }
}

}  // namespace

TEST_CASE("matmul of zero, one and odd sizes, either operand transposed") {
  for (const dtype type : floats)
    check_sizes(type, {{0, 3, 4},
                       {3, 0, 4},
                       {3, 4, 0},
                       {0, 0, 0},
                       {1, 1, 1},
                       {1, 7, 1},
                       {5, 1, 3},
                       {1, 33, 29},
                       {31, 17, 1},
                       {7, 13, 5},
                       {16, 16, 16},
                       {33, 65, 17},
                       {64, 3, 130},
                       {97, 101, 89}});
}

TEST_CASE("matmul of large sizes") {
  check_sizes(dtype::f32, {{130, 300, 67}, {1, 4099, 300}, {300, 2051, 1}, {3, 20011, 2}});
  check_sizes(dtype::f64, {{65, 260, 130}});
  check_sizes(dtype::bf16, {{70, 259, 66}});
  check_sizes(dtype::f16, {{70, 259, 66}});
}

TEST_CASE("matmul of small integers is exact in every dtype") {
  for (const auto& where : devices_under_test())
    for (const dtype type : floats) {
      INFO(where.str(), ": ", text(type));
      numbers n(3);
      const tensor a = made({9, 21}, type, [&](std::int64_t) { return n.below(5) - 2; });
      const tensor b = made({21, 10}, type, [&](std::int64_t) { return n.below(5) - 2; });
      tensor expected(shape{1, 9, 10}, type);
      reference::matmul(as_batch(a), as_batch(b), sluice::core::array_of(expected));
      CHECK(same_values(product_on(where, a.to(where), b.to(where)), expected.reshape({9, 10})));
    }
}

TEST_CASE("matmul of strided operands: rows, columns and both with steps") {
  for (const auto& where : devices_under_test())
    for (const dtype type : floats) {
      INFO(where.str(), ": ", text(type));
      const tensor a = random({40, 61}, type, 21);
      const tensor b = random({90, 50}, type, 22);
      const auto cut_a = [](const tensor& t) { return t.slice(0, 3, 40, 2).slice(1, 0, 61, 3); };  // 19 x 21
      const auto cut_b = [](const tensor& t) { return t.slice(0, 5, 89, 4).slice(1, 7, 50); };     // 21 x 43
      CHECK(difference(cut_a(a), cut_b(b), product_on(where, cut_a(a.to(where)), cut_b(b.to(where)))) == "");
      const tensor row = random({1, 21}, type, 23);
      const auto repeated = [](const tensor& t) { return t.broadcast_to({8, 21}); };
      CHECK(difference(repeated(row), cut_b(b), product_on(where, repeated(row.to(where)), cut_b(b.to(where)))) == "");
      CHECK(difference(cut_a(a), repeated(row).transpose(),
                       product_on(where, cut_a(a.to(where)), repeated(row.to(where)).transpose())) == "");
    }
}

TEST_CASE("matmul of batches, which broadcast") {
  struct batches {
    shape a, b, out;
  };
  const batches all[] = {{{3, 4, 5}, {3, 5, 6}, {3, 4, 6}},
                         {{3, 4, 5}, {5, 6}, {3, 4, 6}},
                         {{4, 5}, {3, 5, 6}, {3, 4, 6}},
                         {{1, 4, 5}, {7, 5, 6}, {7, 4, 6}},
                         {{2, 3, 4, 5}, {3, 5, 6}, {2, 3, 4, 6}},
                         {{2, 1, 4, 5}, {3, 5, 6}, {2, 3, 4, 6}},
                         {{2, 1, 4, 5}, {1, 3, 5, 6}, {2, 3, 4, 6}},
                         {{0, 4, 5}, {5, 6}, {0, 4, 6}},
                         {{2, 4, 0}, {0, 6}, {2, 4, 6}},
                         {{2, 1, 2, 1, 2, 1, 3, 4}, {2, 1, 2, 1, 4, 2}, {2, 1, 2, 1, 2, 1, 3, 2}},
                         {{1, 2, 1, 2, 1, 2, 3, 4}, {2, 1, 2, 1, 2, 1, 4, 2}, {2, 2, 2, 2, 2, 2, 3, 2}}};
  for (const auto& where : devices_under_test())
    for (const dtype type : {dtype::f32, dtype::f16})
      for (const auto& batch : all) {
        INFO(where.str(), ": ", text(type), " ", batch.a.str(), " x ", batch.b.str());
        const tensor a = random(batch.a, type, 31);
        const tensor b = random(batch.b, type, 32);
        const tensor c = product_on(where, a.to(where), b.to(where));
        CHECK(c.shape() == batch.out);
        CHECK(difference(a, b, c) == "");
      }
}

TEST_CASE("matmul of batches that are views") {
  for (const auto& where : devices_under_test()) {
    INFO(where.str());
    const tensor a = random({4, 1, 12, 3, 5}, dtype::f32, 41);
    const tensor b = random({5, 6, 4}, dtype::f32, 42);
    const auto uneven = [](const tensor& t) { return t.slice(2, 0, 12, 5); };  // (4, 1, 3, 3, 5)
    const auto matrix = [](const tensor& t) { return t[1].slice(0, 0, 5).transpose().transpose(); };
    CHECK(difference(uneven(a), matrix(b), product_on(where, uneven(a.to(where)), matrix(b.to(where)))) == "");
    const auto exchanged = [](const tensor& t) { return t.transpose(0, 2); };  // (4, 6, 5): batches side by side
    const auto rows = [](const tensor& t) { return t[0][0].slice(0, 2, 6); };  // (4, 3, 5)
    CHECK(difference(exchanged(b), rows(a).transpose(),
                     product_on(where, exchanged(b.to(where)), rows(a.to(where)).transpose())) == "");
    const auto outer = [](const tensor& t) { return t.transpose(0, 2).slice(0, 1, 11, 3); };  // (4, 1, 4, 3, 5)
    CHECK(difference(outer(a), matrix(b).slice(0, 0, 5),
                     product_on(where, outer(a.to(where)), matrix(b.to(where)).slice(0, 0, 5))) == "");
  }
}

TEST_CASE("matmul carries infinities and what is no number") {
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto& where : devices_under_test())
    for (const dtype type : floats) {
      INFO(where.str(), ": ", text(type));
      tensor a = random({9, 20}, dtype::f32, 51);
      tensor b = random({20, 11}, dtype::f32, 52);
      auto va = a.view<float, 2>();
      auto vb = b.view<float, 2>();
      va(2, 3) = std::numeric_limits<float>::quiet_NaN();
      va(4, 5) = inf;
      va(5, 6) = inf;
      vb(6, 7) = 0;  // inf * 0
      vb(9, 8) = -inf;
      va(6, 10) = inf;
      va(6, 11) = -inf;
      const tensor x = a.as(type);
      const tensor y = b.as(type);
      CHECK(difference(x, y, product_on(where, x.to(where), y.to(where))) == "");
      const tensor zero = tensor::zeros({9, 9}, type);  // 0 * NaN is no 0
      CHECK(difference(zero, x, product_on(where, zero.to(where), x.to(where))) == "");
    }
}

TEST_CASE("matmul of operands elsewhere copies them to where it is asked for") {
  const auto devices = devices_under_test();
  const tensor a = random({6, 7}, dtype::f32, 61);
  const tensor b = random({7, 8}, dtype::f32, 62);
  for (const auto& from : devices)
    for (const auto& to : devices) {
      INFO(from.str(), " to ", to.str());
      const tensor c = sluice::matmul(a.to(from), b, to);
      CHECK(c.device() == to);
      CHECK(difference(a, b, c) == "");
    }
}

TEST_CASE("matmul in tensor_core precision keeps 10 bits of mantissa at least") {
  for (const auto& where : devices_under_test()) {
    INFO(where.str());
    const tensor a = random({40, 64}, dtype::f32, 71);
    const tensor b = random({64, 50}, dtype::f32, 72);
    const tensor c = sluice::matmul(a.to(where), b.to(where), where, sluice::precision::tensor_core).to("cpu");
    const auto exact = reference::products(as_batch(a), as_batch(b));
    const auto* got = static_cast<const float*>(c.data());
    for (std::size_t i = 0; i < exact.size(); ++i) REQUIRE(std::fabs(got[i] - exact[i].sum) <= 0x1p-9L * exact[i].magnitude);
  }
}

TEST_CASE("matmul of 16-bit floats in fast and tensor_core precision adds in f32 and rounds once") {
  const auto column_major = [](const tensor& t) { return t.transpose().contiguous().transpose(); };
  for (const auto& where : one_of_each_backend())
    for (const dtype type : {dtype::f16, dtype::bf16})
      for (const auto p : {sluice::precision::fast, sluice::precision::tensor_core})
        for (const auto& extents : std::vector<std::array<std::int64_t, 3>>{{2, 1, 2},
                                                                            {3, 5, 7},
                                                                            {17, 31, 33},
                                                                            {32, 32, 32},
                                                                            {33, 63, 65},
                                                                            {130, 100, 70},
                                                                            {40, 2100, 45},
                                                                            {70, 33, 300}}) {
          const std::int64_t m = extents[0], k = extents[1], n = extents[2];
          INFO(where.str(), ": ", text(type), " ", m, " x ", k, " x ", n);
          const tensor a = random({2, m, k}, type, 71);
          const tensor b = random({2, k, n}, type, 72);
          const auto exact = reference::products(as_batch(a), as_batch(b));
          const real u = type == dtype::f16 ? 0x1p-11L : 0x1p-8L;
          const auto check = [&](const tensor& x, const tensor& y) {
            const tensor c = sluice::matmul(x.to(where), y.to(where), where, p).to("cpu");
            const auto got = bytes_of(c);
            for (std::size_t i = 0; i < exact.size(); ++i) {
              const real value = reference::get(code_of(type), &got[i * 2]);
              const real sums = static_cast<real>(k + 2) * 0x1p-23L * exact[i].magnitude;
              REQUIRE(std::fabs(value - exact[i].sum) <= sums + u * (std::fabs(exact[i].sum) + sums) + 0x1p-24L);
            }
          };
          check(a, b);
          check(column_major(a), b);
          check(a, column_major(b));
          check(column_major(a), column_major(b));
        }
}

// k is long, and the second half of it cancels the first but for one element: f32 holds all partial sums, 16 bits do not.
TEST_CASE("matmul of 16-bit floats keeps partial sums in f32 in every precision") {
  constexpr std::int64_t half = 10000;
  for (const auto& where : one_of_each_backend())
    for (const dtype type : {dtype::f16, dtype::bf16})
      for (const auto& extents : std::vector<std::array<std::int64_t, 2>>{{1, 16}, {1, 15}, {3, 16}, {1, 64}}) {
        const std::int64_t batch = extents[0], n = extents[1];
        const auto digit = [](std::int64_t i) { return 1 + i * 7 % 13 % 2; };
        const tensor a = made({batch, n, 2 * half}, type, [&](std::int64_t i) {
          const std::int64_t p = i % (2 * half);
          return p == 2 * half - 1 ? 0 : digit(i / (2 * half) + p % half);
        });
        const tensor b = made({batch, 2 * half, n}, type, [&](std::int64_t i) {
          const std::int64_t p = i / n % (2 * half);
          return (p < half ? 1 : -1) * digit(i % n + 3 * (p % half));
        });
        const tensor expected = made(
            {batch, n, n}, type, [&](std::int64_t i) { return digit(i / n + half - 1) * digit(i % n + 3 * (half - 1)); });
        for (const auto p : {sluice::precision::strict, sluice::precision::fast, sluice::precision::tensor_core}) {
          INFO(where.str(), ": ", text(type), " ", batch, " of ", n, ", precision ", static_cast<int>(p));
          CHECK(same_bits(sluice::matmul(a.to(where), b.to(where), where, p).to("cpu"), expected));
        }
      }
}

TEST_CASE("matmul of bf16 in tensor_core precision carries infinities and NaN") {
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    tensor a = random({40, 70}, dtype::f32, 51);
    tensor b = random({70, 45}, dtype::f32, 52);
    a.view<float, 2>()(2, 3) = std::numeric_limits<float>::quiet_NaN();
    a.view<float, 2>()(4, 69) = inf;
    a.view<float, 2>()(5, 6) = inf;
    b.view<float, 2>()(6, 7) = 0;  // inf * 0
    const tensor x = a.as(dtype::bf16);
    const tensor y = b.as(dtype::bf16);
    const tensor c =
        sluice::matmul(x.to(where), y.to(where), where, sluice::precision::tensor_core).to("cpu").as(dtype::f32);
    const auto exact = reference::products(as_batch(x), as_batch(y));
    const auto* got = static_cast<const float*>(c.data());
    for (std::size_t i = 0; i < exact.size(); ++i) {
      if (std::isfinite(exact[i].sum)) REQUIRE(std::isfinite(got[i]));
      if (std::isnan(exact[i].sum)) REQUIRE(std::isnan(got[i]));
      if (std::isinf(exact[i].sum)) REQUIRE(static_cast<real>(got[i]) == exact[i].sum);
    }
  }
}

TEST_CASE("work that is cancelled leaves its device as it was") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor a = random({64, 64}, dtype::f32, 1).to(where);
    const tensor before = sluice::matmul(a, a).to("cpu");
    std::atomic<bool> cancelled{true};
    for (int i = 0; i < 50; ++i) {  // more than a device has queues
      const sluice::parallel_cancellation scope(cancelled);
      CHECK(refused([&] { static_cast<void>(sluice::matmul(a, a)); }, sluice::error_code::cancelled, {"cancelled"}) == "");
    }
    CHECK(same_bits(sluice::matmul(a, a).to("cpu"), before));
  }
}

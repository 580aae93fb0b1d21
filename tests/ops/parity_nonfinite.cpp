// matmul of NaN, infinities and zeros at every place of small matrices, in every layout: a kernel that skips zeros would
// lose a NaN.
#include <limits>

#include "parity_views.hpp"
#include "sluice/ops/matmul.hpp"

using namespace testing;
using reference::real;

namespace {

// The same values in another place: each gives a view of memory of its own.
struct layout {
  const char* name;
  tensor (*of)(std::int64_t batch, std::int64_t rows, std::int64_t columns, dtype type, const sluice::device& where);
};

const layout layouts[] = {
    {"row-major",
     [](auto p, auto r, auto c, auto t, auto& d) {
       return tensor({p, r, c}, t, d);
     }},
    {"column-major",
     [](auto p, auto r, auto c, auto t, auto& d) {
       return tensor({p, c, r}, t, d).transpose();
     }},
    {"wide rows",
     [](auto p, auto r, auto c, auto t, auto& d) {
       return tensor({p, r, c + 3}, t, d).slice(2, 0, c);
     }},
    {"rows and columns with steps",
     [](auto p, auto r, auto c, auto t, auto& d) {
       return tensor({p, 3 * c, 2 * r}, t, d).slice(1, 0, 3 * c, 3).slice(2, 0, 2 * r, 2).transpose();
     }},
    {"the batch innermost",
     [](auto p, auto r, auto c, auto t, auto& d) {
       return tensor({c, r, p}, t, d).transpose(0, 2);
     }},
};

tensor laid(const layout& l, const tensor& values, const sluice::device& where) {
  tensor t = l.of(values.extent(0), values.extent(1), values.extent(2), values.dtype(), where);
  t.assign(values);
  return t;
}

struct operands_pair {
  tensor a, b, product;
};

// A batch: each of NaN and the infinities at each place of either operand, among zeros and small integers.
operands_pair specials(std::int64_t m, std::int64_t k, std::int64_t n, dtype type) {
  const real inf = std::numeric_limits<real>::infinity();
  const real values[] = {std::numeric_limits<real>::quiet_NaN(), inf, -inf};
  const std::int64_t places = m * k + k * n;
  numbers random(static_cast<std::uint64_t>(m * 100 + k * 10 + n));
  const auto operand = [&](std::int64_t rows, std::int64_t columns, std::int64_t first) {
    return made({3 * places, rows, columns}, type, [&](std::int64_t i) -> real {
      const std::int64_t matrix = i / (rows * columns);
      const real small[] = {0, 0, 1, -1, 2};
      const real other = small[random.below(5)];
      return matrix / 3 == first + i % (rows * columns) ? values[matrix % 3] : other;
    });
  };
  operands_pair p{operand(m, k, 0), operand(k, n, m * k), tensor({3 * places, m, n}, type)};
  reference::matmul(sluice::core::array_of(p.a), sluice::core::array_of(p.b), sluice::core::array_of(p.product));
  return p;
}

// The same values. Elsewhere than on the CPU a sum may begin with its first product, which may be a minus zero.
bool same_product(const tensor& c, const tensor& expected) {
  if (c.device().is_cpu()) return same_values(c, expected);
  const auto size = static_cast<std::size_t>(reference::size_of(code_of(expected.dtype())));
  const auto x = bytes_of(c), y = bytes_of(expected);
  for (std::size_t i = 0; i < y.size(); i += size) {
    const real got = reference::get(code_of(expected.dtype()), &x[i]),
               wanted = reference::get(code_of(expected.dtype()), &y[i]);
    if (!(got == wanted || (std::isnan(got) && std::isnan(wanted)))) return false;
  }
  return x.size() == y.size();
}

std::vector<sluice::device> real_devices() {
  auto list = one_of_each_backend();
  std::erase_if(list, [](const auto& d) { return d.backend() != "cpu" && d.backend() != "cuda"; });
  return list;
}

}  // namespace

TEST_CASE("NaN and infinities at every place of a product, in every layout") {
  for (const auto& where : real_devices())
    for (const dtype type : floats)
      for (std::int64_t size = 0; size < 5 * 5 * 5; ++size) {
        const auto p = specials(1 + size / 25, 1 + size / 5 % 5, 1 + size % 5, type);
        for (const layout& la : layouts)
          for (const layout& lb : layouts) {
            const tensor c = sluice::matmul(laid(la, p.a, where), laid(lb, p.b, where));
            INFO(where.str(), ": ", text(type), " ", p.a[0].shape().str(), " ", la.name, " x ", p.b[0].shape().str(), " ",
                 lb.name);
            REQUIRE(same_product(c, p.product));
          }
      }
}

TEST_CASE("NaN and infinities where one matrix multiplies a batch, and of single products") {
  for (const auto& where : real_devices())
    for (const dtype type : floats)
      for (const auto& extents : {std::array{2, 2, 3}, std::array{3, 3, 5}, std::array{5, 4, 3}, std::array{2, 5, 5}}) {
        const int m = extents[0], k = extents[1], n = extents[2];
        const auto p = specials(m, k, n, type);
        for (const std::int64_t i : {0, 1, 3, 3 * m * k, 3 * m * k + 1, 3 * m * k + 3 * k}) {
          INFO(where.str(), ": ", text(type), " ", m, " x ", k, " x ", n, " of ", i);
          const tensor b = p.b[i].clone();
          tensor expected(p.product.shape(), type);
          const auto repeated = b.broadcast_to(p.b.shape()).clone();
          reference::matmul(sluice::core::array_of(p.a), sluice::core::array_of(repeated), sluice::core::array_of(expected));
          CHECK(same_product(sluice::matmul(p.a.to(where), b.to(where)), expected));
          const tensor a = p.a[i].transpose().clone().to(where).transpose();
          CHECK(same_product(sluice::matmul(a, b.to(where)), p.product[i]));
        }
      }
}

TEST_CASE("an infinity in one row leaves the bits of the others") {
  for (const auto& where : real_devices())
    for (const dtype type : floats)
      for (const auto& extents : {std::array{7, 40, 130}, std::array{300, 33, 20}}) {
        const int m = extents[0], k = extents[1], n = extents[2];
        INFO(where.str(), ": ", text(type), " ", m, " x ", k, " x ", n);
        const tensor a = random({m, k}, type, 1);
        const tensor b = random({k, n}, type, 2);
        tensor marked = a.clone();
        marked.slice(0, 3, 4).slice(1, 5, 6).assign(tensor::full({1, 1}, std::numeric_limits<double>::infinity(), type));
        const tensor c = sluice::matmul(marked.to(where), b.to(where)).to("cpu");
        const tensor plain = sluice::matmul(a.to(where), b.to(where)).to("cpu");
        CHECK(same_bits(c.slice(0, 0, 3), plain.slice(0, 0, 3)));
        CHECK(same_bits(c.slice(0, 4, m), plain.slice(0, 4, m)));
        for (std::int64_t j = 0; j < n; ++j) CHECK(!std::isfinite(c[3][j].item<double>()));
      }
}

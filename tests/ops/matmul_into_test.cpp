// Products into memory that is there.
#include "sluice/ops/matmul.hpp"

#include "testing.hpp"

using namespace testing;

TEST_CASE("matmul_into writes what matmul returns, into the memory of out") {
  for (const auto& where : one_of_each_backend())
    for (const dtype type : floats)
      for (const auto& extents :
           std::vector<std::array<std::int64_t, 3>>{{8, 8, 8}, {1, 40, 3}, {70, 1030, 90}, {3, 0, 4}, {0, 2, 2}}) {
        const std::int64_t m = extents[0], k = extents[1], n = extents[2];
        INFO(where.str(), ": ", text(type), " ", m, " x ", k, " x ", n);
        const tensor a = rough({m, k}, type, 1).to(where);
        const tensor b = rough({k, n}, type, 2).to(where);
        tensor out = rough({m, n}, type, 3).to(where);
        const tensor same = out;  // shares its memory
        sluice::matmul_into(out, a, b);
        CHECK(same_bits(out.to("cpu"), sluice::matmul(a, b).to("cpu")));
        CHECK(same_bits(same.to("cpu"), out.to("cpu")));
      }
}

TEST_CASE("matmul_into takes batches, views and operands of another device") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor a = rough({3, 5, 6}, dtype::f32, 1);
    const tensor b = rough({6, 4}, dtype::f32, 2);
    const tensor expected = sluice::matmul(a, b);
    tensor out = tensor::zeros({3, 5, 4}, dtype::f32, where);
    sluice::matmul_into(out, a, b);
    CHECK(same_bits(out.to("cpu"), expected));
    tensor wide = tensor::zeros({3, 5, 8}, dtype::f32, where);
    tensor every_second = wide.slice(2, 0, 8, 2);
    sluice::matmul_into(every_second, a, b);
    CHECK(same_bits(wide.to("cpu").slice(2, 0, 8, 2).clone(), expected));
    CHECK(same_bits(wide.to("cpu").slice(2, 1, 8, 2).clone(), tensor::zeros({3, 5, 4})));
  }
}

TEST_CASE("matmul_into an operand's own memory multiplies what it held") {
  for (const auto& where : one_of_each_backend())
    for (const std::int64_t n : {4, 40, 200}) {
      INFO(where.str(), " ", n);
      const tensor a = rough({n, n}, dtype::f32, 1).to(where);
      tensor b = rough({n, n}, dtype::f32, 2).to(where);
      const tensor expected = sluice::matmul(a, b).to("cpu");
      tensor out = b;
      sluice::matmul_into(out, a, b);
      CHECK(same_bits(b.to("cpu"), expected));
    }
}

TEST_CASE("matmul_into refuses an out of another shape or dtype, which keeps its values") {
  const tensor a = rough({2, 3}, dtype::f32, 1);
  const tensor b = rough({3, 4}, dtype::f32, 2);
  tensor out = rough({2, 5}, dtype::f32, 3);
  const tensor before = out.clone();
  CHECK_REFUSED(sluice::matmul_into(out, a, b), invalid_argument, "[matmul]", "out is f32 (2, 5)", "f32 (2, 4)");
  CHECK(same_bits(out, before));
  tensor wide = tensor::zeros({2, 4}, dtype::f64);
  CHECK_REFUSED(sluice::matmul_into(wide, a, b), invalid_argument, "out is f64 (2, 4)", "f32 (2, 4)");
  tensor none = tensor::zeros({2, 4});
  CHECK_REFUSED(sluice::matmul_into(none, a, a), invalid_argument, "[matmul]");
}

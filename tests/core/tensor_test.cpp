// Tensors on the CPU: making them, looking at them otherwise, and every refusal with its numbers.
#include <limits>
#include <memory>

#include "testing.hpp"

using namespace testing;
using sluice::strides;

namespace {
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

tensor counting(const shape& extents) {
  return made(extents, dtype::i64, [](std::int64_t i) { return i; });
}
}  // namespace

TEST_CASE("an empty tensor is of shape (0) and may be used") {
  const tensor t;
  CHECK(t.shape() == shape{0});
  CHECK(t.dtype() == dtype::f32);
  CHECK(t.device() == sluice::device::cpu);
  CHECK(t.count() == 0);
  CHECK(t.data() == nullptr);
  CHECK(t.clone().count() == 0);
  CHECK(t.as(dtype::i32).dtype() == dtype::i32);
  CHECK(t.slice(0, 0, 0).count() == 0);
  CHECK(t.reshape({3, 0}).shape() == shape{3, 0});
  CHECK(t.view<float, 1>().extent(0) == 0);
}

TEST_CASE("memory is aligned, and its size is checked") {
  for (const std::int64_t n : {1, 3, 100, 2000, 70000}) {
    const tensor t({n});
    CHECK(reinterpret_cast<std::uintptr_t>(t.data()) % (n * 4 >= 4096 ? 4096 : 64) == 0);
    CHECK(t.bytes() == static_cast<std::size_t>(n) * 4);
  }
  CHECK_REFUSED(tensor({2, -3}), invalid_argument, "(2, -3)", "negative");
  CHECK_REFUSED(tensor({most, 3}), invalid_argument, "(9223372036854775807, 3)", "63 bits");
  CHECK_REFUSED(tensor({most}, dtype::f64), invalid_argument, "9223372036854775807 x 8", "63 bits");
  CHECK_REFUSED(tensor({std::int64_t{1} << 60}, dtype::u8), out_of_memory, "1152921504606846976");
  CHECK(tensor({0, most, most}).count() == 0);
  CHECK(tensor({0, most, most}).is_contiguous());
  CHECK(tensor({0, most, most}).transpose(0, 1).slice(0, 5, most, 3).count() == 0);
}

TEST_CASE("tensors of values") {
  const tensor t = tensor::of<float>({{1, 2, 3}, {4, 5, 6}});
  CHECK(t.shape() == shape{2, 3});
  CHECK(t.view<float, 2>()(1, 0) == 4);
  CHECK(tensor::of<std::int32_t>({7, 8}).view<std::int32_t, 1>()(1) == 8);
  const std::vector<double> v{1, 2, 3, 4};
  CHECK(tensor::of<double>({2, 2}, v).view<double, 2>()(1, 1) == 4);
  CHECK(tensor::of<double>(shape{}, std::span(v).first(1)).rank() == 0);
  CHECK_REFUSED(tensor::of<double>({2, 3}, v), invalid_argument, "(2, 3)", "6 elements", "4 were given");
  CHECK_REFUSED((tensor::of<float>({{1, 2}, {3, 4}, {5}})), invalid_argument, "row 2 has 1", "row 0 has 2");
}

TEST_CASE("item reads one element of any dtype") {
  CHECK(tensor::full({1, 1}, 2.5).item<double>() == 2.5);
  CHECK(tensor::full({}, 2.5).item<std::int32_t>() == 2);
  CHECK(static_cast<float>(tensor::full({}, 2.5).item<sluice::float16>()) == 2.5f);
  CHECK(counting({3, 4})[1].slice(0, 2, 3).item<std::int64_t>() == 6);
  CHECK_REFUSED(tensor({2, 1}).item<float>(), invalid_argument, "[item]", "(2, 1)");
  CHECK_REFUSED(tensor({0}).item<float>(), invalid_argument, "(0)");
}

TEST_CASE("copying a tensor copies the handle, clone() the data") {
  tensor a = counting({4});
  tensor b = a;
  tensor c = a.clone();
  a.view<std::int64_t, 1>()(0) = 50;
  CHECK(b.view<std::int64_t, 1>()(0) == 50);
  CHECK(c.view<std::int64_t, 1>()(0) == 0);
  CHECK(a.to("cpu").data() == a.data());
  CHECK(a.as(dtype::i64).data() == a.data());
  CHECK(a.contiguous().data() == a.data());
  CHECK(a.to(sluice::device::automatic).data() == a.data());
}

TEST_CASE("transpose, slice, index, reshape and broadcast look at the same memory") {
  const tensor t = counting({4, 6});
  CHECK(t.transpose().view<const std::int64_t, 2>()(5, 3) == 23);
  CHECK(t.transpose().data() == t.data());
  CHECK_FALSE(t.transpose().is_contiguous());
  const tensor s = t.slice(1, 1, 6, 2).slice(0, 1, 4, 2);
  CHECK(s.shape() == shape{2, 3});
  CHECK(s.strides() == strides{12, 2});
  CHECK(s.view<const std::int64_t, 2>()(1, 2) == 23);
  CHECK(t.slice(-1, 5, 6).shape() == shape{4, 1});
  CHECK(t.slice(0, 4, 4).count() == 0);
  CHECK(t.slice(0, 0, 4, most).shape() == shape{1, 6});
  CHECK(t.slice(0, 1, 4).is_contiguous());
  CHECK(t.slice(0, 1, 2).slice(1, 2, 5).is_contiguous());
  CHECK_FALSE(t.slice(1, 0, 5).is_contiguous());
  CHECK(t[2].view<const std::int64_t, 1>()(3) == 15);
  CHECK(t[2][3].item<std::int64_t>() == 15);
  CHECK(t.reshape({3, 2, 4}).view<const std::int64_t, 3>()(2, 1, 3) == 23);
  const tensor b = t[1].broadcast_to({5, 6});
  CHECK(b.strides() == strides{0, 1});
  CHECK(b.view<const std::int64_t, 2>()(4, 5) == 11);
  CHECK(t.broadcast_to({0, 4, 6}).count() == 0);
  CHECK(tensor({1}).broadcast_to({0}).shape() == shape{0});
  CHECK(t.transpose(0, -1).shape() == t.transpose(-1, 0).shape());
  CHECK(counting({2, 3, 4}).transpose(0, 2).view<const std::int64_t, 3>()(3, 2, 1) == 23);
}

TEST_CASE("looking wrongly is refused with the numbers") {
  const tensor t = counting({4, 6});
  CHECK_REFUSED(t.transpose(0, 2), invalid_argument, "[transpose]", "(4, 6)", "rank 2", "dimension 2");
  CHECK_REFUSED(tensor({3}).transpose(), invalid_argument, "[transpose]", "(3)", "dimension -2");
  CHECK_REFUSED(t.slice(-3, 0, 1), invalid_argument, "[slice]", "dimension -3");
  CHECK_REFUSED(t.slice(0, -1, 2), invalid_argument, "[-1:2:1] of extent 4");
  CHECK_REFUSED(t.slice(0, 3, 2), invalid_argument, "[3:2:1] of extent 4");
  CHECK_REFUSED(t.slice(1, 0, 7), invalid_argument, "[0:7:1] of extent 6");
  CHECK_REFUSED(t.slice(1, 0, 6, 0), invalid_argument, "[0:6:0] of extent 6");
  CHECK_REFUSED(t[4], invalid_argument, "index 4 of extent 4");
  CHECK_REFUSED(t[-1], invalid_argument, "index -1 of extent 4");
  CHECK_REFUSED(t[0][0][0], invalid_argument, "()", "no dimension 0");
  CHECK_REFUSED(t.reshape({5, 5}), invalid_argument, "(4, 6) has 24", "(5, 5) has 25");
  CHECK_REFUSED(t.reshape({-4, -6}), invalid_argument, "(-4, -6)");
  CHECK_REFUSED(t.transpose().reshape({24}), invalid_argument, "(6, 4)", "strides (1, 6)", "contiguous()");
  CHECK_REFUSED(t.broadcast_to({6}), invalid_argument, "(4, 6)", "(6)");
  CHECK_REFUSED(t.broadcast_to({2, 4, 5}), invalid_argument, "(4, 6)", "(2, 4, 5)");
  CHECK_REFUSED(t.broadcast_to({-1, 4, 6}), invalid_argument, "(-1, 4, 6)");
}

TEST_CASE("repeated elements may be more than memory holds, until they are counted in bytes") {
  const tensor one = tensor::full({1}, 3, dtype::f64);
  const tensor many = one.broadcast_to({std::int64_t{1} << 61});
  CHECK(many.count() == std::int64_t{1} << 61);
  CHECK_REFUSED(many.bytes(), invalid_argument, "2305843009213693952 x 8");
  CHECK_REFUSED(many.clone(), invalid_argument, "2305843009213693952 x 8");
  CHECK_REFUSED(one.broadcast_to({most, 2}), invalid_argument, "(9223372036854775807, 2)");
}

TEST_CASE("views are of the tensor's dtype and rank") {
  tensor t = tensor::zeros({2, 3});
  CHECK_REFUSED((t.view<double, 2>()), invalid_argument, "[view]", "f32", "f64");
  CHECK_REFUSED((t.view<float, 3>()), invalid_argument, "[view]", "(2, 3)", "rank 2", "rank 3");
}

TEST_CASE("wrapped memory is the caller's, held as long as it is needed") {
  auto memory = std::make_shared<std::vector<float>>(24);
  const std::weak_ptr<std::vector<float>> watch = memory;
  float* p = memory->data();
  tensor column;
  {
    const tensor t = tensor::wrap(p, {4, 6}, std::move(memory));
    CHECK(t.data() == p);
    column = t.slice(1, 2, 3);
  }
  REQUIRE_FALSE(watch.expired());
  column.view<float, 2>()(3, 0) = 8;
  CHECK(p[20] == 8);
  column = tensor();
  CHECK(watch.expired());
  std::array<std::int32_t, 6> own{1, 2, 3, 4, 5, 6};
  CHECK(tensor::wrap(own.data(), {3, 2}, strides{1, 3}).view<std::int32_t, 2>()(1, 1) == 5);
  CHECK(tensor::wrap(own.data(), {4, 3}, strides{1, 1}).view<std::int32_t, 2>()(3, 2) == 6);
  CHECK(tensor::wrap(static_cast<float*>(nullptr), {0, 3}).count() == 0);
}

TEST_CASE("wrapping wrongly is refused with the numbers") {
  alignas(8) std::array<char, 64> bytes{};
  float* p = reinterpret_cast<float*>(bytes.data());
  CHECK_REFUSED(tensor::wrap(p, {2, 2}, strides{2}), invalid_argument, "(2, 2)", "(2)", "rank");
  CHECK_REFUSED(tensor::wrap(p, {2, 2}, strides{-2, 1}), invalid_argument, "(-2, 1)", "negative");
  CHECK_REFUSED(tensor::wrap(p, {2, -2}), invalid_argument, "(2, -2)", "negative");
  CHECK_REFUSED(tensor::wrap(p, {3, 3}, strides{most / 2, most / 2}), invalid_argument, "(3, 3)", "63 bits");
  CHECK_REFUSED(tensor::wrap(p, {2}, strides{most}), invalid_argument, "9223372036854775807 x 4");
  CHECK_REFUSED(tensor::wrap(static_cast<float*>(nullptr), {2}), invalid_argument, "(2)", "null");
  CHECK_REFUSED(tensor::wrap(bytes.data() + 2, dtype::f32, {2}, strides{1}, nullptr), invalid_argument, "f32", "4 bytes");
  CHECK(tensor::wrap(p, {2, 1, 2}, strides{2, most, 1}).reshape({4}).count() ==
        4);  // a step of an extent of 1 is never taken
}

TEST_CASE("assign writes into a look, converting") {
  tensor t = tensor::zeros({3, 4}, dtype::i32);
  t.transpose().slice(0, 1, 3).assign(tensor::of<float>({{1.9f, 2, 3}, {4, 5, -6.9f}}));
  CHECK(t.view<std::int32_t, 2>()(0, 1) == 1);
  CHECK(t.view<std::int32_t, 2>()(2, 2) == -6);
  CHECK(t.view<std::int32_t, 2>()(2, 3) == 0);
  CHECK_REFUSED(t.assign(tensor({4, 3})), invalid_argument, "[assign]", "(4, 3)", "(3, 4)");
}

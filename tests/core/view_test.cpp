#include "sluice/view.hpp"

#include <numeric>
#include <type_traits>

#include "testing.hpp"

using sluice::view;
using testing::tensor;

TEST_CASE("a view is indexed by its strides") {
  std::array<int, 24> data{};
  std::iota(data.begin(), data.end(), 0);
  const view<int, 3> v(data.data(), {2, 3, 4}, {12, 4, 1});
  CHECK(v.extent(1) == 3);
  CHECK(v.stride(0) == 12);
  CHECK(v.data() == data.data());
  CHECK(v(1, 2, 3) == 23);
  CHECK(v(0, std::size_t{1}, std::int64_t{2}) == 6);
  v(1, 0, 0) = -5;
  CHECK(data[12] == -5);
  const view<int, 2> columns(data.data() + 1, {4, 2}, {0, 12});
  CHECK(columns(3, 1) == 13);
}

TEST_CASE("a view of what may be written is one of what may only be read, not the other way about") {
  CHECK(std::is_convertible_v<view<float, 2>, view<const float, 2>>);
  CHECK_FALSE(std::is_convertible_v<view<const float, 2>, view<float, 2>>);
  CHECK(std::is_same_v<decltype(std::declval<const view<const float, 1>>()(0)), const float&>);
  std::array<float, 2> data{1, 2};
  const view<float, 1> v(data.data(), {2}, {1});
  const view<const float, 1> r = v;
  CHECK(r(1) == 2);
}

TEST_CASE("a constant tensor gives only a view to read") {
  tensor t = tensor::of<float>({{1, 2, 3}, {4, 5, 6}});
  const tensor& c = t;
  CHECK(std::is_same_v<decltype(t.view<float, 2>()), view<float, 2>>);
  CHECK(std::is_same_v<decltype(c.view<float, 2>()), view<const float, 2>>);
  t.view<float, 2>()(1, 2) = 60;
  CHECK(c.view<float, 2>()(1, 2) == 60);
  CHECK(c.transpose().view<float, 2>()(2, 1) == 60);
}

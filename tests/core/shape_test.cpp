#include "sluice/shape.hpp"

#include <limits>

#include "testing.hpp"

using sluice::strides;
using testing::shape;

namespace {
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
}

TEST_CASE("a shape holds up to 8 numbers") {
  const shape s{2, 3, 5};
  CHECK(s.rank() == 3);
  CHECK(s.size() == 3);
  CHECK(s[1] == 3);
  CHECK(s.back() == 5);
  CHECK(s.back(2) == 2);
  CHECK(s.str() == "(2, 3, 5)");
  CHECK(shape{}.str() == "()");
  CHECK(shape{7}.str() == "(7)");
  CHECK(s.first(2) == shape{2, 3});
  CHECK(s.without_first(1) == shape{3, 5});
  CHECK(s.first(0) == shape{});
  CHECK(s.without_first(3) == shape{});
  CHECK(s.with(9) == shape{2, 3, 5, 9});
  CHECK(s != shape{2, 3});
  CHECK(s != shape{2, 3, 4});
  CHECK((shape{1, 2, 3, 4, 5, 6, 7, 8}.rank()) == 8);
  CHECK_REFUSED((shape{1, 2, 3, 4, 5, 6, 7, 8, 9}), invalid_argument, "rank is 9", "at most 8");
  CHECK_REFUSED((shape{1, 2, 3, 4, 5, 6, 7, 8}.with(9)), invalid_argument, "(1, 2, 3, 4, 5, 6, 7, 8)", "8 dimensions");
}

TEST_CASE("count is the product of the extents, or a refusal with the numbers") {
  CHECK(shape{}.count() == 1);
  CHECK(shape{0}.count() == 0);
  CHECK((shape{3, 0, 5}.count()) == 0);
  CHECK((shape{2, 3, 5}.count()) == 30);
  CHECK((shape{most}.count()) == most);
  CHECK((shape{most, 1, 1}.count()) == most);
  CHECK((shape{most, most, 0}.count()) == 0);
  CHECK_REFUSED((shape{most, 2}.count()), invalid_argument, "(9223372036854775807, 2)", "63 bits");
  CHECK_REFUSED((shape{std::int64_t{1} << 32, std::int64_t{1} << 31}.count()), invalid_argument, "(4294967296, 2147483648)");
  CHECK_REFUSED((shape{2, -1}.count()), invalid_argument, "(2, -1)", "negative");
  CHECK_REFUSED((shape{0, -1}.count()), invalid_argument, "(0, -1)", "negative");
}

TEST_CASE("checked_product") {
  CHECK(sluice::checked_product(0, most) == 0);
  CHECK(sluice::checked_product(most, 1) == most);
  CHECK(sluice::checked_product(3037000499, 3037000499) == 9223372030926249001);
  CHECK_REFUSED(sluice::checked_product(3037000500, 3037000500), invalid_argument, "3037000500 x 3037000500", "63 bits");
}

TEST_CASE("strides of both orders") {
  CHECK(sluice::row_major({2, 3, 5}) == strides{15, 5, 1});
  CHECK(sluice::column_major({2, 3, 5}) == strides{1, 2, 6});
  CHECK(sluice::row_major({}) == strides{});
  CHECK(sluice::row_major({4, 0, 3}) == strides{3, 3, 1});
  CHECK(sluice::column_major({4, 0, 3}) == strides{1, 4, 4});
  // Without elements no step is taken; those that do not fit stop at the largest number.
  CHECK(sluice::row_major({0, most, most}) == strides{most, most, 1});
  CHECK(sluice::column_major({most, most, 0}) == strides{1, most, most});
}

// rowsum on every device present, bit for bit.
#include <vector>

#include "parity_views.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/placement.hpp"

using namespace testing;

namespace {

tensor sums_by_reference(const tensor& a, dtype out) {
  tensor s(a.shape().first(a.rank() - 1), out);
  auto* p = static_cast<char*>(s.data());
  if (s.count() == 0) return s;
  // The reference sees rows one after the other; elements() brings any look into that order.
  const tensor flat = a.clone();
  sluice_array in = sluice::core::array_of(flat.reshape({s.count(), a.shape().back()}));
  sluice_array to{};
  to.data = p;
  to.dtype = code_of(out);
  to.rank = 1;
  to.extents[0] = s.count();
  to.strides[0] = 1;
  reference::rowsum(in, to);
  return s;
}

constexpr dtype chosen[] = {dtype::f64, dtype::f32, dtype::f16, dtype::bf16, dtype::i64};

// Each dtype that sums of `t` may be rounded to.
std::span<const dtype> results_of(dtype t) { return std::span(chosen).first(sluice::is_floating(t) ? 4 : 5); }

void check_rowsum(const tensor& host, const tensor& there) {
  const dtype rounded = sluice::rowsum_dtype(host.dtype());
  dirty(host.shape().first(host.rank() - 1), rounded);
  const tensor s = sluice::rowsum(there);
  CHECK(s.device() == there.device());
  CHECK(same_bits(s, sums_by_reference(host, rounded)));
  const dtype unrounded = sluice::unrounded_rowsum_dtype(host.dtype());
  dirty(host.shape().first(host.rank() - 1), unrounded);
  CHECK(same_bits(sluice::rowsum_unrounded(there), sums_by_reference(host, unrounded)));
}

// The same rounded to every dtype that there is.
void check_results(const tensor& host, const tensor& there) {
  for (const dtype to : results_of(host.dtype())) {
    INFO("as ", text(to));
    dirty(host.shape().first(host.rank() - 1), to);
    const tensor s = sluice::rowsum(there, {}, {.dtype = to});
    CHECK(s.device() == there.device());
    CHECK(s.dtype() == to);
    CHECK(same_bits(s, sums_by_reference(host, to)));
  }
}

constexpr std::int64_t widths[] = {1,    2,    3,    4,    5,    7,    8,    15,   16,   17,   31,   32,   33,   47,   63,
                                   64,   65,   96,   100,  127,  128,  129,  255,  257,  511,  513,  1000, 1023, 1024, 1025,
                                   1055, 1056, 1057, 2047, 2048, 2049, 3071, 3072, 3073, 4096, 4097, 5120, 7169, 8192, 9999};

}  // namespace

TEST_CASE("rowsum of every width in every dtype, bit for bit") {
  for (const auto& where : one_of_each_backend())
    for (const dtype type : every_dtype)
      for (const std::int64_t width : widths) {
        INFO(where.str(), ": ", text(type), " of ", width);
        const tensor a = rough({width < 200 ? 35 : 5, width}, type, static_cast<std::uint64_t>(width));
        const tensor there = a.to(where);
        check_rowsum(a, there);
        check_rowsum(a.transpose(), there.transpose());
      }
}

TEST_CASE("rowsum of every look in every dtype, bit for bit") {
  for (const auto& where : devices_under_test())
    for (const auto& l : looks())
      for (const dtype type : every_dtype) {
        INFO(where.str(), ": ", l.name, ", ", text(type));
        const auto [host, there] = seen(l, type, where, 4);
        check_rowsum(host, there);
        check_results(host, there);
      }
}

TEST_CASE("rowsum of steps between columns and rows repeated, in long rows") {
  for (const auto& where : one_of_each_backend())
    for (const dtype type : every_dtype) {
      INFO(where.str(), ": ", text(type));
      const tensor a = rough({6, 9001}, type, 5);
      const tensor there = a.to(where);
      check_rowsum(a.slice(1, 1, 9001, 2), there.slice(1, 1, 9001, 2));
      check_rowsum(a.slice(1, 3, 9000), there.slice(1, 3, 9000));  // rows that begin off every boundary
      check_rowsum(a.slice(0, 0, 6, 5).slice(1, 0, 8999, 7), there.slice(0, 0, 6, 5).slice(1, 0, 8999, 7));
      check_rowsum(a.slice(0, 2, 3).broadcast_to({40, 9001}), there.slice(0, 2, 3).broadcast_to({40, 9001}));
      check_rowsum(a.slice(1, 2, 3).broadcast_to({6, 5000}), there.slice(1, 2, 3).broadcast_to({6, 5000}));
    }
}

// A column's total is the sum of a row of the transpose, in the order of rows.
TEST_CASE("totals of columns, few and many, short and long, bit for bit") {
  for (const auto& where : one_of_each_backend())
    for (const dtype type : every_dtype)
      for (const std::int64_t columns : {2, 3, 4, 5, 8, 9, 16, 17, 33, 100})
        for (const std::int64_t rows : {33, 500, 1025, 4099, 9001}) {
          if (type != dtype::f32 && rows * columns > 50000) continue;  // the largest in one dtype, for the sake of time
          INFO(where.str(), ": ", text(type), ", ", columns, " columns of ", rows);
          const tensor a = rough({rows, columns}, type, static_cast<std::uint64_t>(rows + columns));
          check_rowsum(a.transpose(), a.to(where).transpose());
        }
}

TEST_CASE("totals of columns so many that a thread takes one whole, bit for bit") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor a = rough({37, 170000}, dtype::f32, 14);
    CHECK(same_bits(sluice::rowsum(a.to(where).transpose()), sums_by_reference(a.transpose(), dtype::f32)));
  }
}

// Odd beginnings, gaps between rows and columns for rows: each kernel gets rows that nobody thought of.
TEST_CASE("rowsum of 240 random shapes and layouts in every dtype, bit for bit") {
  numbers n(21);
  for (int i = 0; i < 240; ++i) {
    const std::int64_t columns = 1 + n.below(std::int64_t{1} << (1 + n.below(13)));
    const std::int64_t rows = 1 + n.below(std::clamp<std::int64_t>(12000 / columns, 1, 600));
    const std::int64_t before = n.below(3) == 0 ? n.below(9) : 0;
    const std::int64_t after = n.below(3) == 0 ? n.below(9) : 0;
    const bool across = n.below(3) == 0;
    const auto seen = [&](const tensor& t) {
      return across ? t.slice(1, before, before + rows).transpose() : t.slice(1, before, before + columns);
    };
    const shape whole = across ? shape{columns, before + rows + after} : shape{rows, before + columns + after};
    for (const auto& where : one_of_each_backend())
      for (const dtype type : every_dtype) {
        INFO(where.str(), ": ", text(type), ", ", rows, " rows of ", columns, " in ", whole.str(), ", ", before, " before");
        const tensor a = rough(whole, type, static_cast<std::uint64_t>(i));
        check_rowsum(seen(a), seen(a.to(where)));
      }
  }
}

TEST_CASE("rowsum of many narrow rows and of few long ones") {
  for (const auto& where : one_of_each_backend())
    for (const shape& extents :
         {shape{70001, 3}, shape{20011, 17}, shape{3001, 100}, shape{1, 300007}, shape{2, 131072}, shape{3, 65537}}) {
      INFO(where.str(), ": ", extents.str());
      const tensor a = rough(extents, dtype::f32, 6);
      check_rowsum(a, a.to(where));
    }
}

TEST_CASE("rowsum of zeros, infinities and what is no number") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float many[][4] = {{0, 0, 0, 0},
                           {-0.0f, -0.0f, -0.0f, -0.0f},
                           {-0.0f, 0, -0.0f, -0.0f},
                           {inf, 1, 2, 3},
                           {-inf, 1, 2, 3},
                           {inf, -inf, 0, 0},
                           {nan, 1, 2, 3},
                           {-nan, 1, 2, 3},
                           {nan, inf, -inf, -nan},
                           {1, -1, 1, -1},
                           {65504, 65504, 65504, 65504}};
  for (const auto& where : one_of_each_backend())
    for (const dtype type : floats)
      for (const std::int64_t width : {1, 2, 3, 4, 31, 32, 33, 1023, 1025, 3000})
        for (const auto& row : many) {
          INFO(where.str(), ": ", text(type), " of ", width, ": ", row[0], " ", row[1], " ", row[2], " ", row[3]);
          const tensor a = made({3, width}, type, [&](std::int64_t i) { return row[(i % width) % 4]; });
          check_rowsum(a, a.to(where));
          check_rowsum(a.transpose().clone().transpose(), a.to(where).transpose().clone().transpose());
          check_results(a, a.to(where));
        }
}

TEST_CASE("rowsum rounded to a chosen dtype, bit for bit") {
  for (const auto& where : one_of_each_backend())
    for (const dtype type : every_dtype)
      for (const std::int64_t width : {0, 1, 2, 33, 1000, 1025, 9001}) {
        INFO(where.str(), ": ", text(type), " of ", width);
        const tensor a = rough({70, width}, type, static_cast<std::uint64_t>(width + 1));
        check_results(a, a.to(where));
        check_results(a.slice(0, 1, 70, 3), a.to(where).slice(0, 1, 70, 3));
        check_results(a.transpose(), a.to(where).transpose());
      }
}

// Each is off by a bit where the sum is rounded twice, by way of f32 or f64, or elements are rounded before they are added.
TEST_CASE("a sum is rounded once, to the dtype of the result") {
  for (const auto& where : devices_under_test()) {
    INFO(where.str());
    const auto as = [&](const tensor& a, dtype to) {
      const tensor s = sluice::rowsum(a.to(where), {}, {.dtype = to});
      REQUIRE(s.dtype() == to);
      return s.as(dtype::f64).item<double>();
    };
    // Half a step of the narrow dtype, and what f32 does not hold of it: to even by way of f32, up from f64.
    CHECK(as(tensor::of<double>({1, 0x1p-11, 0x1p-40}), dtype::f16) == 1 + 0x1p-10);
    CHECK(as(tensor::of<float>({1, 0x1p-11, 0x1p-40}), dtype::f16) == 1 + 0x1p-10);
    CHECK(as(tensor::of<double>({1, 0x1p-8, 0x1p-40}), dtype::bf16) == 1 + 0x1p-7);
    CHECK(as(tensor::of<double>({1, 0x1p-8}), dtype::bf16) == 1);
    CHECK(as(tensor::of<double>({1, 0x1p-24, 0x1p-52}), dtype::f32) == 1 + 0x1p-23);
    // Halfway between two f32, and 1: f64 holds the former alone.
    const std::int64_t halfway = (std::int64_t{1} << 60) + (std::int64_t{1} << 36);
    CHECK(as(tensor::of<std::int64_t>({halfway, 1}), dtype::f32) == 0x1p60 + 0x1p37);
    CHECK(as(tensor::of<std::int64_t>({halfway, 0}), dtype::f32) == 0x1p60);
    // Integers add in i64: neither is 2^53 + 2 a sum of rounded numbers, nor is it lost.
    CHECK(as(tensor::of<std::int64_t>({(std::int64_t{1} << 53) + 1, 1}), dtype::f64) == 0x1p53 + 2);
    CHECK(as(tensor::full({5000}, 255, dtype::u8), dtype::f64) == 5000.0 * 255);
    CHECK(as(tensor::of<float>({65504, 65504}), dtype::f16) == std::numeric_limits<double>::infinity());
    CHECK(as(tensor::of<float>({3e38f, 3e38f}), dtype::f64) == 2.0 * 3e38f);
    CHECK(std::signbit(as(tensor::full({1500}, -0.0, dtype::f32), dtype::f16)));
    CHECK(!std::signbit(as(tensor::full({0}, 1, dtype::f32), dtype::bf16)));
  }
}

TEST_CASE("a dtype that sums cannot have is refused, with those that they can have") {
  for (const dtype of : every_dtype) {
    const tensor a = tensor::zeros({2, 3}, of);
    for (const dtype to : {dtype::i64, dtype::i32, dtype::u8}) {
      if (to == dtype::i64 && !sluice::is_floating(of)) continue;
      INFO(text(of), " to ", text(to));
      CHECK_REFUSED(sluice::rowsum(a, {}, {.dtype = to}), invalid_argument, "sums of " + text(of) + " are rounded to ",
                    sluice::is_floating(of) ? "one of f64, f32, f16, bf16," : "one of i64, f64, f32, f16, bf16,",
                    "not to " + text(to));
      CHECK_REFUSED(sluice::result_of(sluice::rowsum_op(), {{of, {2, 3}}}, sluice::rowsum_options{to}), invalid_argument,
                    "");
    }
  }
}

TEST_CASE("the options of sums reach what placement knows of a call") {
  const sluice::operand_spec a{dtype::f32, {7, 3}};
  const auto as = [&](std::optional<dtype> to) {
    return sluice::work_of(sluice::rowsum_op(), {a}, sluice::rowsum_options{to}).result_bytes;
  };
  CHECK(as(std::nullopt) == 28);
  CHECK(as(dtype::f64) == 56);
  CHECK(as(dtype::bf16) == 14);
  CHECK(sluice::result_of(sluice::rowsum_op(), {a}, sluice::rowsum_options{dtype::f16}).dtype == dtype::f16);
}

TEST_CASE("rowsum of NaNs with payloads is the canonical quiet NaN") {
  for (const auto& where : devices_under_test()) {
    INFO(where.str());
    tensor a = tensor::zeros({1, 40}, dtype::f32);
    a.view<float, 2>()(0, 17) = std::bit_cast<float>(0xffc12345u);
    const tensor s = sluice::rowsum(a.to(where)).to("cpu");
    CHECK(std::bit_cast<std::uint32_t>(s.view<float, 1>()(0)) == 0x7fc00000u);
    const tensor d = sluice::rowsum_unrounded(a.to(where)).to("cpu");
    CHECK(std::bit_cast<std::uint64_t>(d.view<double, 1>()(0)) == 0x7ff8000000000000u);
  }
}

TEST_CASE("rowsum of integers wraps, of f32 does not overflow before its end") {
  for (const auto& where : devices_under_test()) {
    INFO(where.str());
    const auto most = std::numeric_limits<std::int64_t>::max();
    CHECK(sluice::rowsum(tensor::of<std::int64_t>({most, 1}).to(where)).item<std::int64_t>() ==
          std::numeric_limits<std::int64_t>::min());
    CHECK(sluice::rowsum(tensor::full({5000}, 255, dtype::u8, where)).item<std::int64_t>() == 5000 * 255);
    CHECK(sluice::rowsum(tensor::full({5000}, -2147483648.0, dtype::i32, where)).item<std::int64_t>() ==
          -2147483648LL * 5000);
    CHECK(sluice::rowsum(tensor::of<float>({3e38f, 3e38f, -3e38f}).to(where)).item<float>() == 3e38f);
    CHECK(sluice::rowsum(tensor::of<float>({3e38f, 3e38f}).to(where)).item<float>() ==
          std::numeric_limits<float>::infinity());
    // Lanes 0 and 2 meet before lane 1 joins them; from left to right the 1 would be lost.
    CHECK(sluice::rowsum(tensor::of<float>({0x1p60f, 1, -0x1p60f}).to(where)).item<float>() == 1);
    CHECK(sluice::rowsum(tensor::full({3, 0}, 1, dtype::f32, where)).to("cpu").view<float, 1>()(2) == 0);
    CHECK(!std::signbit(sluice::rowsum(tensor::full({1, 0}, 1, dtype::f32, where)).item<float>()));
    CHECK(std::signbit(sluice::rowsum(tensor::full({1, 1500}, -0.0, dtype::f32, where)).item<float>()));
  }
}

namespace {

// The row in parts of `length`, each summed by itself, then joined.
template <class T>
T joined(const tensor& row, std::int64_t length) {
  std::vector<T> parts;
  for (std::int64_t begin = 0; begin < row.extent(0); begin += length)
    parts.push_back(
        sluice::rowsum_unrounded(row.slice(0, begin, std::min(begin + length, row.extent(0)))).template item<T>());
  return sluice::join_rowsums(std::span(parts));
}

}  // namespace

TEST_CASE("a long row cut anywhere on 1,024 x 2^k sums to the same bits") {
  for (const auto& where : one_of_each_backend())
    for (const std::int64_t width : {1024, 1025, 5000, 6 * 1024, 7 * 1024 + 1, 33333, 65536, 100001}) {
      const tensor a = rough({width}, dtype::f32, 9).to(where);
      const tensor i = random({width}, dtype::i64, 10).to(where);
      const double whole = sluice::rowsum_unrounded(a).item<double>();
      for (std::int64_t length = 1024; length < 2 * width; length *= 2) {
        INFO(where.str(), ": ", width, " in parts of ", length);
        CHECK(std::bit_cast<std::uint64_t>(joined<double>(a, length)) == std::bit_cast<std::uint64_t>(whole));
        CHECK(joined<std::int64_t>(i, length) == sluice::rowsum(i).item<std::int64_t>());
      }
      CHECK(static_cast<float>(whole) == sluice::rowsum(a).item<float>());
    }
  CHECK(sluice::join_rowsums(std::span<double>()) == 0);
}

TEST_CASE("the order of additions is one that matters") {
  // Were it not, the comparisons of bits above would prove nothing.
  const tensor a = rough({1, 5000}, dtype::f64, 12);
  const auto* p = static_cast<const double*>(a.data());
  double plain = 0;
  for (int i = 0; i < 5000; ++i) plain += p[i];
  CHECK(plain != sluice::rowsum(a).item<double>());
}

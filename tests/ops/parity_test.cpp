// Every operation on every device present, against the slow reference: copies, conversions and fills here.
#include "parity_views.hpp"

using namespace testing;
using reference::real;

namespace {

// Values where conversions go wrong: halves of ties, ends of ranges, what is no number.
tensor awkward(dtype type) {
  const real inf = std::numeric_limits<real>::infinity();
  const real nan = std::numeric_limits<real>::quiet_NaN();
  std::vector<real> v{
      0, -0.0L, 1, -1, 0.5L, -0.5L, 1.5L, 2.5L, 254.5L, 255, 255.5L, 256, 257, -254.9L, 65504, 65519.99L, 65520, 65536, inf,
      -inf, nan, 1 + 0x1p-8L, 1 + 0x3p-8L, 1 + 0x1p-11L, 1 + 0x3p-11L, 1 + 0x1p-24L, 1 + 0x3p-24L, 0x1p-24L, 0x1p-25L,
      0x1.8p-25L, 0x3p-25L, 0x1p-14L, 0x1p-133L, 0x1p-134L, 0x1p-149L, 0x1p-150L, 0x1.8p-150L, 3.3e38L, 3.4e38L, 3.41e38L,
      1e300L, -1e300L, 0x1p31L, 0x1p31L - 1, -0x1p31L, 0x1p53L + 1, 0x1p62L, 0x1p63L, 0x1p63L - 1, -0x1p63L,
      // Rounded to f32 first, each of these would be a tie for the 16 bits.
      1 + 0x1p-11L + 0x1p-40L, 1 + 0x1p-8L - 0x1p-40L, 0x1p62L + 0x1p54L + 1, 0x1p62L + 0x1p51L + 1, 2049.0000001L};
  return made({static_cast<std::int64_t>(v.size())}, type, [&](std::int64_t i) { return v[static_cast<std::size_t>(i)]; });
}

tensor converted_by_reference(const tensor& t, dtype to) {
  tensor out(t.shape(), to);
  static_cast<void>(out.data());
  if (t.count() > 0) reference::copy(sluice::core::array_of(out), sluice::core::array_of(t));
  return out;
}

}  // namespace

TEST_CASE("there is a device to test") { CHECK(!devices_under_test().empty()); }

TEST_CASE("every conversion of every awkward value") {
  for (const auto& where : devices_under_test())
    for (const dtype from : every_dtype)
      for (const dtype to : every_dtype) {
        INFO(where.str(), ": ", text(from), " to ", text(to));
        const tensor a = awkward(from);
        const tensor expected = converted_by_reference(a, to);
        CHECK(same_values(a.to(where).as(to), expected));
        // The device may have to convert on the way, too.
        tensor onto = tensor::full(a.shape(), 77, to, where);
        onto.assign(a);
        CHECK(same_values(onto, expected));
        tensor back = tensor::full(a.shape(), 77, to);
        back.assign(a.to(where));
        CHECK(same_values(back, expected));
      }
}

TEST_CASE("copies of every look, with and without a conversion") {
  for (const auto& where : devices_under_test())
    for (const auto& l : looks())
      for (const dtype type : every_dtype) {
        INFO(where.str(), ": ", l.name, ", ", text(type));
        const auto [host, there] = seen(l, type, where, 3);
        const tensor expected = converted_by_reference(host, type);
        CHECK(same_bits(there.to("cpu"), expected));
        CHECK(same_bits(there.clone(), expected));
        CHECK(there.clone().is_contiguous());
        CHECK(same_bits(there.contiguous(), expected));
        CHECK(same_bits(host.to(where), expected));
        const dtype other = type == dtype::f32 ? dtype::i32 : dtype::f32;
        CHECK(same_values(there.as(other), converted_by_reference(host, other)));
      }
}

TEST_CASE("a copy into a look leaves everything between alone") {
  for (const auto& where : devices_under_test())
    for (const dtype type : {dtype::f64, dtype::f32, dtype::bf16, dtype::u8}) {
      INFO(where.str(), ": ", text(type));
      tensor onto = tensor::full({30, 41}, 9, type, where);
      const tensor source = rough({13, 10}, type, 8);
      onto.slice(0, 2, 30, 3).slice(1, 1, 40, 3).transpose().assign(source.to(where).slice(1, 0, 10));
      tensor expected = tensor::full({30, 41}, 9, type);
      reference::copy(sluice::core::array_of(expected.slice(0, 2, 30, 3).slice(1, 1, 40, 3).transpose()),
                      sluice::core::array_of(source));
      CHECK(same_bits(onto, expected));
    }
}

TEST_CASE("full gives every element the value, converted") {
  const double values[] = {0, -0.0, 1, -1, 3.7, -3.7, 255, 300, 65520, 1e30, -1e30, 0x1p-24, INFINITY, NAN};
  for (const auto& where : devices_under_test())
    for (const dtype type : every_dtype)
      for (const double value : values)
        for (const shape& extents :
             {shape{}, shape{0}, shape{1}, shape{3, 0}, shape{17, 3}, shape{2, 1, 2, 1, 2, 1, 2, 3}}) {
          INFO(where.str(), ": ", text(type), " ", extents.str(), " = ", value);
          const tensor expected = made(extents, type, [&](std::int64_t) { return static_cast<real>(value); });
          CHECK(same_values(tensor::full(extents, value, type, where), expected));
        }
}

TEST_CASE("large copies, which more than one thread may share") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor a = random({700, 611}, dtype::f32, 5);
    CHECK(same_bits(a.to(where).to("cpu"), a));
    CHECK(same_bits(a.to(where).transpose().clone(), converted_by_reference(a.transpose(), dtype::f32)));
    CHECK(same_values(a.to(where).as(dtype::bf16), converted_by_reference(a, dtype::bf16)));
    CHECK(same_values(a.to(where).slice(1, 1, 611, 2).as(dtype::f64),
                      converted_by_reference(a.slice(1, 1, 611, 2), dtype::f64)));
  }
}

TEST_CASE("between two devices, there and back") {
  const auto devices = devices_under_test();
  const tensor a = random({50, 30}, dtype::f32, 6);
  for (const auto& from : devices)
    for (const auto& to : devices) {
      INFO(from.str(), " to ", to.str());
      const tensor there = a.to(from).transpose().to(to);
      CHECK(there.device() == to);
      CHECK(same_bits(there, a.transpose()));
      tensor onto(shape{30, 50}, dtype::f64, to);
      onto.assign(a.to(from).transpose());
      CHECK(same_bits(onto, converted_by_reference(a.transpose(), dtype::f64)));
    }
}

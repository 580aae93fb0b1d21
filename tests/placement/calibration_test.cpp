// Placement by profiles that were measured on devices of known speed: paced:0 is slow and near, paced:1 fast and far.
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <sstream>
#include <thread>

#include "exact_profiles.hpp"
#include "sluice/sluice.hpp"
#include "testing.hpp"

using namespace testing;
using sluice::device;
using sluice::place;
using sluice::why;

namespace {

using testing::far;
using testing::near;
const device both[] = {near, far};

// CTest names a folder; run by hand, the program keeps its profiles out of the user's cache too.
[[maybe_unused]] const int own_cache =
    ::setenv("XDG_CACHE_HOME", (std::filesystem::temp_directory_path() / "sluice-calibration-test").c_str(), 0);

sluice::work product(std::int64_t n, const device& at = device::cpu, bool pinned = false) {
  return sluice::work_of(sluice::matmul_op(), {{dtype::f32, {n, n}, at, pinned}, {dtype::f32, {n, n}, at, pinned}});
}

}  // namespace

TEST_SUITE_BEGIN("not measured");

TEST_CASE("before anything is measured work stays, and nobody is asked") {
  const auto d = place(product(4096));
  CHECK(d.where == device::cpu);
  CHECK(std::isnan(d.predicted()));
  const auto known = testing::profiles_here();
  CHECK(known.size() == 3);
  for (const auto& p : known) {
    CHECK_FALSE(p.measured);
    CHECK(p.source.starts_with("not measured: "));
  }
  const device with_cpu[] = {device::cpu, far};
  CHECK(place(product(4096), with_cpu).reason() == "cpu: the operands are there, and paced:1 has not been measured");
}

TEST_SUITE_END();
TEST_SUITE_BEGIN("measured");

TEST_CASE("work goes where it is done soonest") {
  know_all();
  const auto small = place(product(16), both);
  CHECK(small.where == near);
  CHECK(small.because == why::soonest);
  CHECK(small.estimate_count == 2);
  CHECK(small.estimates[0].seconds < small.estimates[1].seconds);
  CHECK(small.predicted() == small.estimates[0].seconds);
  const auto large = place(product(4096), both);
  CHECK(large.where == far);
  CHECK(large.reason().starts_with("paced:1: "));
  CHECK(large.reason().find(" ms there, ") != std::string::npos);
  CHECK(large.reason().ends_with(" on paced:0"));
  // 2 x 4096^3 in 15e12 a second, and copies of 201 MB at 8 GB/s.
  CHECK(large.predicted() == doctest::Approx(9.2e-3 + 25.2e-3).epsilon(0.01));
  CHECK(large.estimates[0].seconds == doctest::Approx(0.275).epsilon(0.01));
  // Pinned memory is copied five times faster, and where operands are already nothing is copied.
  CHECK(place(product(4096, device::cpu, true), both).predicted() ==
        doctest::Approx(9.2e-3 + 3.4e-3 + 8.4e-3).epsilon(0.01));
  CHECK(place(product(64, far), both).where == far);
  CHECK(place(product(64, far), both).predicted() < place(product(64), std::span(both).last(1)).predicted());
}

TEST_CASE("a decision goes by the precision asked for, and its reason names it") {
  using sluice::precision;
  know_all();
  const sluice::operand_spec a{dtype::f32, {64, 64}};
  const auto at = [&](precision p) { return place(sluice::work_of(sluice::matmul_op(), {a, a}, p), both); };
  CHECK(at(precision::strict).reason().ends_with(" on paced:1"));
  CHECK(at(precision::strict).precision.empty());
  CHECK(at(precision::fast).reason().ends_with(" on paced:1; precision fast"));
  CHECK(at(precision::fast).predicted() == at(precision::strict).predicted());  // the file has no figures of it
  const auto named = place(sluice::work_of(sluice::matmul_op(), {a, a}, precision::tensor_core), both, sluice::require(far));
  CHECK(named.reason() == "paced:1: the caller named it; precision tensor_core");
}

TEST_CASE("preferences, deadlines and devices named outright") {
  know_all();
  static_cast<void>(tensor({1}, dtype::f32, far));  // a device that sleeps is in time for nothing
  const auto d = place(product(16), both, sluice::prefer(far));
  CHECK(d.where == far);
  CHECK(d.because == why::preferred);
  CHECK(d.reason().starts_with("paced:1: the caller prefers it; "));
  CHECK(place(product(16), both, sluice::prefer("nosuch:1")).where == near);
  CHECK(place(product(16), sluice::prefer("nosuch:1")).where == device::cpu);
  CHECK(place(product(16), sluice::prefer(far)).where == far);
  sluice::work hurried = product(2048);
  hurried.deadline = 10 * place(hurried, both).predicted();
  CHECK(place(hurried, both, sluice::prefer(near)).where == near);  // in time
  hurried.deadline = 1.2 * place(hurried, both).predicted();
  const auto late = place(hurried, both, sluice::prefer(near));
  CHECK(late.where == far);
  CHECK(late.because == why::deadline);
  CHECK(late.reason().starts_with("paced:1: another device would be too late; "));
  hurried.deadline = 1e-9;  // nobody can: the preference stands
  CHECK(place(hurried, both, sluice::prefer(near)).where == near);
  CHECK(place(product(16), both, sluice::require(far)).because == why::requested);
  CHECK(place(product(16), both, far).where == far);
  CHECK_REFUSED(sluice::matmul(tensor::zeros({2, 2}), tensor::zeros({2, 2}), sluice::require("nosuch")), unavailable,
                "nosuch:0");
}

TEST_CASE("a busy device may lose") {
  know_all();
  const sluice::work w = product(2048);
  const auto before = place(w, both);
  REQUIRE(before.where == far);
  const double difference = before.estimates[0].seconds - before.estimates[1].seconds;
  {
    std::latch begun(16), seen(1);
    std::vector<std::jthread> callers;
    for (int i = 0; i < 16; ++i)
      callers.emplace_back([&] {
        const sluice::call_account call(w, before);
        begun.count_down();
        seen.wait();
      });
    begun.wait();
    const auto now = place(w, both);
    CHECK(now.where == near);
    CHECK(now.estimates[1].waiting > difference);
    CHECK(place(w, std::span(both).last(1)).reason().find(" of it waiting") != std::string::npos);
    seen.count_down();
  }
  CHECK(place(w, both).where == far);
  CHECK(place(w, both).estimates[1].waiting == 0);
}

TEST_CASE("what was left behind on a device is waited for, and passes") {
  know_all();
  const sluice::work w = product(1024, far);
  const auto d = place(w, both);
  { const sluice::call_account left(w, d, sluice::completion::asynchronous); }
  CHECK(place(w, both).estimates[1].waiting > 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(place(w, both).estimates[1].waiting == 0);
}

TEST_CASE("the result of operands on the CPU comes back, wherever it was made") {
  know_all();
  const tensor a = tensor::zeros({2048, 2048});
  REQUIRE(place(sluice::work_of(sluice::matmul_op(), {a, a})).where == far);
  CHECK(sluice::matmul(a, a).device() == device::cpu);
  CHECK(sluice::matmul(a, a, sluice::prefer(near)).device() == device::cpu);
  CHECK(sluice::matmul(a, a, far).device() == far);
  CHECK(sluice::matmul(a.to(far), a).device() == far);
  const tensor small = tensor::zeros({8, 8});
  CHECK(place(sluice::work_of(sluice::matmul_op(), {small, small})).where == device::cpu);
}

TEST_SUITE_END();
TEST_SUITE_BEGIN("slower");

TEST_CASE("a profile follows a device that has become slower, and no single call") {
  know_all();
  const sluice::work w = product(512, far);
  const tensor a = tensor::full({512, 512}, 0, dtype::f32, far);
  const auto predicted = [&] { return place(w, std::span(both).last(1)).estimates[0].seconds; };
  const double before = predicted();
  const auto call = [&] {
    const auto d = place(w, std::span(both).last(1));
    sluice::call_account account(w, d);
    static_cast<void>(sluice::matmul(a, a, far));
    account.succeeded();
  };
  // The device takes 16 times as long from some operation on; what a call says then changes by a twentieth at most.
  double last = before;
  for (int i = 0; i < 4000; ++i) {
    call();
    const double now = predicted();
    CHECK(now < 1.06 * last);
    last = now;
  }
  CHECK(predicted() > 2 * before);
}

TEST_SUITE_END();
TEST_SUITE_BEGIN("asleep");

TEST_CASE("no device is woken for little, nor before a deadline; profiles come from the file") {
  const auto asleep = [] {
    for (const auto& d : sluice::devices())
      if (d.where == far) return !d.awake;
    return false;
  };
  know_all();
  REQUIRE(asleep());
  const device candidates[] = {device::cpu, far};
  sluice::work w = product(2048);
  CHECK(place(w, candidates).where == far);
  w.deadline = 0.2;
  CHECK(place(w, candidates).where == device::cpu);
  CHECK(place(w, candidates).because == why::deadline);
  // Of operands on the device, the CPU would have to fetch them first: small work still is not worth it.
  const auto little = place(product(8, far), candidates);
  CHECK(little.where == device::cpu);
  CHECK(little.because == why::too_small);
  CHECK(little.reason().starts_with("cpu: the work is too small to wake another device for; "));
  CHECK(asleep());
}

TEST_SUITE_END();
TEST_SUITE_BEGIN("in the background");

TEST_CASE("a calibration in the background is kept, and found by the next process") {
  std::filesystem::remove_all(std::getenv("XDG_CACHE_HOME"));
  CHECK(sluice::calibrate_in_background({.seconds = 0.3}));
  for (int i = 0; i < 1000 && !std::filesystem::exists(sluice::profile_path()); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  REQUIRE(std::filesystem::exists(sluice::profile_path()));
  // Precisions are measured where they have kernels of their own.
  std::stringstream text;
  text << std::ifstream(sluice::profile_path()).rdbuf();
  const auto lines_of = [&](const std::string& where) {
    const std::string all = text.str();
    const auto begin = all.find("device " + where + "\n");
    REQUIRE(begin != all.npos);
    return all.substr(begin, all.find("\ndevice ", begin) - begin);
  };
  const auto has = [](const std::string& lines, const std::string& curve) {
    return lines.find("\nop matmul " + curve + " ") != lines.npos;
  };
  const auto of_cpu = lines_of("cpu"), of_far = lines_of("paced:1");
  CHECK(has(of_cpu, "square bf16 tensor_core"));
  CHECK(has(of_cpu, "skinny bf16 tensor_core"));
  CHECK_FALSE(has(of_cpu, "square f16 tensor_core"));
  CHECK_FALSE(has(of_cpu, "square f32 tensor_core"));
  CHECK(of_cpu.find(" fast ") == of_cpu.npos);
  for (const char* curve : {"square f32 fast", "square f32 tensor_core", "square f64 fast", "square bf16 fast",
                            "square f16 tensor_core", "skinny f32 fast"})
    CHECK(has(of_far, curve));
  CHECK_FALSE(has(of_far, "square f64 tensor_core"));
}

TEST_SUITE_END();

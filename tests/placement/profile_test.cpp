// Profiles: curves, predictions, corrections, the queue, and the file. The parts are core's own.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sluice/sluice.hpp"  // first: header-only, it brings the rooms in their order

#include "sluice/impl/placement/predict.hpp"
#include "sluice/impl/placement/profile_file.hpp"
#include "sluice/impl/placement/profile_set.hpp"
#include "testing.hpp"

using namespace testing;
using namespace sluice::placement;
using sluice::device;
using sluice::shape_class;

namespace {

const std::size_t matmul = index_of(sluice::matmul_op());
const std::size_t rowsum = index_of(sluice::rowsum_op());

bool near(double a, double b) { return std::abs(a / b - 1) < 1e-9; }

curve straight(double fixed, double rate) {  // no logarithm is straight: points lie close together
  curve c;
  for (double size = 1e3; size < 2e9; size *= 10) c.add(size, fixed + size / rate);
  return c;
}

// A device whose every operation takes 10 us and 1 ns for 1,000 units, and whose copies take 8 us and 1 ns a 10 bytes.
profile simple(const device& where) {
  profile p;
  p.where = where;
  p.measured = true;
  p.description = "a \"simple\" device";
  p.sync = 4e-6;
  for (auto& by_shape : p.ops)
    for (auto& by_dtype : by_shape)
      for (auto& c : by_dtype) c = straight(1e-5, 1e12);
  if (where.is_cpu()) return p;
  for (auto& by_memory : p.copies)
    for (auto& c : by_memory) c = straight(8e-6, 1e10);
  return p;
}

std::string text_of(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE(
    "a curve is straight between its points on logarithmic scales, level before them, in proportion for a while after") {
  curve c;
  CHECK(std::isnan(c.at(1)));
  CHECK(c.add(100, 1));
  CHECK(c.at(1e5) == 1e3);
  CHECK(std::isnan(c.at(1e5 + 1)));
  CHECK(c.add(10000, 4));
  CHECK(c.at(0) == 1);
  CHECK(c.at(-1) == 1);
  CHECK(c.at(100) == 1);
  CHECK(near(c.at(1000), 2));
  CHECK(c.at(10000) == 4);
  CHECK(c.at(30000) == 12);
  for (const auto& [size, seconds] : std::initializer_list<std::pair<double, double>>{
           {10000, 5}, {9000, 5}, {20000, 0}, {20000, -1}, {20000, NAN}, {INFINITY, 5}, {NAN, 5}})
    CHECK_FALSE(c.add(size, seconds));
  for (int i = 0; i < curve::capacity - 2; ++i) CHECK(c.add(20000 + i, 5));
  CHECK_FALSE(c.add(30000, 5));
}

TEST_CASE("a prediction counts copies, the operation and one wait, by where operands and result are") {
  const std::vector<profile> all{simple(device::cpu), simple("gpu"), simple("gpu:1")};
  const auto seconds = [&](std::size_t i, const sluice::work& w) { return predict_on(all[i], w, all).seconds; };
  sluice::work w = sluice::work_of(sluice::matmul_op(), {{dtype::f32, {100, 100}}, {dtype::f32, {100, 100}}});
  CHECK(w.result_to.is_cpu());
  const double bytes = 40000;
  const double operation = all[0].of(matmul, shape_class::square, dtype::f32).at(2e6);
  const double copy = all[1].copy(direction::host_to_device, false).at(bytes);
  CHECK(near(seconds(0, w), operation));
  CHECK(near(seconds(1, w), operation + 3 * (copy - 4e-6)));
  w.operands[0].where = w.operands[1].where = "gpu";
  CHECK(near(seconds(0, w), operation + 2 * copy));
  CHECK(near(seconds(1, w), operation + copy - 4e-6));
  w.result_to = device::automatic;
  CHECK(near(seconds(1, w), operation));
  CHECK(near(seconds(2, w), operation + 2 * (copy + copy - 4e-6)));
  w.operands[0].where = "other";
  CHECK(std::isnan(seconds(1, w)));
  sluice::work unknown = w;
  unknown.dtype = dtype::u8;  // no product of integers is known: that of f32 stands for it
  unknown.operation = "of an application";
  unknown.op = nullptr;
  unknown.operand_count = 0;
  CHECK(seconds(1, unknown) > 0);
  profile bare;
  CHECK(std::isnan(predict_on(bare, w, all).seconds));
}

TEST_CASE("sums of narrow rows have a curve of their own") {
  profile p = simple(device::cpu);
  p.of(rowsum, shape_class::skinny, dtype::f32) = straight(1e-5, 1e11);
  const auto seconds = [&](std::int64_t rows, std::int64_t columns) {
    const auto w = sluice::work_of(sluice::rowsum_op(), {{dtype::f32, {rows, columns}}});
    return op_seconds(p, w, op_of(w));
  };
  CHECK(seconds(1 << 20, 8) > 5 * seconds(1 << 13, 1024));
  CHECK(seconds(1 << 16, 128) > 1.2 * seconds(1 << 13, 1024));
  CHECK(seconds(1 << 16, 128) < 0.8 * seconds(1 << 20, 8));
  CHECK(seconds(3, 0) > 0);
  CHECK(seconds(0, 3) > 0);
}

TEST_CASE("a precision has figures of its own where it is computed by kernels of its own, and else those of another") {
  using sluice::precision;
  constexpr std::size_t fast = 1, tensor_core = 2;  // as the descriptor numbers them
  profile cpu = simple(device::cpu), gpu = simple("gpu");
  for (profile* p : {&cpu, &gpu})
    for (const auto t : {dtype::f32, dtype::f64, dtype::bf16, dtype::f16}) {
      p->of(matmul + fast, shape_class::square, t) = straight(1e-5, 3e12);
      p->of(matmul + tensor_core, shape_class::square, t) = straight(1e-5, 5e12);
    }
  const auto speedup = [&](const profile& p, dtype t, precision asked) {
    const auto seconds = [&](precision of) {
      const sluice::operand_spec a{t, {2000, 2000}};
      return op_seconds(p, sluice::work_of(sluice::matmul_op(), {a, a}, of),
                        op_of(sluice::work_of(sluice::matmul_op(), {a, a}, of)));
    };
    return std::round(seconds(precision::strict) / seconds(asked));
  };
  CHECK(speedup(cpu, dtype::f32, precision::fast) == 1);
  CHECK(speedup(cpu, dtype::bf16, precision::fast) == 1);
  CHECK(speedup(cpu, dtype::f32, precision::tensor_core) == 1);
  CHECK(speedup(cpu, dtype::bf16, precision::tensor_core) == 5);
  CHECK(speedup(cpu, dtype::f16, precision::tensor_core) == 1);
  for (const auto t : {dtype::f32, dtype::f64, dtype::bf16, dtype::f16}) {
    CHECK(speedup(gpu, t, precision::fast) == 3);
    CHECK(speedup(gpu, t, precision::tensor_core) == (t == dtype::f64 ? 3 : 5));
  }
  // Without figures, and beyond those there are, the default's hold.
  gpu.of(matmul + fast, shape_class::square, dtype::f32) = {};
  CHECK(speedup(gpu, dtype::f32, precision::fast) == 1);
  gpu.of(matmul + fast, shape_class::square, dtype::f32).add(1e3, 1e-9);
  CHECK(speedup(gpu, dtype::f32, precision::fast) == 1);

  // What calls teach of one precision does not change another.
  const sluice::operand_spec a{dtype::bf16, {64, 64}};
  const auto cell = [&](precision p) { return live_state::cell_of(sluice::work_of(sluice::matmul_op(), {a, a}, p), "gpu"); };
  CHECK(cell(precision::strict) != cell(precision::fast));
  CHECK(cell(precision::fast) != cell(precision::tensor_core));
  const auto last = live_state::cell_of(sluice::work_of(sluice::rowsum_op(), {{dtype::bf16, {4000, 4000}}}), "gpu");
  CHECK(static_cast<std::size_t>(last) < live_state().corrections.size());
  CHECK(sluice::work_of(sluice::matmul_op(), {a, a}).precision->name == "strict");
  CHECK(sluice::work_of(sluice::rowsum_op(), {a}).precision == nullptr);
}

TEST_CASE("one odd sample moves no correction; many do, a little each") {
  correction c;
  for (int i = 0; i < 10; ++i) c.observe(1);
  c.observe(100);
  CHECK(c.factor() == 1);
  c.observe(1);
  c.observe(0.001);
  c.observe(1);
  CHECK(c.factor() == 1);
  double last = 1;
  for (int i = 0; i < 300; ++i) {
    c.observe(2);
    CHECK(c.factor() <= 1.0513 * last);
    last = c.factor();
  }
  CHECK(c.factor() == doctest::Approx(2).epsilon(0.001));
  for (const double useless : {0.0, -1.0, double(NAN), double(INFINITY)})
    for (int i = 0; i < 5; ++i) c.observe(useless);
  CHECK(c.factor() == doctest::Approx(2).epsilon(0.001));
  for (int i = 0; i < 1000; ++i) c.observe(1e6);
  CHECK(c.factor() == doctest::Approx(4));
  c.forget();
  CHECK(c.factor() == 1);
}

TEST_CASE("a queue is as long as the calls under way, and what was left behind, which passes") {
  backlog b;
  CHECK(b.seconds(5) == 0);
  b.begin(0.5);
  b.begin(0.25);
  CHECK(b.seconds(5) == doctest::Approx(0.75));
  b.end(0.5);
  b.enqueue(1, 1'000'000'000);
  b.enqueue(2, 1'500'000'000);  // after the first
  CHECK(b.seconds(2'000'000'000) == doctest::Approx(0.25 + 2));
  CHECK(b.seconds(4'000'000'000) == doctest::Approx(0.25));
  b.end(0.25);
  CHECK(b.seconds(4'000'000'000) == 0);
  b.enqueue(1e300, 0);
  CHECK(b.seconds(0) <= 3604);
}

TEST_CASE("what is written is read back, and nothing else is taken") {
  kept_profiles k{{"0.1.0", "abc", "2026-11-21T16:05:00Z"}, {simple(device::cpu), simple("gpu:1")}};
  const std::string text = profiles_text(k);
  const auto back = parse_profiles(text);
  CHECK(profiles_text(back) == text);
  CHECK(back.profiles[1].where == device("gpu:1"));
  CHECK(back.profiles[1].description == "a \"simple\" device");
  CHECK(back.profiles[1].of(rowsum, shape_class::skinny, dtype::u8).at(1e6) == doctest::Approx(1.1e-5).epsilon(0.01));
  CHECK(text.find("\nop matmul skinny bf16 tensor_core 1000 ") != std::string::npos);
  CHECK(text.find(" strict ") == std::string::npos);
  // A file from before there were precisions.
  std::string old;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.find(" fast ") == line.npos && line.find(" tensor_core ") == line.npos) old += line + '\n';
  const auto before = parse_profiles(old).profiles[1];
  CHECK(before.of(matmul, shape_class::square, dtype::f32).count() > 0);
  CHECK(before.of(matmul + 1, shape_class::square, dtype::f32).count() == 0);
  const sluice::operand_spec a{dtype::f32, {500, 500}, "gpu:1"};
  const auto seconds = [&](sluice::precision p) {
    return predict_on(before, sluice::work_of(sluice::matmul_op(), {a, a}, p), {before}).seconds;
  };
  CHECK(seconds(sluice::precision::fast) == seconds(sluice::precision::strict));
  // Every prefix is refused, and so is every changed byte, unless it is read as another value.
  for (std::size_t n = 0; n + 1 < text.size(); n += 7) CHECK_THROWS_AS(parse_profiles(text.substr(0, n)), sluice::error);
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::string other = text;
    other[i] = other[i] == '~' ? '!' : '~';
    std::string read = "refused";
    try {
      read = profiles_text(parse_profiles(other));
    } catch (const sluice::error& e) {
      CHECK((e.code() == error_code::malformed || e.code() == error_code::invalid_argument));
    }
    CHECK(read != text);
  }
  const auto refused_with = [&](const char* from, const char* to) {
    std::string other = text;
    other.replace(other.find(from), std::strlen(from), to);
    return refused([&] { parse_profiles(other); }, error_code::malformed, {"[profile] line"});
  };
  CHECK(refused_with("sync 4e-06", "sync -4e-06") == "");
  CHECK(refused_with("sync 4e-06", "sync inf") == "");
  CHECK(refused_with("sluice profiles 1", "sluice profiles 2") == "");
  CHECK(refused_with("square f32", "square f64") == "");  // twice
  CHECK(refused_with(" f32 fast ", " f32 ") == "");       // likewise
  CHECK(refused_with(" f32 fast ", " f32 strict ") == "");
  CHECK(refused_with(" 1000 ", " 1000 -") == "");
  CHECK(refused_with("\nend\n", "\nend\nend\n") == "");
}

TEST_CASE("a file is used on the machine that it was made on, and the reason is kept where it is not") {
  const auto folder = std::filesystem::temp_directory_path() / ("sluice-profile-" + std::to_string(::getpid()));
  ::setenv("XDG_CACHE_HOME", folder.c_str(), 1);
  const std::string path = sluice::profile_path();
  CHECK(path.starts_with(folder.string() + "/sluice/profile-"));
  const auto source = [] {
    const auto [profiles, sources] = read_profile_file();
    CHECK(profiles.empty());
    CHECK(sources.size() == 1);
    CHECK_FALSE(sources[0].measured);
    return sources[0].source;
  };
  const auto holds = [](const std::string& all, std::string_view part) { return all.find(part) != std::string::npos; };
  CHECK(holds(source(), "cannot be read: No such file"));

  profile cpu = simple(device::cpu);
  CHECK(write_profile_file({cpu}, "2026-11-21T16:05:00Z") == "");
  CHECK(holds(source(), "is of a \"simple\" device, and this is "));
  for (const auto& d : sluice::devices())
    if (d.where.is_cpu()) cpu.description = d.description;
  CHECK(write_profile_file({cpu}, "2026-11-21T16:05:00Z") == "");
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "sluice"), {}) == 1);  // nothing is left beside it
  const auto [profiles, sources] = read_profile_file();
  CHECK(profiles.size() == 1);
  CHECK(sources[0].measured);
  CHECK(sources[0].source == "measured 2026-11-21T16:05:00Z, kept in " + path);

  const std::string good = text_of(std::filesystem::path(path));
  const auto with = [&](const std::string& text) { std::ofstream(path) << text; };
  const std::string host = this_origin().host;
  std::string other = good;
  other.replace(other.find(host), host.size(), "0123456789abcdef");
  with(other);
  CHECK(holds(source(), "it is of another machine, 0123456789abcdef, and this is " + host));
  other = good;
  const std::string version = SLUICE_VERSION_STRING;
  other.replace(other.find("version " + version) + 8, version.size(), "0.0.9");
  with(other);
  CHECK(holds(source(), "it is of another version, 0.0.9"));
  with(good.substr(0, good.size() / 2));
  CHECK(holds(source(), "[profile] line"));
  with(std::string(5 << 20, ' '));
  CHECK(holds(source(), "more than 4194304 bytes"));
  ::setenv("XDG_CACHE_HOME", "not/absolute", 1);
  ::unsetenv("HOME");
  CHECK(sluice::profile_path().empty());
  CHECK(holds(source(), "no cache folder"));
  CHECK(holds(write_profile_file({cpu}, ""), "no cache folder"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("a device that the profiles' file names and that has gone is no candidate") {
  sluice::placement::publish({simple(device::cpu), simple("gone")}, {});
  const sluice::operand_spec a{dtype::f32, {20000, 20000}};
  const auto d = sluice::place(sluice::work_of(sluice::matmul_op(), {a, a}));
  CHECK(d.where.is_cpu());
  CHECK(d.estimate_count == 1);
}

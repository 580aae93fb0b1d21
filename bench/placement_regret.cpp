// What placement's choices cost: random products and row sums, each timed on two devices and where placement sends it, in
// turn. Regret is the time of the chosen device over that of the better one; beside it that of three simple rules.
//
//     placement_regret NEAR FAR [--cases N] [--seed S] [--out FILE] [--quick] [--verbose]
//     SLUICE_BACKEND_PATH=build/test-modules/paced placement_regret paced:0 paced:1
//
// NEAR is where the host's memory is, a CPU; FAR is a GPU. Both are calibrated first. With 8 callers the time is that of a
// call while all of them call, and placement decides for each call.
#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sluice/sluice.hpp"

namespace {

using sluice::device;
using sluice::dtype;
using sluice::tensor;
using clock_type = std::chrono::steady_clock;

double seconds_since(clock_type::time_point t) { return std::chrono::duration<double>(clock_type::now() - t).count(); }

double middle(std::vector<double> v, double part = 0.5) {
  if (v.empty()) return std::nan("");
  std::sort(v.begin(), v.end());
  return v[std::min(v.size() - 1, static_cast<std::size_t>(part * static_cast<double>(v.size())))];
}

double mean(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return v.empty() ? std::nan("") : sum / static_cast<double>(v.size());
}

struct devices_under_test {
  device near, far;
};

struct test_case {
  bool product;
  std::array<std::int64_t, 3> n;  // m, k, n; or rows and columns
  dtype type;
  int place;  // of the operands: 0 the host, 1 pinned, 2 the far device
  int callers;
};

constexpr std::array places{"host", "pinned", "device"};

// Everything a case needs, made before any time is taken.
class problem {
 public:
  problem(const test_case& c, const devices_under_test& d) : case_(c), devices_(d) {
    if (c.product) {
      operands_ = {made({c.n[0], c.n[1]}), made({c.n[1], c.n[2]})};
      work_ = sluice::work_of(sluice::matmul_op(), {operands_[0], operands_[1]});
    } else {
      operands_ = {made({c.n[0], c.n[1]})};
      work_ = sluice::work_of(sluice::rowsum_op(), {operands_[0]});
    }
  }

  void call(const device& where) const {
    const tensor out =
        case_.product ? sluice::matmul(operands_[0], operands_[1], where) : sluice::rowsum(operands_[0], where);
    const tensor result = case_.place == 2 ? out : out.to("cpu");
    static_cast<void>(result.data());
  }

  [[nodiscard]] sluice::decision decide() const {
    const device both[] = {devices_.near, devices_.far};
    return sluice::place(work_, both);
  }

  void call_automatic() const {
    const auto d = decide();
    sluice::call_account account(work_, d);
    call(d.where);
    account.succeeded();
  }

  [[nodiscard]] const sluice::work& needed() const { return work_; }

 private:
  [[nodiscard]] tensor made(const sluice::shape& extents) const {
    if (case_.place == 2) return tensor::full(extents, 1, case_.type, devices_.far);
    if (case_.place == 0) return tensor::full(extents, 1, case_.type);
    tensor t(extents, case_.type, devices_.far, sluice::memory::pinned);
    t.assign(tensor::full(extents, 1, case_.type));
    return t;
  }

  test_case case_;
  devices_under_test devices_;
  std::vector<tensor> operands_;
  sluice::work work_;
};

// Seconds of a call when `callers` threads make `times` calls each.
double seconds_of_calls(int callers, int times, const std::function<void()>& call) {
  if (callers == 1) {
    const auto t = clock_type::now();
    for (int i = 0; i < times; ++i) call();
    return seconds_since(t) / times;
  }
  clock_type::time_point began, ended;
  std::barrier start(callers, [&]() noexcept { began = clock_type::now(); });
  std::barrier finish(callers, [&]() noexcept { ended = clock_type::now(); });
  std::vector<std::thread> threads;
  for (int i = 0; i < callers; ++i)
    threads.emplace_back([&] {
      start.arrive_and_wait();
      for (int j = 0; j < times; ++j) call();
      finish.arrive_and_wait();
    });
  for (auto& t : threads) t.join();
  return std::chrono::duration<double>(ended - began).count() / times;
}

struct outcome {
  test_case c;
  double near, far, automatic;  // seconds
  double near_said, far_said;   // predicted, of one caller alone
  bool chose_far;               // with one caller
  [[nodiscard]] double best() const { return std::min(near, far); }
  // With one caller the device's own time: what repeating a measurement changes is no regret.
  [[nodiscard]] double regret() const { return c.callers == 1 ? (chose_far ? far : near) / best() : automatic / best(); }
  [[nodiscard]] bool is_large() const {
    const double n = c.product ? std::cbrt(static_cast<double>(c.n[0]) * static_cast<double>(c.n[1] * c.n[2]))
                               : std::sqrt(static_cast<double>(c.n[0] * c.n[1]));
    return n > 1024;
  }
};

outcome run(const test_case& c, const devices_under_test& devices, double budget) {
  const problem p(c, devices);
  const std::array<std::function<void()>, 3> ways{[&] { p.call(devices.near); }, [&] { p.call(devices.far); },
                                                  [&] { p.call_automatic(); }};
  std::array<int, 3> times{};
  double slowest = 0;
  for (std::size_t i = 0; i < ways.size(); ++i) {
    ways[i]();
    const double once = seconds_of_calls(1, 1, ways[i]);
    slowest = std::max(slowest, once * c.callers);
    times[i] = std::clamp(static_cast<int>(budget / 15 / (once * c.callers)), 1, 400);
  }
  outcome o{c, 0, 0, 0, 0, 0, false};
  std::array<std::vector<double>, 3> all;
  for (int round = 0; round < (slowest > budget ? 1 : 5); ++round)
    for (std::size_t i = 0; i < ways.size(); ++i) all[i].push_back(seconds_of_calls(c.callers, times[i], ways[i]));
  o.near = middle(all[0]);
  o.far = middle(all[1]);
  o.automatic = middle(all[2]);
  const auto d = p.decide();
  o.near_said = d.estimates[0].seconds - d.estimates[0].waiting;
  o.far_said = d.estimates[1].seconds - d.estimates[1].waiting;
  o.chose_far = d.where == devices.far;
  return o;
}

std::vector<test_case> random_cases(int count, unsigned seed) {
  std::mt19937 random(seed);
  const auto extent = [&] {
    return static_cast<std::int64_t>(std::exp2(std::uniform_real_distribution<double>(2, 12)(random)) + 0.5);
  };
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  constexpr std::array floats{dtype::f32, dtype::f64, dtype::f16, dtype::bf16};
  std::vector<test_case> all;
  for (int i = 0; i < count; ++i) {
    test_case c{below(2) == 0, {extent(), extent(), extent()}, dtype::f32, below(3), below(2) == 0 ? 1 : 8};
    c.type = c.product ? floats[static_cast<std::size_t>(below(4))] : static_cast<dtype>(below(7));
    all.push_back(c);
  }
  return all;
}

void print_row(const char* name, const std::vector<double>& regret) {
  std::printf("%-34s %8.3f %8.3f %8.3f %8.2f\n", name, middle(regret), mean(regret), middle(regret, 0.99),
              middle(regret, 1));
}

void print(const std::vector<outcome>& all) {
  std::printf("\n%-34s %8s %8s %8s %8s\n", "regret", "median", "mean", "p99", "worst");
  const auto regrets = [&](const std::function<double(const outcome&)>& of,
                           const std::function<bool(const outcome&)>& which) {
    std::vector<double> r;
    for (const auto& o : all)
      if (which(o)) r.push_back(of(o));
    return r;
  };
  const auto every = [](const outcome&) { return true; };
  const auto ours = [](const outcome& o) { return o.regret(); };
  print_row("placement", regrets(ours, every));
  print_row("  1 caller", regrets(ours, [](const outcome& o) { return o.c.callers == 1; }));
  print_row("  8 callers", regrets(ours, [](const outcome& o) { return o.c.callers == 8; }));
  print_row("always near (CPU)", regrets([](const outcome& o) { return o.near / o.best(); }, every));
  print_row("always far (GPU)", regrets([](const outcome& o) { return o.far / o.best(); }, every));
  print_row("far above n = 1024",
            regrets([](const outcome& o) { return (o.is_large() ? o.far : o.near) / o.best(); }, every));
  std::vector<double> near_error, far_error;
  for (const auto& o : all)
    if (o.c.callers == 1) {
      near_error.push_back(std::abs(o.near_said / o.near - 1));
      far_error.push_back(std::abs(o.far_said / o.far - 1));
    }
  std::printf("\nprediction error, 1 caller: near median %.1f%%, p90 %.0f%%; far median %.1f%%, p90 %.0f%%\n",
              100 * middle(near_error), 100 * middle(near_error, 0.9), 100 * middle(far_error),
              100 * middle(far_error, 0.9));
  int far = 0;
  for (const auto& o : all) far += o.chose_far ? 1 : 0;
  std::printf("%zu cases, %d of them go far\n", all.size(), far);
  std::vector<outcome> worst = all;
  std::sort(worst.begin(), worst.end(), [](const auto& a, const auto& b) { return a.regret() > b.regret(); });
  std::printf("\nthe worst: seconds near, far, automatic; predicted near, far\n");
  for (std::size_t i = 0; i < std::min<std::size_t>(12, worst.size()); ++i) {
    const auto& o = worst[i];
    std::printf("%.2f  %s %s %lldx%lldx%lld %s, %d callers: %.3g %.3g %.3g; %.3g %.3g\n", o.regret(),
                o.c.product ? "matmul" : "rowsum", std::string(sluice::name_of(o.c.type)).c_str(),
                static_cast<long long>(o.c.n[0]), static_cast<long long>(o.c.n[1]),
                static_cast<long long>(o.c.product ? o.c.n[2] : 1), places[static_cast<std::size_t>(o.c.place)], o.c.callers,
                o.near, o.far, o.automatic, o.near_said, o.far_said);
  }
}

void write(const std::string& path, const std::vector<outcome>& all) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return;
  std::fprintf(
      file,
      "operation,dtype,m,k,n,operands,callers,near_s,far_s,automatic_s,near_predicted_s,far_predicted_s,chosen,regret\n");
  for (const auto& o : all)
    std::fprintf(file, "%s,%s,%lld,%lld,%lld,%s,%d,%.4g,%.4g,%.4g,%.4g,%.4g,%s,%.4f\n", o.c.product ? "matmul" : "rowsum",
                 std::string(sluice::name_of(o.c.type)).c_str(), static_cast<long long>(o.c.n[0]),
                 static_cast<long long>(o.c.n[1]), static_cast<long long>(o.c.product ? o.c.n[2] : 0),
                 places[static_cast<std::size_t>(o.c.place)], o.c.callers, o.near, o.far, o.automatic, o.near_said,
                 o.far_said, o.chose_far ? "far" : "near", o.regret());
  std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> names;
  int cases = 320;
  unsigned seed = 1;
  double budget = 0.3;
  bool verbose = false;
  std::string out;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    if (a == "--quick")
      budget = 0.06;
    else if (a == "--verbose")
      verbose = true;
    else if (a == "--cases" && i + 1 < argc)
      cases = std::atoi(argv[++i]);
    else if (a == "--seed" && i + 1 < argc)
      seed = static_cast<unsigned>(std::atoi(argv[++i]));
    else if (a == "--out" && i + 1 < argc)
      out = argv[++i];
    else
      names.push_back(a);
  }
  if (names.size() != 2) {
    std::fprintf(stderr, "placement_regret NEAR FAR [--cases N] [--seed S] [--out FILE] [--quick] [--verbose]\n");
    return 2;
  }
  const devices_under_test d{device(names[0]), device(names[1])};
  static_cast<void>(tensor({8}, dtype::f32, d.far));  // wakes it
  const auto began = clock_type::now();
  for (const auto& p : sluice::calibrate({.devices = {d.near, d.far}, .save = false}))
    std::printf("%s: %s\n", p.where.str().c_str(), p.source.c_str());
  std::printf("calibrated both in %.2f s\n", seconds_since(began));
  std::vector<outcome> all;
  for (const auto& c : random_cases(cases, seed)) {
    if (verbose)
      std::fprintf(stderr, "%zu: %s %lldx%lldx%lld dtype %d, %s, %d callers\n", all.size(), c.product ? "matmul" : "rowsum",
                   static_cast<long long>(c.n[0]), static_cast<long long>(c.n[1]), static_cast<long long>(c.n[2]),
                   static_cast<int>(c.type), places[static_cast<std::size_t>(c.place)], c.callers);
    all.push_back(run(c, d, budget));
  }
  print(all);
  if (!out.empty()) write(out, all);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "placement_regret: %s\n", e.what());
  return 1;
}

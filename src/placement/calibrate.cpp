// Measures devices through the public operations, so that what is measured is what callers get.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <mutex>

#include <fmt/format.h>

#include "profile_file.hpp"
#include "profiles.hpp"
#include "sluice/impl/base/thread.hpp"
#include "sluice/impl/core/registry.hpp"

namespace sluice {
namespace core {
namespace {

using clock = std::chrono::steady_clock;

std::atomic<bool> stopping{false};  // the process is about to end

double seconds_since(clock::time_point t) { return std::chrono::duration<double>(clock::now() - t).count(); }

void wait_for(const tensor& t) { static_cast<void>(t.data()); }

class calibrator {
 public:
  calibrator(const device& where, double budget) : where_(where), budget_(budget) {
    // Whatever happens once is not timed: the context, libraries' handles, the pool's first pages.
    const tensor t = tensor::full({8, 8}, 1, dtype::f32, where_);
    wait_for(matmul(t, t, where_));
    wait_for(rowsum(t, where_));
    began_ = clock::now();
  }

  // The small and the middling of all kinds first; whatever the budget leaves goes to the large.
  profile measured() {
    profile p;
    p.where = where_;
    p.measured = true;
    for (const auto& d : devices())
      if (d.where == where_) p.description = d.description;
    if (!where_.is_cpu()) copies(p);
    constexpr std::array floats{dtype::f32, dtype::f64, dtype::bf16, dtype::f16};
    constexpr std::array rest{dtype::u8, dtype::i32, dtype::i64};
    for (std::size_t i = 0; i < floats.size(); ++i) {
      share_ = 0.2 + 0.15 * static_cast<double>(i + 1);
      products(p, floats[i]);
      sums(p, floats[i]);
    }
    share_ = 1;
    for (const auto t : rest) sums(p, t);
    return p;
  }

 private:
  [[nodiscard]] double left() const { return share_ * budget_ - seconds_since(began_); }

  // Whether a curve's next point can be had for what is left of the budget.
  [[nodiscard]] bool fits(const curve& c, double size) const {
    return !stopping && (c.count() == 0 || 5 * c.at(size) < left());
  }

  // The median of some calls. The first of them may load a kernel from disk, which takes up to seconds on a machine that has
  // just started: like waking the device, that is not the budget's.
  void time(curve& c, double size, const std::function<void()>& call) {
    const auto cold = clock::now();
    call();
    const double first = seconds_since(cold);
    std::vector<double> all;
    const auto from = clock::now();
    do {
      const auto t = clock::now();
      call();
      all.push_back(seconds_since(t));
    } while (all.size() < 25 && (all.size() < 3 || seconds_since(from) < 1e-3) && 2 * all.back() < left());
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    const double median = all[all.size() / 2];
    if (first > 2 * median)
      began_ += std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(first - 2 * median));
    c.add(size, median);
  }

  void copies(profile& p) {
    share_ = 0.2;
    for (const bool pinned : {true, false})
      for (const std::int64_t bytes : {4 << 10, 64 << 10, 512 << 10, 4 << 20, 32 << 20}) {
        const auto size = static_cast<double>(bytes);
        if (!fits(p.copy(way::up, pinned), size)) break;
        const tensor there = tensor::zeros({bytes / 4}, dtype::f32, where_);
        tensor host = pinned ? tensor({bytes / 4}, dtype::f32, where_, memory::pinned) : tensor({bytes / 4});
        host.assign(there);
        tensor target({bytes / 4}, dtype::f32, where_);
        time(p.copy(way::up, pinned), size, [&] { target.assign(host), wait_for(target); });
        time(p.copy(way::down, pinned), size, [&] { host.assign(there), wait_for(host); });
        if (p.sync > 0) continue;
        curve two;
        time(two, size, [&] { target.assign(host), target.assign(host), wait_for(target); });
        const double one = p.copy(way::up, pinned).least();
        p.sync = std::clamp(2 * one - two.least(), 0.0, one);
      }
  }

  void products(profile& p, dtype t) {
    curve& even = p.operation(kind::matmul, form::even, t);
    for (const std::int64_t n : {8, 32, 128, 512, 1024, 2048}) product(even, n, n, t, true);
    curve& thin = p.operation(kind::matmul, form::thin, t);
    for (const std::int64_t n : {32, 256, 1024, 2048}) product(thin, 8, n, t, false);
  }

  void product(curve& c, std::int64_t rows, std::int64_t n, dtype t, bool by_arithmetic) {
    const work w = matmul_work({rows, n}, {n, n}, t);
    const double size = by_arithmetic ? w.flops : w.bytes;
    if (!fits(c, size)) return;
    const tensor a = tensor::full({rows, n}, 1, t, where_);
    const tensor b = tensor::full({n, n}, 1, t, where_);
    time(c, size, [&] { wait_for(matmul(a, b, where_)); });
  }

  void sums(profile& p, dtype t) {
    for (const auto f : {form::even, form::thin})
      for (const std::int64_t bytes : {8 << 10, 128 << 10, 2 << 20, 32 << 20}) {
        curve& c = p.operation(kind::rowsum, f, t);
        const auto columns = static_cast<std::int64_t>(f == form::even ? wide_row : thin_row);
        const shape extents{bytes / static_cast<std::int64_t>(size_of(t)) / columns, columns};
        const double size = rowsum_work(extents, t).bytes;
        if (!fits(c, size)) break;
        const tensor a = tensor::full(extents, 1, t, where_);
        time(c, size, [&] { wait_for(rowsum(a, where_)); });
      }
  }

  device where_;
  double budget_;
  double share_ = 1;  // of the budget, that is to be spent by now
  clock::time_point began_;
};

std::string now_in_words() {
  using namespace std::chrono;
  const auto now = floor<seconds>(system_clock::now());
  const auto today = floor<days>(now);
  const year_month_day date(today);
  const hh_mm_ss time(now - today);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count());
}

// One calibration at a time.
std::mutex& calibrating() {
  static auto* m = new std::mutex;
  return *m;
}

}  // namespace
}  // namespace core

inline namespace SLUICE_ABI {

std::vector<profile_info> calibrate(const calibration_options& options) {
  if (!(options.seconds > 0))
    throw error(error_code::invalid_argument, fmt::format("[calibrate] seconds is {}: it must be above 0", options.seconds));
  const std::lock_guard lock(core::calibrating());
  const core::unaccounted part_of_this;
  core::read_profiles(true);  // those of other devices stay
  std::vector<device> wanted = options.devices;
  if (wanted.empty())
    for (const auto& d : devices()) wanted.push_back(d.where);
  for (const auto& d : wanted) static_cast<void>(core::find(d));
  const std::string made = core::now_in_words();
  std::vector<core::profile> profiles;
  std::vector<profile_info> sources;
  for (const auto& d : wanted) {
    try {
      profiles.push_back(core::calibrator(d, options.seconds).measured());
      sources.push_back({d, true, fmt::format("measured {}", made)});
    } catch (const error& e) {
      sources.push_back({d, false, fmt::format("not measured: {}", e.what())});
    }
  }
  if (core::stopping) return sources;
  core::publish(std::move(profiles), sources);
  if (options.save) {
    std::vector<core::profile> all;
    for (const auto& p : core::published()->profiles)
      if (p.measured) all.push_back(p);
    const std::string failure = core::write_profile_file(all, made);
    for (auto& s : sources)
      if (s.measured) s.source += failure.empty() ? ", kept in " + profile_path() : ", not kept: " + failure;
    core::publish({}, sources);
  }
  return sources;
}

bool calibrate_in_background(const calibration_options& options) {
  static std::atomic_flag under_way;
  static auto* running = new std::mutex;  // held by the thread: the end of the process waits for it
  static const int at_end = std::atexit([] {
    core::stopping = true;
    const std::lock_guard wait(*running);
  });
  static_cast<void>(at_end);
  if (under_way.test_and_set()) return false;
  try {
    base::start_thread("sluice-profiles", 10, [wanted = options]() mutable {
      const std::lock_guard held(*running);
      try {
        core::read_profiles(true);
        if (wanted.devices.empty())
          for (const auto& p : profiles())
            if (!p.measured) wanted.devices.push_back(p.where);
        if (!wanted.devices.empty() && !core::stopping) calibrate(wanted);
      } catch (...) {  // what could be measured is in force; the rest stays as it was
      }
      under_way.clear();
    }).detach();
    return true;
  } catch (const std::system_error&) {
    under_way.clear();
    return false;
  }
}

std::vector<profile_info> profiles() {
  core::read_profiles(true);
  const auto* known = core::published();
  std::vector<profile_info> all;
  for (const auto& d : devices()) {
    profile_info info{d.where, false, "not measured"};
    if (known != nullptr) {
      if (!known->sources.empty()) info.source = known->sources[0].measured ? "not measured" : known->sources[0].source;
      for (const auto& s : known->sources)
        if (s.where == d.where) info = s;
    }
    all.push_back(std::move(info));
  }
  return all;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

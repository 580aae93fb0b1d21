// Measures devices through the public ops, so that what is measured is what callers get.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>

#include <fmt/format.h>

#include "sluice/impl/base/thread.hpp"
#include "sluice/impl/core/registry.hpp"
#include "sluice/impl/placement/account.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

inline std::atomic<bool> calibration_stops{false};  // the process is about to end

inline void wait_for_values(const tensor& t) { static_cast<void>(t.data()); }

// The operands of one calibration case.
class case_specs {
 public:
  case_specs(const op_descriptor& op, shape_class shapes, std::int64_t size, dtype type) : count_(op.inputs.size()) {
    if (op.calibration_operands != nullptr) {
      op.calibration_operands(shapes, size, type, std::span(all_).first(count_));
      return;
    }
    const auto columns = static_cast<std::int64_t>(shapes == shape_class::square ? long_row : short_row);
    for (auto& s : all_) s = {type, {size / static_cast<std::int64_t>(size_of(type)) / columns, columns}};
  }
  [[nodiscard]] std::span<const operand_spec> span() const { return {all_.data(), count_}; }
  // Tensors of ones.
  [[nodiscard]] std::vector<tensor> made(const device& where) const {
    std::vector<tensor> tensors;
    for (const auto& s : span()) tensors.push_back(tensor::full(s.shape, 1, s.dtype, where));
    return tensors;
  }

 private:
  std::array<operand_spec, max_operands> all_{};
  std::size_t count_;
};

// The sizes to measure; without any in the descriptor, those of passes over memory, in bytes.
inline std::span<const std::int64_t> case_sizes(const op_descriptor& op, shape_class shapes) {
  static constexpr std::int64_t passes[] = {8 << 10, 128 << 10, 2 << 20, 32 << 20};
  if (shapes == shape_class::skinny && op.model == time_model::bandwidth) return {};
  const auto sizes = shapes == shape_class::square ? op.square_sizes : op.skinny_sizes;
  return sizes.empty() ? std::span(passes) : sizes;
}

class calibrator {
 public:
  calibrator(const device& where, double budget) : where_(where), budget_(budget) {
    // What happens only once is not timed: the context, handles of libraries, the pool's first pages.
    for (const auto* op : all_ops())
      where_supported([&] {
        const auto smallest = case_sizes(*op, shape_class::square)[0];
        const auto in = case_specs(*op, shape_class::square, smallest, op->inputs[0].dtypes[0]).made(where_);
        wait_for_values(apply(*op, operands(in), where_));
      });
    began_ = clock::now();
  }

  // The default precision of all ops and dtypes first, each with a part of the budget; the other precisions share what is
  // left.
  profile measured() {
    profile p;
    p.where = where_;
    p.measured = true;
    for (const auto& d : devices())
      if (d.where == where_) p.description = d.description;
    if (!where_.is_cpu()) copies(p);
    constexpr std::array types{dtype::f32, dtype::f64, dtype::bf16, dtype::f16, dtype::u8, dtype::i32, dtype::i64};
    for (std::size_t i = 0; i < types.size(); ++i) {
      share_ = is_floating(types[i]) ? 0.2 + 0.1 * static_cast<double>(i + 1) : 0.7;
      for (const auto* op : all_ops())
        if (takes(*op, types[i])) where_supported([&] { cases(p, *op, 0, types[i]); });
    }
    std::vector<std::function<void()>> others;
    for (const auto t : types)
      for (const auto* op : all_ops())
        for (std::size_t i = 1; i < op->precisions.size(); ++i)
          if (takes(*op, t) && (op->computed_as == nullptr || op->computed_as(i, t, where_) == i))
            others.emplace_back([&p, this, op, i, t] { cases(p, *op, i, t); });
    for (const auto& measure : others) {
      share_ += 0.3 / static_cast<double>(others.size());
      where_supported(measure);
    }
    return p;
  }

 private:
  using clock = std::chrono::steady_clock;

  static double seconds_since(clock::time_point t) { return std::chrono::duration<double>(clock::now() - t).count(); }
  static bool takes(const op_descriptor& op, dtype t) {
    const auto& all = op.inputs[0].dtypes;
    return std::find(all.begin(), all.end(), t) != all.end();
  }
  // An op that a device does not have has no curves there, and is never placed on it by prediction.
  template <class F>
  static void where_supported(F measure) {
    try {
      measure();
    } catch (const error& e) {
      if (e.code() != error_code::unsupported) throw;
    }
  }

  [[nodiscard]] double left() const { return share_ * budget_ - seconds_since(began_); }

  // Whether what is left of the budget is enough for a curve's next point.
  [[nodiscard]] bool fits(const curve& c, double size) const {
    return !calibration_stops && (c.count() == 0 || 5 * c.at(size) < left());
  }

  // The median of some calls. Those before them may load a kernel from disk, which takes up to seconds on a machine that has
  // just started, and a GPU's backend may check a faster way once a shape has come back: like waking the device, that is not
  // part of the budget.
  void time(curve& c, double size, const std::function<void()>& call) {
    const int cold_calls = where_.is_cpu() ? 1 : 4;
    std::vector<double> cold;
    std::vector<double> all;
    const auto one = [&](std::vector<double>& into) {
      const auto t = clock::now();
      call();
      into.push_back(seconds_since(t));
    };
    for (int i = 0; i < cold_calls; ++i) one(cold);
    const auto from = clock::now();
    do one(all);
    while (all.size() < 25 && (all.size() < 3 || seconds_since(from) < 1e-3) && 2 * all.back() < left());
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    const double median = all[all.size() / 2];
    for (const double first : cold)
      if (first > 2 * median)
        began_ += std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(first - 2 * median));
    c.add(size, median);
  }

  void copies(profile& p) {
    share_ = 0.2;
    for (const bool pinned : {true, false})
      for (const std::int64_t bytes : {4 << 10, 64 << 10, 512 << 10, 4 << 20, 32 << 20}) {
        const auto size = static_cast<double>(bytes);
        if (!fits(p.copy(direction::host_to_device, pinned), size)) break;
        const tensor there = tensor::zeros({bytes / 4}, dtype::f32, where_);
        tensor host = pinned ? tensor({bytes / 4}, dtype::f32, where_, memory::pinned) : tensor({bytes / 4});
        host.assign(there);
        tensor target({bytes / 4}, dtype::f32, where_);
        time(p.copy(direction::host_to_device, pinned), size, [&] { target.assign(host), wait_for_values(target); });
        time(p.copy(direction::device_to_host, pinned), size, [&] { host.assign(there), wait_for_values(host); });
        if (p.sync > 0) continue;
        curve two;
        time(two, size, [&] { target.assign(host), target.assign(host), wait_for_values(target); });
        const double one = p.copy(direction::host_to_device, pinned).least();
        p.sync = std::clamp(2 * one - two.least(), 0.0, one);
      }
  }

  void cases(profile& p, const op_descriptor& op, std::size_t precision, dtype t) {
    const op_options options = op.precisions.empty() ? op_options{} : op.precisions[precision].options;
    for (const auto shapes : {shape_class::square, shape_class::skinny})
      for (const std::int64_t n : case_sizes(op, shapes)) {
        curve& c = p.of(index_of(op) + precision, shapes, t);
        const case_specs specs(op, shapes, n, t);
        const work w = work_of(op, specs.span());
        const double size = op.model == time_model::roofline && shapes == shape_class::square ? w.flops : w.bytes;
        if (!fits(c, size)) break;
        const auto in = specs.made(where_);
        time(c, size, [&] { wait_for_values(apply(op, operands(in), where_, options)); });
      }
  }

  device where_;
  double budget_;
  double share_ = 1;  // of the budget, to be spent by now
  clock::time_point began_;
};

inline std::string utc_now_text() {
  using namespace std::chrono;
  const auto now = floor<seconds>(system_clock::now());
  const auto today = floor<days>(now);
  const year_month_day date(today);
  const hh_mm_ss time(now - today);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count());
}

}  // namespace placement

SLUICE_FUNC std::vector<profile_info> calibrate(const calibration_options& options) {
  if (!(options.seconds > 0))
    throw error(error_code::invalid_argument, fmt::format("[calibrate] seconds is {}: it must be above 0", options.seconds));
  const std::lock_guard lock(placement::calibrating);  // one at a time
  const placement::unaccounted part_of_this;
  placement::read_profiles(true);  // those of other devices stay
  std::vector<device> wanted = options.devices;
  if (wanted.empty())
    for (const auto& d : devices()) wanted.push_back(d.where);
  for (const auto& d : wanted) static_cast<void>(core::find(d));
  const std::string made = placement::utc_now_text();
  std::vector<placement::profile> measured;
  std::vector<profile_info> sources;
  for (const auto& d : wanted) {
    try {
      measured.push_back(placement::calibrator(d, options.seconds).measured());
      sources.push_back({d, true, fmt::format("measured {}", made)});
    } catch (const error& e) {
      sources.push_back({d, false, fmt::format("not measured: {}", e.what())});
    }
  }
  if (placement::calibration_stops) return sources;
  placement::publish(std::move(measured), sources);
  if (options.save) {
    std::vector<placement::profile> all;
    for (const auto& p : placement::published()->profiles)
      if (p.measured) all.push_back(p);
    const std::string failure = placement::write_profile_file(all, made);
    for (auto& s : sources)
      if (s.measured) s.source += failure.empty() ? ", kept in " + profile_path() : ", not kept: " + failure;
    placement::publish({}, sources);
  }
  return sources;
}

SLUICE_FUNC bool calibrate_in_background(const calibration_options& options) {
  static std::atomic_flag under_way;
  static auto* running = new std::mutex;  // held by the thread, so that the end of the process waits for it
  static const bool child_has_no_thread = (base::after_fork_in_child([] {
                                             base::renew(*running);
                                             under_way.clear();
                                           }),
                                           true);
  static_cast<void>(child_has_no_thread);
  static const int at_end = std::atexit([] {
    placement::calibration_stops = true;
    const std::lock_guard wait(*running);
  });
  static_cast<void>(at_end);
  if (under_way.test_and_set()) return false;
  try {
    base::start_thread("sluice-profiles", 10, [wanted = options]() mutable {
      const std::lock_guard held(*running);
      try {
        placement::read_profiles(true);
        if (wanted.devices.empty())
          for (const auto& p : profiles())
            if (!p.measured) wanted.devices.push_back(p.where);
        if (!wanted.devices.empty() && !placement::calibration_stops) calibrate(wanted);
      } catch (...) {  // what was measured is in use; the rest is as before
      }
      under_way.clear();
    }).detach();
    return true;
  } catch (const std::system_error&) {
    under_way.clear();
    return false;
  }
}

SLUICE_FUNC std::vector<profile_info> profiles() {
  placement::read_profiles(true);
  const auto* known = placement::published();
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

SLUICE_FUNC std::string profile_path() {
  const std::string folder = placement::profile_folder();
  if (folder.empty()) return {};
  const auto here = placement::this_origin();
  return fmt::format("{}/profile-{:016x}.txt", folder,
                     placement::profile_hash(here.host + '\n' + here.version + '\n' + placement::cpu_description()));
}

}  // namespace SLUICE_ABI
}  // namespace sluice

// Profiles of the CPU and the paced devices that say exactly how fast they are, in this machine's file: decisions in tests
// go by them, and by no measurement.
#pragma once

#include <string>
#include <vector>

#include "sluice/sluice.hpp"  // first: header-only, it brings the rooms in their order

#include "sluice/impl/placement/profile_file.hpp"
#include "testing.hpp"

namespace testing {

inline const sluice::device near = "paced:0";
inline const sluice::device far = "paced:1";

// A profile of a device that is exactly as fast as it says.
inline sluice::placement::profile exact(const sluice::device& where, double launch, double flops, double bytes,
                                        double pageable, double pinned) {
  using namespace sluice::placement;
  const auto straight = [](double fixed, double rate) {
    curve c;
    for (double size = 1e3; size < 1e12; size *= 20) c.add(size, fixed + size / rate);
    return c;
  };
  profile p;
  p.where = where;
  p.measured = true;
  for (const auto& d : sluice::devices())
    if (d.where == where) p.description = d.description;
  for (const auto* op : sluice::all_ops()) {
    const bool arithmetic = op->model == sluice::time_model::roofline;
    auto& by_shape = p.ops[index_of(*op)];
    for (auto& c : by_shape[0]) c = straight(launch, arithmetic ? flops : bytes);
    for (auto& c : by_shape[1]) c = straight(launch, bytes);
  }
  for (auto& by_memory : p.copies) by_memory = {straight(launch, pageable), straight(launch, pinned)};
  return p;
}

// Of the CPU and the paced devices: the machine may have others.
inline std::vector<sluice::profile_info> profiles_here() {
  auto all = sluice::profiles();
  std::erase_if(all, [](const auto& p) { return p.where != sluice::device::cpu && p.where != near && p.where != far; });
  return all;
}

// This machine's file says how fast the devices are; nothing is timed.
inline void know_all() {
  static const std::string failure = sluice::placement::write_profile_file(
      {exact(sluice::device::cpu, 1e-7, 10e9, 1e9, 1e15, 1e15), exact(near, 2e-6, 500e9, 20e9, 1e15, 1e15),
       exact(far, 8e-6, 15e12, 2e12, 8e9, 40e9)},
      "2026-11-21T16:05:00Z");
  REQUIRE(failure == "");
  for (const auto& p : profiles_here()) REQUIRE(p.measured);
}

}  // namespace testing

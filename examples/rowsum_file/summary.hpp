// What a run came to, in words or as one JSON object.
#pragma once

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include <sluice/pipeline.hpp>

inline std::string devices_of(const sluice::pipeline_summary& done) {
  std::string all;
  for (const auto& d : done.devices) all += (all.empty() ? "" : "+") + d.str();
  return all;
}

// Two lines, and one more where a run was resumed or placement chose the device.
inline std::string summary_text(const sluice::pipeline_summary& done, bool device_was_chosen) {
  const double gb = static_cast<double>(done.bytes) / 1e9;
  std::string text = fmt::format("{} rows, {:.3f} GB in {:.2f} s, {:.2f} GB/s, {}\n", done.rows, gb, done.seconds,
                                 gb / std::max(done.seconds, 1e-9), devices_of(done));
  const auto& s = done.stages;
  text += fmt::format("at work: read {:.2f} s, copy {:.2f} s, compute {:.2f} s, write {:.2f} s; the slowest is {}\n", s.read,
                      s.copy, s.compute, s.write, done.slowest_stage());
  if (done.resumed_bytes > 0)
    text += fmt::format("resumed: the first {:.3f} GB were already done\n", static_cast<double>(done.resumed_bytes) / 1e9);
  if (device_was_chosen) text += done.reason + "\n";
  return text;
}

inline std::string summary_json(const sluice::pipeline_summary& done) {
  std::string devices;
  for (const auto& d : done.devices) devices += fmt::format(R"({}"{}")", devices.empty() ? "" : ",", d.str());
  std::string reason;  // may quote a driver's sentence
  for (const char c : done.reason)
    if (c == '"' || c == '\\')
      reason += {'\\', c};
    else
      reason += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  const auto& s = done.stages;
  return fmt::format(R"({{"rows":{},"bytes":{},"resumed_bytes":{},"seconds":{:.6f},"devices":[{}],"reason":"{}",)"
                     R"("stages":{{"read":{:.6f},"copy":{:.6f},"compute":{:.6f},"write":{:.6f}}},"slowest_stage":"{}"}})"
                     "\n",
                     done.rows, done.bytes, done.resumed_bytes, done.seconds, devices, reason, s.read, s.copy, s.compute,
                     s.write, done.slowest_stage());
}

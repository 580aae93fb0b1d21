// How far a run over files is.
#pragma once

#include <string>

#include <fmt/format.h>

#include <sluice/pipeline.hpp>

#include "../common/progress_line.hpp"

inline double gigabytes(std::int64_t bytes) { return static_cast<double>(bytes) / 1e9; }

class progress_display : public progress_line {
 public:
  using progress_line::progress_line;

  void show(const sluice::pipeline_progress& p) {
    switch (form()) {
      case progress_form::bar: return p.bytes_done == p.bytes_total ? clear() : print(bar(part(p), words(p)));
      case progress_form::lines:
        if (p.bytes_done == p.bytes_total) return;  // the summary says it
        return print(p.bytes_total < 0 ? words(p) + "\n" : fmt::format("{:3.0f}%  {}\n", 100 * part(p), words(p)));
      case progress_form::json: return print(json(p));
      default: return;
    }
  }

 private:
  // -1: not known.
  static double part(const sluice::pipeline_progress& p) {
    if (p.bytes_total < 0) return -1;
    return p.bytes_total == 0 ? 1.0 : static_cast<double>(p.bytes_done) / static_cast<double>(p.bytes_total);
  }

  static std::string words(const sluice::pipeline_progress& p) {
    std::string text = fmt::format("{:.2f}", gigabytes(p.bytes_done));
    if (p.bytes_total >= 0) text += fmt::format(" of {:.2f}", gigabytes(p.bytes_total));
    text += fmt::format(" GB  {} rows  {:.2f} GB/s", p.rows_done, p.bytes_per_second / 1e9);
    if (p.seconds_left >= 0) text += fmt::format("  {} left", duration(p.seconds_left));
    return text;
  }

  // What is not known is null.
  static std::string json(const sluice::pipeline_progress& p) {
    const auto known = [](auto value) { return value < 0 ? std::string("null") : fmt::format("{}", value); };
    return fmt::format(
        R"({{"bytes_done":{},"bytes_total":{},"rows_done":{},"seconds":{:.3f},"bytes_per_second":{:.0f},"seconds_left":{}}})"
        "\n",
        p.bytes_done, known(p.bytes_total), p.rows_done, p.seconds, p.bytes_per_second, known(p.seconds_left));
  }
};

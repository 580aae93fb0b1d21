// How far a run is: a bar where a person looks, one plain line a second where a log is kept, JSON lines for a program.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include <sluice/pipeline.hpp>

#include "../common/platform.hpp"

enum class progress_form { automatic, bar, lines, json, none };

inline double gigabytes(std::int64_t bytes) { return static_cast<double>(bytes) / 1e9; }

// On standard error.
class progress_display {
 public:
  explicit progress_display(progress_form form) : form_(form) {
    if (form_ == progress_form::automatic) form_ = error_is_terminal() ? progress_form::bar : progress_form::lines;
  }

  [[nodiscard]] progress_form form() const { return form_; }
  [[nodiscard]] double interval() const { return form_ == progress_form::bar ? 0.1 : 1.0; }

  void show(const sluice::pipeline_progress& p) {
    switch (form_) {
      case progress_form::bar: return p.bytes_done == p.bytes_total ? clear() : print(bar(part(p), words(p)));
      case progress_form::lines:
        if (p.bytes_done == p.bytes_total) return;  // the summary says it
        return print(p.bytes_total < 0 ? words(p) + "\n" : fmt::format("{:3.0f}%  {}\n", 100 * part(p), words(p)));
      case progress_form::json: return print(json(p));
      default: return;
    }
  }

  // Leaves the line to others.
  void clear() {
    if (form_ == progress_form::bar) print("\r\x1b[K");
  }

 private:
  static void print(const std::string& text) {
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  }

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

  // The text, and before it what room the terminal has left for a bar.
  static std::string bar(double part, const std::string& text) {
    const auto width = static_cast<std::size_t>(error_columns() - 1);
    if (part < 0 || text.size() + 10 > width) return "\r" + text.substr(0, width) + "\x1b[K";
    const std::size_t cells = std::min<std::size_t>(50, width - text.size() - 4);
    const auto full = static_cast<std::size_t>(part * static_cast<double>(cells));
    return "\r[" + std::string(full, '#') + std::string(cells - full, ' ') + "]  " + text + "\x1b[K";
  }

  static std::string duration(double seconds) {
    const auto s = static_cast<std::int64_t>(std::min(seconds, 1e9) + 0.5);
    if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
    return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  }

  progress_form form_;
};

// How far a run is, on standard error: a bar where a person looks, one plain line a second where a log is kept, JSON lines
// for a program.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "platform.hpp"

enum class progress_form { automatic, bar, lines, json, none };

class progress_line {
 public:
  explicit progress_line(progress_form form) : form_(form) {
    if (form_ == progress_form::automatic) form_ = error_is_terminal() ? progress_form::bar : progress_form::lines;
  }

  [[nodiscard]] progress_form form() const { return form_; }
  [[nodiscard]] double interval() const { return form_ == progress_form::bar ? 0.1 : 1.0; }

  // Leaves the line to others.
  void clear() const {
    if (form_ == progress_form::bar) print("\r\x1b[K");
  }

  static void print(const std::string& text) {
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  }

  // The text, and before it what room the terminal has left for a bar. `part` -1: not known.
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

 private:
  progress_form form_;
};

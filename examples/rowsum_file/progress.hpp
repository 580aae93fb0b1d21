// How far a run is: a bar where a person looks, one plain line a second where a log is kept.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <sluice/pipeline.hpp>

inline double gigabytes(std::int64_t bytes) { return static_cast<double>(bytes) / 1e9; }

class progress_display {
 public:
  progress_display() {
    const char* term = std::getenv("TERM");
    bar_ = ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
  }

  [[nodiscard]] double interval() const { return bar_ ? 0.1 : 1.0; }

  void show(const sluice::pipeline_progress& p) {
    if (p.bytes_done >= p.bytes_total) return clear();
    const double rate = static_cast<double>(p.bytes_done) / std::max(p.seconds, 1e-9);
    const std::string text =
        fmt::format("{:.2f} of {:.2f} GB  {:.2f} GB/s  {} left", gigabytes(p.bytes_done), gigabytes(p.bytes_total),
                    rate / 1e9, duration(static_cast<double>(p.bytes_total - p.bytes_done) / std::max(rate, 1.0)));
    const double part = static_cast<double>(p.bytes_done) / static_cast<double>(p.bytes_total);
    print(bar_ ? bar(part, text) : fmt::format("{:3.0f}%  {}\n", 100 * part, text));
  }

  // Leaves the line to others.
  void clear() {
    if (bar_) print("\r\x1b[K");
  }

 private:
  static void print(const std::string& text) {
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  }

  // The text, and before it what room the terminal has left for a bar.
  static std::string bar(double part, const std::string& text) {
    winsize size{};
    const int known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    const auto width = static_cast<std::size_t>(known - 1);
    if (text.size() + 10 > width) return "\r" + text.substr(0, width) + "\x1b[K";
    const std::size_t cells = std::min<std::size_t>(50, width - text.size() - 4);
    const auto full = static_cast<std::size_t>(part * static_cast<double>(cells));
    return "\r[" + std::string(full, '#') + std::string(cells - full, ' ') + "]  " + text + "\x1b[K";
  }

  static std::string duration(double seconds) {
    const auto s = static_cast<std::int64_t>(std::min(seconds, 1e9) + 0.5);
    if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
    return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  }

  bool bar_ = false;
};

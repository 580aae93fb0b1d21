#include "chart.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <fmt/format.h>

namespace {

constexpr std::array colours{"#2c6fbb", "#c2571a", "#2e8b57", "#8b3a8b", "#777777"};
constexpr double width = 420, height = 300, left = 70, top = 60, gap = 90;

// One of the two pictures: values over sizes, both logarithmic.
class panel {
 public:
  panel(const advice& a, double x, const char* title, const char* unit) : advice_(a), x_(x), title_(title), unit_(unit) {}

  using series = std::function<double(std::size_t row, std::size_t device)>;

  void see(const series& value) {
    for (std::size_t r = 0; r < advice_.rows.size(); ++r)
      for (std::size_t d = 0; d < advice_.devices.size(); ++d) {
        const double v = value(r, d);
        if (!std::isfinite(v) || v <= 0) continue;
        low_ = std::min(low_, std::floor(std::log10(v)));
        high_ = std::max(high_, std::ceil(std::log10(v)));
      }
  }

  void axes(std::string& out) const {
    out += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" class=\"title\">{}</text>\n", x_, top - 14, title_);
    for (double e = low_; e <= high_; ++e)
      out += fmt::format(
          "<path d=\"M{:.1f} {:.1f}h{:.0f}\" class=\"grid\"/><text x=\"{:.1f}\" y=\"{:.1f}\" class=\"y\">{:g} {}</text>\n",
          x_, y_of(std::pow(10, e)), width, x_ - 6, y_of(std::pow(10, e)) + 4, std::pow(10, e), unit_);
    for (const auto& row : advice_.rows)
      out += fmt::format("<text x=\"{:.1f}\" y=\"{:.0f}\" class=\"x\">{}</text>\n", x_of(row.size), top + height + 16,
                         row.size);
    if (advice_.crossover > 0)
      out += fmt::format(
          "<path d=\"M{0:.1f} {1:.0f}v{2:.0f}\" class=\"cross\"/><text x=\"{0:.1f}\" y=\"{3:.0f}\" class=\"x\">n = "
          "{4}</text>\n",
          x_of(advice_.crossover), top, height, top - 2, advice_.crossover);
  }

  void line(std::string& out, std::size_t device, const series& value) const {
    std::string path;
    for (std::size_t r = 0; r < advice_.rows.size(); ++r)
      if (const double v = value(r, device); std::isfinite(v) && v > 0)
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x_of(advice_.rows[r].size), y_of(v));
    out += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", path,
                       colours[device % colours.size()]);
  }

  void dots(std::string& out, std::size_t device, const series& value) const {
    for (std::size_t r = 0; r < advice_.rows.size(); ++r)
      if (const double v = value(r, device); std::isfinite(v) && v > 0)
        out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x_of(advice_.rows[r].size),
                           y_of(v), colours[device % colours.size()]);
  }

 private:
  [[nodiscard]] double x_of(std::int64_t n) const {
    const double first = std::log2(static_cast<double>(advice_.rows.front().size));
    const double last = std::log2(static_cast<double>(advice_.rows.back().size));
    return x_ + width * (last > first ? (std::log2(static_cast<double>(n)) - first) / (last - first) : 0.5);
  }
  [[nodiscard]] double y_of(double v) const {
    return top + height * (high_ > low_ ? (high_ - std::log10(v)) / (high_ - low_) : 0.5);
  }

  const advice& advice_;
  double x_;
  const char* title_;
  const char* unit_;
  double low_ = std::numeric_limits<double>::infinity(), high_ = -std::numeric_limits<double>::infinity();
};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return out;
}

// Words of the sentence, a line of about 110 letters each.
std::string wrapped(const std::string& text) {
  std::string out;
  double y = top + height + 62;
  for (std::size_t at = 0; at < text.size(); y += 17) {
    std::size_t end = text.size() - at > 125 ? text.rfind(' ', at + 125) : text.size();
    if (end == std::string::npos || end <= at) end = text.size();
    out += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", left, y, escaped(text.substr(at, end - at)));
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string chart_of(const advice& a, const std::string& title, const measurements& measured) {
  const auto seconds = [&](std::size_t r, std::size_t d) { return a.rows[r].seconds(d); };
  const auto took = [&](std::size_t r, std::size_t d) { return r < measured.size() ? measured[r][d] : std::nan(""); };
  const auto throughput = [&](std::size_t r, std::size_t d) { return a.rows[r].throughput(d); };
  panel latency(a, left, "a call", "s");
  panel rate(a, left + width + gap, "calls a second, of many callers", "/s");
  latency.see(seconds);
  latency.see(took);
  rate.see(throughput);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n"
      "<style>.grid{{stroke:#ddd}}.cross{{stroke:#999;stroke-dasharray:4}}.x{{text-anchor:middle}}.y{{text-anchor:end}}"
      ".title{{font-weight:bold}}</style>\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#fff\"/>\n"
      "<text x=\"{2:.0f}\" y=\"20\" font-size=\"15\" class=\"title\">{3}</text>\n",
      left + 2 * width + gap + 30, top + height + 120, left, escaped(title));
  latency.axes(out);
  rate.axes(out);
  for (std::size_t d = 0; d < a.devices.size(); ++d) {
    latency.line(out, d, seconds);
    latency.dots(out, d, took);
    rate.line(out, d, throughput);
    out += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" fill=\"{}\">{}</text>\n", left + 90 * static_cast<double>(d),
                       top + height + 38, colours[d % colours.size()], a.devices[d].str());
  }
  if (!measured.empty())
    out += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\">lines: predicted, dots: measured</text>\n",
                       left + 90 * static_cast<double>(a.devices.size()), top + height + 38);
  return out + wrapped(a.sentence) + "</svg>\n";
}

// sluice-advise: is a GPU suitable for this API? Asks placement what an operation would take on each device, over sizes.
//
//     sluice-advise --calibrate                                   measures this machine's devices, and keeps the figures
//     sluice-advise --rate 50 --price cpu=0.40 --price cuda:0=3.90 --svg advice.svg
//     sluice-advise --operation rowsum --dtype f64 --measure      runs it, too, and tells how far predictions were off
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "chart.hpp"
#include "sluice/sluice.hpp"

namespace {

struct arguments {
  sluice::advice_question question;
  std::string dtype = "f32", svg{};
  std::vector<std::string> prices{};
  bool calibrate = false, measure = false;
};

std::string in_words(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} s", seconds);
}

std::pair<sluice::device, double> price_of(const std::string& text) {
  const auto at = text.find('=');
  std::size_t end = 0;
  double price = 0;
  try {
    price = std::stod(text.substr(at + 1), &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (at == std::string::npos || end == 0 || end != text.size() - at - 1)
    throw std::runtime_error(fmt::format("{} is no price: write cpu=0.40", text));
  return {sluice::device(text.substr(0, at)), price};
}

void print_devices() {
  for (const auto& d : sluice::devices()) fmt::print("{}: {}\n", d.where.str(), d.description);
  for (const auto& r : sluice::refusals()) fmt::print("{} was refused: {}\n", r.backend, r.reason);
  for (const auto& p : sluice::profiles()) fmt::print("profile of {}: {}\n", p.where.str(), p.source);
}

// The median of calls from host to host.
double measured(const sluice::advice_question& q, std::int64_t n, const sluice::device& where) {
  const auto made = [&] {
    const auto values = sluice::tensor::full({n, n}, 1, q.dtype);
    if (!q.pinned || where.is_cpu()) return values;
    sluice::tensor t({n, n}, q.dtype, where, sluice::memory::pinned);
    t.assign(values);
    return t;
  };
  const auto a = made();
  const auto b = made();
  const auto call = [&] {
    const auto out = q.operation == "matmul" ? sluice::matmul(a, b, where) : sluice::rowsum(a, where);
    static_cast<void>(out.to("cpu").data());
  };
  call();
  std::vector<double> all;
  const auto began = std::chrono::steady_clock::now();
  const auto since = [](auto t) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count(); };
  do {
    const auto t = std::chrono::steady_clock::now();
    call();
    all.push_back(since(t));
  } while (all.size() < 5 || (since(began) < 0.05 && all.size() < 500));
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
  return all[all.size() / 2];
}

measurements measure(const arguments& args, const sluice::advice& a) {
  measurements all;
  for (const auto& row : a.rows) {
    all.emplace_back();
    for (std::size_t d = 0; d < a.devices.size(); ++d)
      all.back().push_back(std::isfinite(row.seconds[d]) ? measured(args.question, row.size, a.devices[d]) : std::nan(""));
  }
  return all;
}

void print_table(const sluice::advice& a, const measurements& taken) {
  fmt::print("\n{:>8}", "n");
  for (const auto& d : a.devices) {
    fmt::print("{:>14}", d.str());
    if (!taken.empty()) fmt::print("{:>12}", "measured");
    fmt::print("{:>12}{:>14}", "calls/s", "a million");
  }
  fmt::print("  chosen\n");
  for (std::size_t r = 0; r < a.rows.size(); ++r) {
    const auto& row = a.rows[r];
    fmt::print("{:>8}", row.size);
    for (std::size_t d = 0; d < a.devices.size(); ++d) {
      fmt::print("{:>14}", in_words(row.seconds[d]));
      if (!taken.empty()) fmt::print("{:>12}", in_words(taken[r][d]));
      fmt::print("{:>12}{:>14}", std::isfinite(row.throughput[d]) ? fmt::format("{:.4g}", row.throughput[d]) : "-",
                 std::isfinite(row.cost[d]) ? fmt::format("{:.4g}", row.cost[d]) : "-");
    }
    fmt::print("  {}\n", row.chosen.reason());
  }
}

void print_errors(const sluice::advice& a, const measurements& taken) {
  for (std::size_t d = 0; d < a.devices.size(); ++d) {
    std::vector<double> off;
    for (std::size_t r = 0; r < a.rows.size(); ++r)
      if (std::isfinite(taken[r][d])) off.push_back(std::abs(a.rows[r].seconds[d] / taken[r][d] - 1));
    if (off.empty()) continue;
    std::sort(off.begin(), off.end());
    fmt::print("predictions on {} were off by {:.0f}% in the middle, {:.0f}% at most\n", a.devices[d].str(),
               100 * off[off.size() / 2], 100 * off.back());
  }
}

int advise(arguments& args) {
  args.question.dtype = sluice::parse_dtype(args.dtype);
  for (const auto& p : args.prices) args.question.prices.push_back(price_of(p));
  if (args.calibrate) static_cast<void>(sluice::calibrate());
  print_devices();
  const auto a = sluice::advise(args.question);
  const auto taken = args.measure ? measure(args, a) : measurements{};
  print_table(a, taken);
  if (args.measure) print_errors(a, taken);
  fmt::print("\n{}\n", a.sentence);
  if (args.svg.empty()) return 0;
  std::ofstream file(args.svg);
  file << chart_of(a, fmt::format("{} {} from host to host", args.question.operation, args.dtype), taken);
  file.close();
  if (!file) throw std::runtime_error(args.svg + " cannot be written");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  arguments args;
  CLI::App app("Which device suits an operation, over a range of sizes, and what it costs there.", "sluice-advise");
  app.set_version_flag("--version", SLUICE_VERSION_STRING);
  app.add_option("--operation", args.question.operation, "of n x n operands")
      ->capture_default_str()
      ->check(CLI::IsMember({"matmul", "rowsum"}));
  app.add_option("--dtype", args.dtype, "f32, f64, f16, ...")->capture_default_str();
  app.add_option("--sizes", args.question.sizes, "n, growing (16 32 ... 4096)");
  app.add_option("--rate", args.question.rate, "calls a second that are to be served");
  app.add_option("--price", args.prices, "of a machine with that device, an hour: cpu=0.40");
  app.add_flag("--pinned", args.question.pinned, "the operands are in pinned memory");
  app.add_flag("--calibrate", args.calibrate, "measure the devices first, and keep the figures");
  app.add_flag("--measure", args.measure, "run the operation on each device, too");
  app.add_option("--svg", args.svg, "a file for the chart");
  CLI11_PARSE(app, argc, argv);
  try {
    return advise(args);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "sluice-advise: %s\n", e.what());
    return 1;
  }
}

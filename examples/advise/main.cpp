// sluice-advise: does a GPU suit this API? Asks placement what an op would take on each device, over sizes.
//
//     sluice-advise --calibrate                                   measures this machine's devices, and saves the figures
//     sluice-advise --rate 50 --price cpu=0.40 --price cuda:0=3.90 --svg advice.svg
//     sluice-advise --operation rowsum --dtype f64 --measure      also runs it, and prints the errors of predictions
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "advice.hpp"
#include "chart.hpp"

namespace {

struct arguments {
  advice_question question;
  std::string operation = "matmul", dtype = "f32", precision{}, svg{};
  std::vector<std::string> prices{};
  bool calibrate = false, measure = false;
};

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
    throw std::runtime_error(fmt::format("--price {}: expected DEVICE=AMOUNT, e.g. cpu=0.40", text));
  return {sluice::device(text.substr(0, at)), price};
}

void print_devices() {
  for (const auto& d : sluice::devices()) fmt::print("{}: {}\n", d.where.str(), d.description);
  for (const auto& r : sluice::refusals()) fmt::print("{}\n", r.str());
  for (const auto& p : sluice::profiles()) fmt::print("profile of {}: {}\n", p.where.str(), p.source);
}

// The median of calls from host to host.
double measured(const advice_question& q, std::int64_t n, const sluice::device& where) {
  const auto made = [&] {
    const auto values = sluice::tensor::full({n, n}, 1, q.dtype);
    if (!q.pinned || where.is_cpu()) return values;
    sluice::tensor t({n, n}, q.dtype, where, sluice::memory::pinned);
    t.assign(values);
    return t;
  };
  std::vector<sluice::tensor> in;
  for (std::size_t i = 0; i < q.op->inputs.size(); ++i) in.push_back(made());
  const auto call = [&] { static_cast<void>(apply(*q.op, sluice::operands(in), where, q.options()).to("cpu").data()); };
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

measurements measure(const arguments& args, const advice& a) {
  measurements all;
  for (const auto& row : a.rows) {
    all.emplace_back();
    for (std::size_t d = 0; d < a.devices.size(); ++d)
      all.back().push_back(std::isfinite(row.seconds(d)) ? measured(args.question, row.size, a.devices[d]) : std::nan(""));
  }
  return all;
}

void print_table(const advice& a, const measurements& taken) {
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
      fmt::print("{:>14}", duration_text(row.seconds(d)));
      if (!taken.empty()) fmt::print("{:>12}", duration_text(taken[r][d]));
      fmt::print("{:>12}{:>14}", std::isfinite(row.throughput(d)) ? fmt::format("{:.4g}", row.throughput(d)) : "-",
                 std::isfinite(row.cost[d]) ? fmt::format("{:.4g}", row.cost[d]) : "-");
    }
    fmt::print("  {}\n", row.chosen.reason());
  }
}

void print_errors(const advice& a, const measurements& taken) {
  for (std::size_t d = 0; d < a.devices.size(); ++d) {
    std::vector<double> off;
    for (std::size_t r = 0; r < a.rows.size(); ++r)
      if (std::isfinite(taken[r][d])) off.push_back(std::abs(a.rows[r].seconds(d) / taken[r][d] - 1));
    if (off.empty()) continue;
    std::sort(off.begin(), off.end());
    fmt::print("predictions on {}: median error {:.0f}%, worst {:.0f}%\n", a.devices[d].str(), 100 * off[off.size() / 2],
               100 * off.back());
  }
}

int run(arguments& args) {
  args.question.op = sluice::find_op(args.operation);
  args.question.dtype = sluice::parse_dtype(args.dtype);
  if (!args.precision.empty()) {
    args.question.precision = find_precision(*args.question.op, args.precision);
    if (args.question.precision == nullptr)
      throw std::runtime_error(fmt::format("--precision {}: {} has none of that name", args.precision, args.operation));
  }
  for (const auto& p : args.prices) args.question.prices.push_back(price_of(p));
  if (args.calibrate) static_cast<void>(sluice::calibrate());
  print_devices();
  const auto a = advise(args.question);
  const auto taken = args.measure ? measure(args, a) : measurements{};
  print_table(a, taken);
  if (args.measure) print_errors(a, taken);
  fmt::print("\n{}\n", a.sentence);
  if (args.svg.empty()) return 0;
  std::ofstream file(args.svg);
  file << chart_of(a, fmt::format("{} {} from host to host", args.question.op->name, args.dtype), taken);
  file.close();
  if (!file) throw std::runtime_error(args.svg + " cannot be written");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  arguments args;
  std::vector<std::string> names;
  for (const auto* op : sluice::all_ops()) names.emplace_back(op->name);
  CLI::App app("Which device suits an operation, over a range of sizes, and what it costs there.", "sluice-advise");
  app.set_version_flag("--version", SLUICE_VERSION_STRING);
  app.add_option("--operation", args.operation, "an op, of n x n operands")
      ->capture_default_str()
      ->check(CLI::IsMember(names));
  app.add_option("--dtype", args.dtype, "f32, f64, f16, ...")->capture_default_str();
  app.add_option("--precision", args.precision, "strict, fast or tensor_core, of matmul");
  app.add_option("--sizes", args.question.sizes, "n, growing")->capture_default_str()->check(CLI::Range(1, 1000000));
  app.add_option("--rate", args.question.rate, "calls a second to be served");
  app.add_option("--price", args.prices, "hourly price of a machine with that device, e.g. cpu=0.40");
  app.add_flag("--pinned", args.question.pinned, "the operands are in pinned memory");
  app.add_flag("--calibrate", args.calibrate, "measure the devices first, and save the figures");
  app.add_flag("--measure", args.measure, "also run the op on each device");
  app.add_option("--svg", args.svg, "a file for the chart");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(args);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "sluice-advise: %s\n", e.what());
    return 1;
  }
}

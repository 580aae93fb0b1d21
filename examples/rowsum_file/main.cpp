// sluice-rowsum: the sum of every row of a file of any size, to an .npy.
//
//     sluice-rowsum matrix.npy -o sums.npy
//     sluice-rowsum raw.bin --columns 1024 --dtype f32 -o sums.npy
//     zcat raw.gz | sluice-rowsum - --columns 1024 -o sums.npy
//     sluice-rowsum matrix.npy -o - | gzip >sums.npy.gz
//
// A run that is stopped leaves OUT.npy.partial and OUT.npy.journal; the same command resumes from there.
//
// Ends with 0 when the sums are written, 1 when they are not, 2 for a command line it does not take, 130 after Ctrl-C.

#include <charconv>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sluice/pipeline.hpp>

#include "../common/platform.hpp"
#include "../common/progress_options.hpp"
#include "progress.hpp"
#include "summary.hpp"

namespace {

struct arguments {
  std::vector<std::string> in;
  std::string out;
  std::string totals;
  std::string dtype;
  std::string result_dtype;
  std::vector<std::string> devices{"automatic"};
  std::int64_t columns = 0;
  std::int64_t offset = 0;
  std::uint64_t chunk = 0;
  int readers = 0;
  std::optional<double> sync;
  bool no_map = false;
  bool resume = false;
  bool fresh = false;
  bool quiet = false;
  progress_form progress = progress_form::automatic;
};

// A check for CLI11: the library's own sentence is the complaint.
template <class F>
CLI::Validator taken_by(F parse) {
  return CLI::Validator(
      [parse](const std::string& text) {
        try {
          parse(text);
          return std::string();
        } catch (const sluice::error& e) {
          return std::string(e.what());
        }
      },
      "");
}

// Whole numbers from `low` on. CLI11 by itself takes one that is too large as the largest there is.
CLI::Validator whole_number(std::int64_t low) {
  return CLI::Validator(
      [low](const std::string& text) {
        std::int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [rest, failure] = std::from_chars(text.data(), end, value);
        if (failure == std::errc() && rest == end && value >= low) return std::string();
        return fmt::format("{} is no whole number from {} to {}", text, low, INT64_MAX);
      },
      "");
}

void describe_input(CLI::App& app, arguments& a) {
  app.add_option(
         "IN", a.in,
         "an .npy file in C order, or a raw file of row-major elements; several are one; - is standard input, and a pipe "
         "is read like it")
      ->required();
  app.add_option("--columns", a.columns, "elements of a row, for a raw file")->check(whole_number(1))->type_name("N");
  app.add_option("--dtype", a.dtype, "element type of a raw file: f64, f32 (if not given), f16, bf16, i64, i32, u8")
      ->check(taken_by([](const std::string& s) { return sluice::parse_dtype(s); }))
      ->type_name("TYPE");
  app.add_option("--offset", a.offset, "bytes of a raw file to pass over")->check(whole_number(0))->type_name("BYTES");
}

void describe_output(CLI::App& app, arguments& a) {
  app.add_option("-o,--output", a.out, "the .npy to write: whole or not at all; - is standard output")
      ->required()
      ->type_name("OUT.npy");
  app.add_option("--column-totals", a.totals, "an .npy for the total of every column, in the same pass")
      ->type_name("TOTALS.npy");
  app.add_option("--result-dtype", a.result_dtype,
                 "element type of the sums, which are rounded to it once: f64, f32, f16, and i64 of integers; without it "
                 "f64 of f64, f32 of other floats, i64 of integers")
      ->check(taken_by([](const std::string& s) { return sluice::parse_dtype(s); }))
      ->type_name("TYPE");
  auto* resume = app.add_flag("--resume", a.resume, "go on where a run before was stopped, or fail");
  app.add_flag("--fresh", a.fresh, "start from the beginning; without either: go on if there is something to go on with")
      ->excludes(resume);
  app.add_option("--sync", a.sync, "seconds between points to go on from")
      ->check(CLI::Range(0.0, 1e6))
      ->type_name("SECONDS");
}

void describe_run(CLI::App& app, arguments& a) {
  app.add_option("--device", a.devices, "where to sum: cpu, cuda:0, automatic; cuda:0,cuda:1 take chunks in turn")
      ->delimiter(',')
      ->check(taken_by([](const std::string& s) { return sluice::device(s); }))
      ->type_name("DEVICE");
  app.add_option("--chunk", a.chunk, "bytes that go to a device at once, such as 16M")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40))
      ->type_name("BYTES");
  app.add_option("--readers", a.readers, "threads that read at once")->check(CLI::Range(1, 4096))->type_name("N");
  app.add_flag("--no-map", a.no_map, "read files instead of mapping them");
  add_progress_options(app, a.progress, a.quiet);
}

// What can be read once only, in order.
bool is_stream(const std::string& path) {
  using enum std::filesystem::file_type;
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  return type == fifo || type == character || type == block || type == socket;
}

sluice::file_stream opened(const arguments& a) {
  sluice::file_stream_options o;
  if (!a.dtype.empty()) o.dtype = sluice::parse_dtype(a.dtype);
  o.columns = a.columns;
  o.byte_offset = a.offset;
  o.chunk_bytes = static_cast<std::int64_t>(a.chunk);
  o.readers = a.readers;
  o.map = !a.no_map;
  if (a.in.size() > 1) return sluice::file_stream(a.in, o);
  if (a.in[0] == "-") return sluice::file_stream::standard_input(o);
  if (is_stream(a.in[0])) return sluice::file_stream::from(open_stream(a.in[0]), o, a.in[0]);
  return sluice::file_stream(a.in[0], o);
}

// Why the arguments do not fit together, or "".
std::string contradiction(const arguments& a) {
  for (const auto& path : a.in)
    if (a.in.size() > 1 && (path == "-" || is_stream(path)))
      return fmt::format("{} is read once, in order, so it is the only IN: join the inputs before it{}", path,
                         path == "-" ? "; a file of that name is ./-" : "");
  if (a.totals == "-") return "--column-totals - is no file: standard output takes the sums alone, by -o -";
  if (a.out != "-") return "";
  if (a.resume || a.fresh || a.sync)
    return fmt::format("{} is for a file: what goes to standard output (-o -) is not kept, so it cannot be resumed",
                       a.resume  ? "--resume"
                       : a.fresh ? "--fresh"
                                 : "--sync");
  if (output_is_terminal()) return "-o - writes the bytes of an .npy, and standard output is a terminal: redirect it";
  for (const auto& path : a.in)
    if (output_is(path)) return fmt::format("{} is standard output too: it would be overwritten", path);
  return "";
}

sluice::pipeline_summary sum(const arguments& a, const sluice::pipeline_options& options) {
  if (a.out != "-") return sluice::rowsum_file(opened(a), a.out, options);
  std::size_t written = 0;
  const auto check = [&](std::error_code why) {
    if (why)
      throw sluice::error(sluice::error_code::io,
                          fmt::format("standard output: {} at byte {}: the sums are cut short", why.message(), written));
  };
  const auto write = [&](std::span<const std::byte> bytes) {
    std::size_t done = 0;
    const auto why = write_to_output(bytes, done);
    written += done;
    check(why);
  };
  const auto done = sluice::rowsum_file(opened(a), write, options);
  check(close_output());
  return done;
}

sluice::pipeline_options run_options(const arguments& a) {
  sluice::pipeline_options o;
  if (a.devices.size() == 1)
    o.where = a.devices[0];
  else
    o.devices.assign(a.devices.begin(), a.devices.end());
  o.column_totals = a.totals;
  if (!a.result_dtype.empty()) o.result_dtype = sluice::parse_dtype(a.result_dtype);
  if (a.sync) o.sync_interval = *a.sync;
  if (a.resume) o.resume = sluice::resume::required;
  if (a.fresh) o.resume = sluice::resume::never;
  return o;
}

int run(const arguments& a) {
  std::stop_source stop;
  const interrupt interrupted([&] { stop.request_stop(); });
  progress_display display(a.quiet ? progress_form::none : a.progress);
  try {
    auto options = run_options(a);
    options.cancel = stop.get_token();
    options.progress_interval = display.interval();
    if (display.form() != progress_form::none)
      options.progress = [&](const sluice::pipeline_progress& p) { display.show(p); };
    const auto done = sum(a, options);
    const bool chosen = a.devices.size() == 1 && sluice::device(a.devices[0]).is_automatic();
    std::FILE* const to = a.out == "-" ? stderr : stdout;
    if (display.form() == progress_form::json)
      fmt::print(to, "{}", summary_json(done));
    else if (!a.quiet)
      fmt::print(to, "{}", summary_text(done, chosen));
    return 0;
  } catch (const std::exception& e) {
    display.clear();
    fmt::print(stderr, "sluice-rowsum: {}\n", e.what());
    const auto* known = dynamic_cast<const sluice::error*>(&e);
    return known != nullptr && known->code() == sluice::error_code::cancelled ? interrupt::exit_code() : 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_streams();
  arguments a;
  CLI::App app("The sum of every row of a file of any size.", "sluice-rowsum");
  try {
    app.set_version_flag("--version", "sluice-rowsum " SLUICE_VERSION_STRING);
    describe_input(app, a);
    describe_output(app, a);
    describe_run(app, a);
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "sluice-rowsum: {} (--help shows what is taken)\n", e.what());
    return 2;
  }
  if (const auto why = contradiction(a); !why.empty()) {
    fmt::print(stderr, "sluice-rowsum: {}\n", why);
    return 2;
  }
  return run(a);
}

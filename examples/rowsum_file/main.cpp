// sluice-rowsum: the sum of every row of a file of any size, to an .npy.
//
//     sluice-rowsum matrix.npy -o sums.npy
//     sluice-rowsum raw.bin --columns 1024 --dtype f32 -o sums.npy
//
// Ends with 0 when the sums are written, 1 when they are not, 2 for a command line it does not take, 130 after Ctrl-C.

#include <charconv>
#include <cstdio>
#include <exception>
#include <stop_token>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sluice/pipeline.hpp>

#include "../common/interrupt.hpp"
#include "progress.hpp"

namespace {

struct arguments {
  std::string in;
  std::string out;
  std::string dtype;
  std::string device = "automatic";
  std::int64_t columns = 0;
  std::int64_t offset = 0;
  std::uint64_t chunk = 16 << 20;
  bool quiet = false;
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

void describe(CLI::App& app, arguments& a) {
  app.set_version_flag("--version", "sluice-rowsum " SLUICE_VERSION_STRING);
  app.add_option("IN", a.in, "an .npy file in C order, or a raw file of row-major elements")->required();
  app.add_option("-o,--output", a.out, "the .npy to write: whole or not at all")->required()->type_name("OUT.npy");
  app.add_option("--columns", a.columns, "elements of a row, for a raw file")->check(whole_number(1))->type_name("N");
  app.add_option("--dtype", a.dtype, "element type of a raw file: f64, f32 (if not given), f16, bf16, i64, i32, u8")
      ->check(taken_by([](const std::string& s) { return sluice::parse_dtype(s); }))
      ->type_name("TYPE");
  app.add_option("--offset", a.offset, "bytes of a raw file to pass over")->check(whole_number(0))->type_name("BYTES");
  app.add_option("--device", a.device, "where to sum: cpu, cuda:0, automatic")
      ->check(taken_by([](const std::string& s) { return sluice::device(s); }))
      ->type_name("DEVICE");
  app.add_option("--chunk", a.chunk, "bytes that go to a device at once, such as 16M")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40))
      ->type_name("BYTES");
  app.add_flag("-q,--quiet", a.quiet, "write nothing but errors");
}

int run(const arguments& a) {
  std::stop_source stop;
  const interrupt interrupted([&] { stop.request_stop(); });
  progress_display display;
  try {
    sluice::file_stream_options shape;
    if (!a.dtype.empty()) shape.dtype = sluice::parse_dtype(a.dtype);
    shape.columns = a.columns;
    shape.byte_offset = a.offset;
    shape.chunk_bytes = static_cast<std::int64_t>(a.chunk);
    const sluice::file_stream in(a.in, shape);

    sluice::pipeline_options options;
    options.where = a.device;
    options.cancel = stop.get_token();
    options.progress_interval = display.interval();
    if (!a.quiet) options.progress = [&](const sluice::pipeline_progress& p) { display.show(p); };
    const auto done = sluice::rowsum_file(in, a.out, options);
    if (!a.quiet)
      fmt::print("{} rows, {:.3f} GB in {:.2f} s, {:.2f} GB/s, {}\n", done.rows, gigabytes(done.bytes), done.seconds,
                 gigabytes(done.bytes) / std::max(done.seconds, 1e-9), done.where.str());
    return 0;
  } catch (const std::exception& e) {
    if (!a.quiet) display.clear();
    fmt::print(stderr, "sluice-rowsum: {}\n", e.what());
    const auto* known = dynamic_cast<const sluice::error*>(&e);
    return known != nullptr && known->code() == sluice::error_code::cancelled ? interrupted.exit_code() : 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  arguments a;
  CLI::App app("The sum of every row of a file of any size.", "sluice-rowsum");
  try {
    describe(app, a);
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "sluice-rowsum: {} (--help shows what is taken)\n", e.what());
    return 2;
  }
  return run(a);
}

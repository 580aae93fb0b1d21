// sluice-canny: the edges of images, by Canny's method, to images.
//
//     sluice-canny photo.jpg edges.png
//     sluice-canny --low 50 --high 150 --norm l2 photos/*.jpg edges/
//     curl -s https://example.org/photo.jpg | sluice-canny - - >edges.png
//
// Ends with 0 when all edges are written, 1 when some are not, 2 for a command line it does not take, 130 after Ctrl-C.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sluice/parallel.hpp>

#include "../common/platform.hpp"
#include "../common/progress_options.hpp"
#include "images.hpp"

namespace {

struct arguments {
  std::vector<std::string> files;  // IN... OUT
  canny_job job;
  int jobs = 0;
  bool quiet = false;
  progress_form progress = progress_form::automatic;
};

void describe_edges(CLI::App& app, canny_job& job) {
  const std::map<std::string, sluice::edge_norm> norms{{"l1", sluice::edge_norm::l1}, {"l2", sluice::edge_norm::l2}};
  app.add_option("--low", job.low, "edges above this that are connected to one above --high stay (100)")->type_name("T");
  app.add_option("--high", job.high, "what is above it is an edge (200)")->type_name("T");
  app.add_option("--norm", job.canny.norm, "of a gradient: l1, |dx| + |dy|, or l2, its length")
      ->transform(CLI::CheckedTransformer(norms))
      ->type_name("NORM");
  app.add_flag("--colour", job.colour, "of each pixel the channel of largest gradient; without it, of the grey image");
  app.add_option("--device", job.device, "where to compute: cpu, cuda:0, automatic")->type_name("DEVICE");
}

void describe_files(CLI::App& app, arguments& a) {
  using sluice::image::format;
  const std::map<std::string, format> formats{{"png", format::png}, {"jpeg", format::jpeg}};
  app.add_option(
         "FILES", a.files,
         "IN... OUT: JPEG or PNG, and a file or, for several, a folder, which gets NAME.png of each; - is standard input, "
         "and standard output")
      ->required()
      ->expected(2, -1);
  app.add_option_function<format>(
         "--format", [&a](const format& f) { a.job.format = f; },
         "png, of 1 bit a pixel, or jpeg; without it by the name of OUT, and png in a folder")
      ->transform(CLI::CheckedTransformer(formats))
      ->type_name("FORMAT");
  app.add_option("--quality", a.job.quality, "of a JPEG (90)")->check(CLI::Range(1, 100))->type_name("1..100");
  app.add_option("--most-pixels", a.job.most_pixels, "larger images are refused (100000000)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->type_name("N");
}

void describe_run(CLI::App& app, arguments& a) {
  app.add_option("--jobs", a.jobs, "images at a time; without it as many as there are cores")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  add_progress_options(app, a.progress, a.quiet);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// How far a run is, shared by its threads.
class account {
 public:
  account(std::size_t files, const progress_line& display) : files_(files), display_(display) {}

  void done(std::int64_t pixels) {
    const std::lock_guard lock(mutex_);
    ++done_;
    pixels_ += pixels;
    show();
  }

  void failed(const std::string& sentence) {
    const std::lock_guard lock(mutex_);
    ++failed_;
    display_.clear();
    progress_line::print("sluice-canny: " + sentence + "\n");
    show();
  }

  [[nodiscard]] bool is_whole() const { return failed_ == 0 && done_ == files_; }

  [[nodiscard]] std::string summary() const {
    const double seconds = seconds_since(start_), megapixels = static_cast<double>(pixels_) / 1e6;
    if (display_.form() == progress_form::json)
      return fmt::format("{{\"images\":{},\"failed\":{},\"pixels\":{},\"seconds\":{:.6f}}}\n", done_, failed_, pixels_,
                         seconds);
    return fmt::format("{} of {} images, {:.1f} megapixels in {:.2f} s, {:.1f} a second\n", done_, files_, megapixels,
                       seconds, megapixels / std::max(seconds, 1e-9));
  }

 private:
  // Not more often than the display wants, and not what the summary says.
  void show() {
    const std::size_t gone = done_ + failed_;
    if (display_.form() == progress_form::none || files_ == 1) return;
    if (gone == files_) return display_.clear();
    const double now = seconds_since(start_);
    if (now - shown_ < display_.interval()) return;
    shown_ = now;
    const double part = static_cast<double>(gone) / static_cast<double>(files_);
    const auto words = fmt::format("{} of {} images  {:.1f} megapixels a second  {} left", gone, files_,
                                   static_cast<double>(pixels_) / 1e6 / now, progress_line::duration(now * (1 / part - 1)));
    switch (display_.form()) {
      case progress_form::bar: return progress_line::print(progress_line::bar(part, words));
      case progress_form::lines: return progress_line::print(fmt::format("{:3.0f}%  {}\n", 100 * part, words));
      default:
        progress_line::print(
            fmt::format("{{\"images_done\":{},\"images_failed\":{},\"images_total\":{},\"pixels\":{},\"seconds\":{:.3f}}}\n",
                        done_, failed_, files_, pixels_, now));
    }
  }

  const std::size_t files_;
  const progress_line& display_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::size_t done_ = 0;
  std::size_t failed_ = 0;
  std::int64_t pixels_ = 0;
  double shown_ = 0;
};

int run(const arguments& a, const std::vector<canny_file>& files) {
  std::atomic<bool> stopped{false};
  const interrupt interrupted([&] { stopped = true; });
  const progress_line display(a.quiet ? progress_form::none : a.progress);
  account count(files.size(), display);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i; !stopped && (i = next++) < files.size();) try {
        count.done(find_edges(files[i], a.job));
      } catch (const sluice::error& e) {
        count.failed(files[i].in + ": " + e.what());
        using enum sluice::error_code;
        if (e.code() == unavailable || e.code() == device_lost) next = files.size();  // it is so for the others
      } catch (const std::exception& e) {
        count.failed(e.what());
      }
  };
  {
    std::vector<std::jthread> threads;
    const auto jobs = static_cast<std::size_t>(a.jobs > 0 ? a.jobs : sluice::parallel_size());
    for (std::size_t i = 1; i < std::min(jobs, files.size()); ++i) threads.emplace_back(work);
    work();
  }
  display.clear();
  if (!a.quiet) fmt::print(files[0].out == "-" ? stderr : stdout, "{}", count.summary());
  return stopped ? interrupt::exit_code() : count.is_whole() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_streams();
  arguments a;
  CLI::App app("The edges of images, by Canny's method.", "sluice-canny");
  std::vector<canny_file> files;
  try {
    app.set_version_flag("--version", "sluice-canny " SLUICE_VERSION_STRING);
    describe_files(app, a);
    describe_edges(app, a.job);
    describe_run(app, a);
    app.parse(argc, argv);
    const std::string out = a.files.back();
    a.files.pop_back();
    static_cast<void>(sluice::device(a.job.device));
    for (const double threshold : {a.job.low, a.job.high})
      if (!std::isfinite(threshold))
        throw std::runtime_error(fmt::format("{} is no threshold: it must be finite", threshold));
    if (out == "-" && output_is_terminal())
      throw std::runtime_error("OUT - is an image, and standard output is a terminal: redirect it");
    files = plan_files(a.files, out, a.job.format);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "sluice-canny: {} (--help shows what is taken)\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "sluice-canny: {}\n", e.what());
    return 2;
  }
  return run(a, files);
}

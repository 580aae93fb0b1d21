// Files of images to files of edges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sluice/image.hpp>
#include <sluice/ops/canny.hpp>

struct canny_job {
  double low = 100;
  double high = 200;
  sluice::canny_options canny;
  bool colour = false;  // gradients of three channels
  std::string device = "automatic";
  std::int64_t most_pixels = 100'000'000;
  int quality = 90;
  std::optional<sluice::image::format> format;  // else by OUT's name
};

// Where the edges of one image go. "-" is standard input or output.
struct canny_file {
  std::string in;
  std::string out;
  sluice::image::format format;
};

// OUT is a file for one IN, a folder for more: NAME.png (or .jpg) of each. Throws std::runtime_error where the names do not
// fit together: an output that is an input, or two of one name; a name that says no format; no such folder.
std::vector<canny_file> plan_files(const std::vector<std::string>& ins, const std::string& out,
                                   std::optional<sluice::image::format> format);

// Writes the edges, whole or not at all, and returns the pixels of the image. Throws sluice::error, std::runtime_error.
std::int64_t find_edges(const canny_file& file, const canny_job& job);

// image_peer: what sluice::image takes, asked line by line by image.py and resize.py, so that all take turns. Words are
// separated by tabs:
//   decode CHANNELS FILE TIMES                         FORMAT QUALITY BILEVEL as in encode()
//   encode FORMAT QUALITY BILEVEL FILE.npy TIMES
//   resize HEIGHT WIDTH FILE.npy TIMES OUT.npy         OUT gets the result
//   prepare FILE.npy TIMES OUT.npy                     by the defaults, which are ResNet's
// The answer is the median of the thread's CPU time, or with SLUICE_THREADS above 1 of the clock's, in milliseconds, and the
// bytes or pixels that came out.
#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "sluice/image.hpp"
#include "sluice/npy.hpp"
#include "sluice/ops/resize.hpp"
#include "sluice/parallel.hpp"

namespace {

namespace image = sluice::image;

double milliseconds_now() {
  timespec now{};
  clock_gettime(sluice::parallel_size() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <class F>
std::string timed(int times, F call) {
  std::vector<double> all;
  std::size_t size = 0;
  for (int i = 0; i < times; ++i) {
    const double start = milliseconds_now();
    size = call();
    all.push_back(milliseconds_now() - start);
  }
  std::nth_element(all.begin(), all.begin() + times / 2, all.end());
  return std::to_string(all[static_cast<std::size_t>(times / 2)]) + " " + std::to_string(size);
}

std::string answer(const std::vector<std::string>& words) {
  if (words.at(0) == "decode") {
    std::ifstream file(words.at(2), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    const image::decode_options o{.channels = std::stoi(words.at(1))};
    return timed(std::stoi(words.at(3)), [&] { return image::decode(std::as_bytes(std::span(bytes)), o).bytes(); });
  }
  if (words.at(0) == "resize" || words.at(0) == "prepare") {
    const bool prepares = words.at(0) == "prepare";
    const std::size_t file = prepares ? 1 : 3;
    const auto pixels = sluice::read_npy(words.at(file));
    const auto made = [&] {
      return prepares ? image::prepare(pixels)
                      : sluice::resize(pixels, std::stoll(words.at(1)), std::stoll(words.at(2)), {}, sluice::device::cpu);
    };
    const auto out = sluice::encode_npy(made());
    std::ofstream(words.at(file + 2), std::ios::binary)
        .write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
    return timed(std::stoi(words.at(file + 1)), [&] { return made().bytes(); });
  }
  const auto kind = words.at(1) == "png" ? image::format::png : image::format::jpeg;
  const image::encode_options o{.quality = std::stoi(words.at(2)), .bilevel = words.at(3) == "1"};
  const auto pixels = sluice::read_npy(words.at(4));
  return timed(std::stoi(words.at(5)), [&] { return image::encode(pixels, kind, o).size(); });
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<std::string> words;
    std::istringstream in(line);
    for (std::string word; std::getline(in, word, '\t');) words.push_back(word);
    std::cout << answer(words) << std::endl;
  }
}

// image_peer: what sluice::image takes, asked line by line by image.py, so that all take turns. Words are separated by tabs:
//   decode CHANNELS FILE TIMES                         FORMAT QUALITY BILEVEL as in encode()
//   encode FORMAT QUALITY BILEVEL FILE.npy TIMES
// The answer is the median of the thread's CPU time, in milliseconds, and the bytes or pixels that came out.
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

namespace {

namespace image = sluice::image;

double thread_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <class F>
std::string timed(int times, F call) {
  std::vector<double> all;
  std::size_t size = 0;
  for (int i = 0; i < times; ++i) {
    const double start = thread_milliseconds();
    size = call();
    all.push_back(thread_milliseconds() - start);
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

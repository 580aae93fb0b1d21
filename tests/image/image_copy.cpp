// image_copy <COMMANDS: what sluice::image makes of files, for pillow_test.py. A command is a line, its words separated by
// tabs, and gets a line in answer:
//   describe IN                               width height channels orientation progressive
//   decode CHANNELS ORIENT IN OUT.npy         ok
//   encode FORMAT QUALITY BILEVEL IN.npy OUT  ok
//   prepare SHORT CROP SCALE MEAN STD CHANNELS BGR NHWC IN.npy OUT.npy  ok; of channel c (c + 1) MEAN and (c + 1) STD
// or the reason and the sentence of a refusal.
#include <cstdio>
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

std::vector<char> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
void write(const std::string& path, const T& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::string answer(const std::vector<std::string>& words) {
  const auto& what = words.at(0);
  if (what == "describe") {
    const auto bytes = read(words.at(1));
    const auto d = image::describe(std::as_bytes(std::span(bytes)));
    std::ostringstream out;
    out << name_of(d.kind) << ' ' << d.width << ' ' << d.height << ' ' << d.channels << ' ' << d.orientation << ' '
        << d.progressive;
    return out.str();
  }
  if (what == "decode") {
    const auto bytes = read(words.at(3));
    image::decode_options o;
    o.channels = std::stoi(words.at(1));
    o.orient = words.at(2) == "1";
    write(words.at(4), sluice::encode_npy(image::decode(std::as_bytes(std::span(bytes)), o)));
    return "ok";
  }
  if (what == "prepare") {
    image::preparation p;
    p.resize_short = std::stoll(words.at(1));
    p.crop = std::stoll(words.at(2));
    p.scale = std::stod(words.at(3));
    for (std::size_t c = 0; c < 3; ++c) {
      p.mean[c] = std::stof(words.at(4)) * static_cast<float>(c + 1);
      p.std[c] = std::stof(words.at(5)) * static_cast<float>(c + 1);
    }
    p.channels = std::stoi(words.at(6));
    p.bgr = words.at(7) == "1";
    p.layout = words.at(8) == "1" ? image::layout::nhwc : image::layout::nchw;
    write(words.at(10), sluice::encode_npy(image::prepare(sluice::read_npy(words.at(9)), p)));
    return "ok";
  }
  image::encode_options o;
  o.quality = std::stoi(words.at(2));
  o.bilevel = words.at(3) == "1";
  const auto kind = words.at(1) == "png" ? image::format::png : image::format::jpeg;
  write(words.at(5), image::encode(sluice::read_npy(words.at(4)), kind, o));
  return "ok";
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<std::string> words;
    std::istringstream in(line);
    for (std::string word; std::getline(in, word, '\t');) words.push_back(word);
    try {
      std::cout << answer(words) << std::endl;
    } catch (const image::bad_image& e) {
      std::cout << name_of(e.reason()) << ": " << e.what() << std::endl;
    }
  }
}

// A tensor to a JPEG and a PNG and back; a refusal is caught by its type, which a shared library throws.
#include <cstdio>
#include <string>

#include <sluice/image.hpp>

int main() {
  namespace image = sluice::image;
  const auto grey = sluice::tensor::full({5, 7}, 90, sluice::dtype::u8);
  for (const auto kind : {image::format::jpeg, image::format::png}) {
    const auto bytes = image::encode(grey, kind);
    std::printf("%s %s ", std::string(name_of(kind)).c_str(), image::decode(bytes).shape().str().c_str());
    try {
      image::decode(std::span(bytes).first(bytes.size() - 1));
    } catch (const image::bad_image& e) {
      std::printf("%s\n", std::string(name_of(e.reason())).c_str());
    }
  }
}

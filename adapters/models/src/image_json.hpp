// image.json: that a model takes pictures, and what becomes of one before the model sees it.
//
//     {"resize": 256, "crop": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
//
// resize    pixels of the short side, 0 where the picture keeps its size; 256
// crop      pixels of both sides of the square that is cut from the middle; 224
// scale     what a pixel's value, 0 to 255, is multiplied by; 1/255
// mean, std of each channel: (scale * pixel - mean) / std; those of ImageNet. A grey model's must be given
// channels  "rgb", "bgr" or "grey"; "rgb"
// layout    "nchw" or "nhwc"; "nchw"
// softmax   whether the model's scores are logits; true. false: they are probabilities already
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "sluice/image.hpp"

namespace sluice::serving::models {

struct picture_settings {
  image::preparation prepare{};
  bool softmax = true;
};

// Throws error: malformed for what is no JSON object, a key that is unknown or there twice, and a value that is not of its
// kind or range; `called` begins its sentence.
picture_settings parse_picture_settings(std::string_view json, const std::string& called);

// Of a file; likewise, and io where it cannot be read.
picture_settings read_picture_settings(const std::filesystem::path& file);

}  // namespace sluice::serving::models

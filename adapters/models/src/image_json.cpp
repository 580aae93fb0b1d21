#include "image_json.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "http/text.hpp"
#include "sluice/impl/base/file.hpp"

namespace sluice::serving::models {
namespace {

using simdjson::dom::element;

constexpr std::int64_t largest_side = 8192;

// Takes the keys one by one into the settings.
class reader {
 public:
  explicit reader(const std::string& called) : called_(called) {}

  [[noreturn]] void fail(const std::string& rule) const {
    throw error(error_code::malformed, fmt::format("[models] {}: {}", called_, rule));
  }

  void take(std::string_view key, element value) {
    if (std::find(seen_.begin(), seen_.end(), key) != seen_.end()) fail(fmt::format("{} is there twice", json_string(key)));
    seen_.emplace_back(key);
    auto& p = settings_.prepare;
    if (key == "resize") {
      p.resize_short = side_of(key, value, 0);
    } else if (key == "crop") {
      p.crop = side_of(key, value, 1);
    } else if (key == "scale") {
      p.scale = number_of(key, value);
      if (!(p.scale > 0)) fail(fmt::format("scale is {}: it must be positive", p.scale));
    } else if (key == "mean") {
      mean_ = numbers_of(key, value);
    } else if (key == "std") {
      std_ = numbers_of(key, value);
    } else if (key == "channels") {
      const auto name = one_of(key, value, {"rgb", "bgr", "grey"});
      p.channels = name == "grey" ? 1 : 3;
      p.bgr = name == "bgr";
    } else if (key == "layout") {
      p.layout = one_of(key, value, {"nchw", "nhwc"}) == "nchw" ? image::layout::nchw : image::layout::nhwc;
    } else if (key == "softmax") {
      if (value.get_bool().get(settings_.softmax)) fail("softmax must be true or false");
    } else {
      fail(fmt::format("{} is unknown: there are resize, crop, scale, mean, std, channels, layout and softmax",
                       json_string(shown(key))));
    }
  }

  picture_settings finish() {
    auto& p = settings_.prepare;
    fill("mean", mean_, p.mean);
    fill("std", std_, p.std);
    for (int i = 0; i < p.channels; ++i)
      if (p.std[static_cast<std::size_t>(i)] == 0) fail("std has a 0, and is what channels are divided by");
    return settings_;
  }

 private:
  std::int64_t side_of(std::string_view key, element value, std::int64_t least) const {
    std::int64_t n = 0;
    if (value.get_int64().get(n) || n < least || n > largest_side)
      fail(fmt::format("{} must be an integer, {} to {}", key, least, largest_side));
    return n;
  }

  double number_of(std::string_view key, element value) const {
    double x = 0;
    if (value.get_double().get(x) || !std::isfinite(static_cast<float>(x)))
      fail(fmt::format("{} must be a number, or a list of them, that f32 can hold", key));
    return x;
  }

  std::vector<float> numbers_of(std::string_view key, element value) const {
    simdjson::dom::array all;
    if (value.get_array().get(all)) fail(fmt::format("{} must be a list with a number for each channel", key));
    std::vector<float> numbers;
    for (const auto one : all) numbers.push_back(static_cast<float>(number_of(key, one)));
    return numbers;
  }

  std::string_view one_of(std::string_view key, element value, std::vector<std::string_view> names) const {
    std::string_view name;
    if (value.get_string().get(name) || std::find(names.begin(), names.end(), name) == names.end())
      fail(fmt::format("{} must be \"{}\"", key, fmt::join(names, "\" or \"")));
    return name;
  }

  void fill(std::string_view key, const std::vector<float>& given, std::array<float, 3>& to) const {
    const auto channels = static_cast<std::size_t>(settings_.prepare.channels);
    const bool was_given = std::find(seen_.begin(), seen_.end(), key) != seen_.end();
    if (!was_given && channels == 3) return;
    if (given.size() != channels)
      fail(fmt::format("{} has {} numbers, and there {} {}", key, given.size(), channels == 1 ? "is" : "are",
                       channels == 1 ? "1 channel" : "3 channels"));
    std::copy(given.begin(), given.end(), to.begin());
  }

  const std::string& called_;
  picture_settings settings_{};
  std::vector<float> mean_{}, std_{};
  std::vector<std::string> seen_{};
};

}  // namespace

picture_settings parse_picture_settings(std::string_view json, const std::string& called) {
  reader r(called);
  simdjson::dom::parser parser;
  element whole;
  if (const auto e = parser.parse(json.data(), json.size()).get(whole))
    r.fail(fmt::format("it is not JSON: {}", simdjson::error_message(e)));
  simdjson::dom::object fields;
  if (whole.get_object().get(fields)) r.fail("it must be a JSON object");
  for (const auto& [key, value] : fields) r.take(key, value);
  return r.finish();
}

picture_settings read_picture_settings(const std::filesystem::path& file) {
  constexpr std::size_t most = 64 << 10;
  std::string text;
  if (const auto why = base::read_file(file.string(), most, text); !why.empty())
    throw error(error_code::io, fmt::format("[models] {}: {}", file.string(), why));
  return parse_picture_settings(text, file.string());
}

}  // namespace sluice::serving::models

// What a folder of models holds: NAME/VERSION/model.onnx, with image.json and labels.txt beside the file or in NAME.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::serving::models {

struct found_version {
  std::int64_t number = 0;
  std::filesystem::path file{};                       // model.onnx
  std::optional<std::filesystem::path> image_json{};  // of the version, else of the model
  std::optional<std::filesystem::path> labels{};      // likewise
};

struct found_model {
  std::string name;
  std::vector<found_version> versions;  // ascending
};

// An entry that is not served, relative to the folder, and why.
struct ignored_entry {
  std::string path;
  std::string reason;
};

struct listing {
  std::vector<found_model> models;  // by name
  std::vector<ignored_entry> ignored;
};

// Hidden entries (".name") are passed over; symbolic links are followed as long as they stay within `directory`. Throws
// error (io) where the folder cannot be read.
listing list_models(const std::filesystem::path& directory);

// The model called `name`, which need not have a version; what is ignored in its folder is added to `ignored`. Nothing where
// there is no such folder, or the name has characters that a model's name cannot have.
std::optional<found_model> find_model(const std::filesystem::path& directory, std::string_view name,
                                      std::vector<ignored_entry>& ignored);

}  // namespace sluice::serving::models

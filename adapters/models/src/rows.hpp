// The rows of the catalogue that a loaded model makes.
#pragma once

#include <optional>

#include "folder.hpp"
#include "image_json.hpp"
#include "sessions.hpp"
#include "sluice/service.hpp"

namespace sluice::serving::models {

// How the version takes pictures: by its image.json, or by name; nothing where it does not. Throws error (malformed) for an
// image.json that is wrong.
std::optional<picture_settings> pictures_of(const found_model& m, const found_version& v, const sluice::model& loaded);

// NAME, and NAME_raw where `pictures` are taken. Throws error: malformed where the model's inputs and outputs do not fit its
// image.json or labels.txt; unsupported for names that no endpoint can have.
std::vector<endpoint> rows_of(const found_model& m, const found_version& v, std::shared_ptr<const sessions> on,
                              const std::optional<picture_settings>& pictures);

}  // namespace sluice::serving::models

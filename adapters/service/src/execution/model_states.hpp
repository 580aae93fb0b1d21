// What a model repository says of the models that the catalogue has no row of.
#pragma once

#include <string_view>
#include <vector>

#include "sluice/service.hpp"

namespace sluice::serving {

// Those that are wanted, and are not READY.
std::vector<model_repository::state> missing_models(const model_repository& repository);

// For a model that the catalogue has not: throws http_error, 503 with the reason where it is wanted, 404 with it where it is
// known. An empty version is any. Null: nothing is known.
void check_missing(const model_repository* repository, std::string_view name, std::string_view version = {});

}  // namespace sluice::serving

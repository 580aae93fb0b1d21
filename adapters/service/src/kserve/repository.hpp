// The repository routes of the Open Inference Protocol: what models there are, and clients that load and unload them.
#pragma once

#include "execution/executor.hpp"

namespace sluice::serving {

// GET /v2/models, and POST /v2/repository/index, whose body may ask for those that are ready alone.
std::string model_list_json(executor& e);
std::string model_index_json(executor& e, const body_buffer& body);

// POST /v2/repository/models/NAME/load or unload: returns when it is done. Throws http_error: 501 without a repository, 403
// where it lets no client do so, 404 for a model that it does not know, 400 and 503 with its message.
std::string change_model(executor& e, std::string_view name, bool loads, const body_buffer& body);

}  // namespace sluice::serving

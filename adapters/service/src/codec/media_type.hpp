// Media types: what a request's body is, and what its sender wants back.
#pragma once

#include <string>
#include <string_view>

#include "sluice/config.hpp"

namespace sluice::serving {

enum class media { json, npy, multipart };

// The form of a body by its Content-Type; no header at all counts as JSON. Throws http_error (415), naming what `inputs` inputs
// can come as; a multipart type needs a boundary of 1 to 70 characters.
SLUICE_API media body_media(std::string_view content_type, std::size_t inputs);

// multipart/form-data's boundary.
std::string boundary_of(std::string_view content_type);

// The form of the answer: the one of json and npy that `accept` gives the greater weight; where it has no preference,
// `usual`. Throws http_error (406) when it takes neither, or only .npy of `outputs` != 1 results.
media answer_media(std::string_view accept, media usual, std::size_t outputs);

}  // namespace sluice::serving

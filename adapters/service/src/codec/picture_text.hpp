// A picture's file as base64, in JSON.
#pragma once

#include "codec/codec.hpp"

namespace sluice::serving {

// The picture in `text`, base64 or a data URL of it, which is `input`. Throws error (malformed) for what is no base64, and
// what the file's codec throws.
tensor picture_in(std::string_view text, const field& input, const decode_context& c);

// A string of JSON with the file of a result, in the first media type of pictures, which `media_type` is set to.
std::string picture_text(const endpoint& row, const std::vector<tensor>& results, const encode_context& c,
                         std::string_view& media_type);

}  // namespace sluice::serving

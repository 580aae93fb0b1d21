// Image files in an inference request, and as its outputs.
#pragma once

#include <string>
#include <string_view>

#include "codec/codec.hpp"
#include "kserve/models.hpp"

namespace sluice::serving {

// An input that is one element of BYTES.
struct infer_file {
  std::size_t index;  // of the input
  std::string_view bytes;
  bool base64;
};

// The one element of binary data: its length, in 4 bytes, and its bytes. Throws http_error (400).
std::string_view element_of_bytes(std::string_view data, const std::string& input);

// Once all of the request is read: options may follow the file.
tensor decoded(const infer_file& f, const body_buffer& body, const model& m, const decode_context& c);

// The codec of the files that outputs are to be. Throws http_error (400).
codec& files_codec(const codec_registry& codecs, const model& m, std::string_view type);

}  // namespace sluice::serving

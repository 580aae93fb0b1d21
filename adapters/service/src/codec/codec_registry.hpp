// The codecs that a service has. Messages and documents name the media types that are here.
#pragma once

#include "codec/codec.hpp"

namespace sluice::serving {

class codec_registry {
 public:
  // The first codec added decodes bodies without a Content-Type; the first of one_tensor such parts.
  void add(std::unique_ptr<codec> c) { all_.push_back(std::move(c)); }

  // For a body of a call of `row`. Throws http_error (415).
  [[nodiscard]] codec& for_body(std::string_view content_type, const endpoint& row) const;
  // For a part of multipart/form-data that is `input`; without a type, or of application/octet-stream, by how its `bytes`
  // begin. Throws http_error (415).
  [[nodiscard]] codec& for_part(std::string_view content_type, const field& input, std::string_view bytes) const;
  // For a picture's file, by how it begins; the first of pictures where none recognises it. Null: there is none.
  [[nodiscard]] codec* for_picture(std::string_view bytes) const;
  // For the answer: what Accept prefers; where it has no preference, the request's own codec, or what suits a picture
  // better. Throws http_error (406).
  [[nodiscard]] codec& for_answer(std::string_view accept, codec& of_request, const endpoint& row) const;

  [[nodiscard]] const std::vector<std::unique_ptr<codec>>& all() const noexcept { return all_; }
  [[nodiscard]] std::vector<std::string_view> part_types(const field& input) const;

 private:
  std::vector<std::unique_ptr<codec>> all_;
};

codec_registry standard_codecs();

}  // namespace sluice::serving

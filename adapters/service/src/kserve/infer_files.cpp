#include "kserve/infer_files.hpp"

#include <cstring>

#include "codec/codec_registry.hpp"
#include "codec/picture_text.hpp"
#include "kserve/json_fields.hpp"

namespace sluice::serving {

std::string_view element_of_bytes(std::string_view data, const std::string& input) {
  std::uint32_t size = 0;
  if (data.size() >= sizeof size) std::memcpy(&size, data.data(), sizeof size);
  if (data.size() != sizeof size + std::uint64_t{size})
    fail_v2(fmt::format("the input {} has a binary_data_size of {}: its one element of BYTES takes 4 bytes for its length, "
                        "and {} by that length",
                        input, data.size(), size),
            error_code::malformed);
  return data.substr(sizeof size);
}

tensor decoded(const infer_file& f, const body_buffer& body, const model& m, const decode_context& c) {
  const field& input = m.row->inputs[f.index];
  if (f.base64) return picture_in(f.bytes, input, c);
  codec& by = *c.codecs.for_picture(f.bytes);
  return by.decode({body, f.bytes, {}, input.name}, {&input, 1}, c).at(0);
}

codec& files_codec(const codec_registry& codecs, const model& m, std::string_view type) {
  std::string given;
  for (const auto& c : codecs.all()) {
    if (!c->is_of_pictures()) continue;
    if (c->media_type() == type) return *c;
    given += fmt::format("{}{}", given.empty() ? "" : " or ", c->media_type());
  }
  fail_v2(fmt::format("{} is {}: outputs of {} are UINT8 without it, or BYTES of {}", accept_key, json_string(shown(type)),
                      m.name(), given));
}

}  // namespace sluice::serving

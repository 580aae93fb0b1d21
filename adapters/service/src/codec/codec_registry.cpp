#include "codec/codec_registry.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/media_type.hpp"
#include "execution/result_limits.hpp"
#include "http/http_error.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

bool has_type(const codec& c, std::string_view type) {
  const auto types = c.media_types();
  return std::find(types.begin(), types.end(), type) != types.end();
}

bool is_for(const std::unique_ptr<codec>& c, const field& f) { return c->carries() == payload::one_tensor && c->suits(f); }

// "application/json, application/x-npy or multipart/form-data, ..."
std::string listed(const std::vector<std::string_view>& types) {
  std::string all;
  for (std::size_t i = 0; i < types.size(); ++i)
    all += fmt::format("{}{}", i == 0 ? "" : i + 1 == types.size() ? " or " : ", ", types[i]);
  return all;
}

}  // namespace

// A line for each codec.
codec_registry standard_codecs() {
  codec_registry codecs;
  codecs.add(json_codec());
  codecs.add(npy_codec());
  codecs.add(npz_codec());
  codecs.add(multipart_codec());
#if SLUICE_SERVICE_IMAGE
  codecs.add(png_codec());
  codecs.add(jpeg_codec());
#endif
  return codecs;
}

bool has_image_codecs() noexcept { return SLUICE_SERVICE_IMAGE; }

codec& codec_registry::for_body(std::string_view content_type, const endpoint& row) const {
  for (const auto& c : all_)  // as most clients write it
    if (has_type(*c, content_type) && c->takes(row)) return *c;
  const std::string type = main_value(content_type);
  if (type.empty()) return *all_.front();
  std::vector<std::string_view> taken;
  bool parts = false;
  for (const auto& c : all_) {
    if (!c->takes(row)) continue;
    if (has_type(*c, type)) return *c;
    taken.push_back(c->media_type());
    parts = parts || c->carries() == payload::parts;
  }
  std::string sentence =
      fmt::format("[http] Content-Type is \"{}\": this endpoint takes {}", shown(content_type), listed(taken));
  if (parts)
    sentence += fmt::format(" with a part of {} for each of its {} input{}", listed(part_types(row.inputs[0])),
                            row.inputs.size(), row.inputs.size() == 1 ? "" : "s");
  throw http_error{415, "unsupported_media_type", sentence};
}

codec& codec_registry::for_part(std::string_view content_type, const field& input, std::string_view bytes) const {
  const std::string type = main_value(content_type);
  const bool any = type.empty() || type == "application/octet-stream";
  codec* first = nullptr;
  for (const auto& c : all_) {
    if (!is_for(c, input)) continue;
    if (any ? c->recognises(bytes) : has_type(*c, type)) return *c;
    if (first == nullptr) first = c.get();
  }
  if (any && first != nullptr) return *first;
  throw http_error{415, "unsupported_media_type",
                   fmt::format("[multipart] the part {} has the Content-Type \"{}\": {} is taken", json_string(input.name),
                               shown(content_type), listed(part_types(input)))};
}

codec* codec_registry::for_picture(std::string_view bytes) const {
  codec* first = nullptr;
  for (const auto& c : all_) {
    if (!c->is_of_pictures()) continue;
    if (c->recognises(bytes)) return c.get();
    if (first == nullptr) first = c.get();
  }
  return first;
}

codec& codec_registry::for_answer(std::string_view accept, codec& of_request, const endpoint& row) const {
  std::vector<std::string_view> types;
  std::vector<codec*> codecs;
  std::size_t usual = 0;
  // Parts have no answer of their kind: what they hold by default has, and pictures have one that keeps them as they are.
  // Records are JSON's.
  const bool own = of_request.gives(row) && of_request.answers_in_kind(row);
  if (accept.empty() && own) return of_request;
  bool found = false, of_pictures = false;
  for (const auto& c : all_) {
    if (!c->gives(row)) continue;
    const bool better =
        own ? c.get() == &of_request : c->carries() == payload::one_tensor && c->is_of_pictures() > of_pictures;
    if (better || (!own && !found && row.records.empty() && c->carries() == payload::one_tensor)) {
      found = true;
      of_pictures = c->is_of_pictures();
      usual = types.size();
    }
    types.push_back(c->media_type());
    codecs.push_back(c.get());
  }
  return *codecs[accepted_type(accept, types, usual)];
}

std::vector<std::string_view> codec_registry::part_types(const field& input) const {
  std::vector<std::string_view> types;
  for (const auto& c : all_)
    if (is_for(c, input)) types.push_back(c->media_type());
  return types;
}

std::vector<body_piece> codec::encode(const endpoint& row, const std::vector<tensor>&, const encode_context&) {
  throw error(error_code::internal, fmt::format("[{}] {} has no encoder", row.name, media_type()));
}

encoded_size codec::size_of(const endpoint&, std::span<const operand_spec> results, const service_limits&) const {
  return {.results = bytes_of(results)};
}

std::optional<content> codec::describe_request(document&, const endpoint& row, const service_limits&,
                                               const codec_registry&) const {
  if (!takes(row)) return std::nullopt;
  return content{.type = std::string(media_type())};
}

std::optional<content> codec::describe_answer(document&, const endpoint& row) const {
  if (!gives(row)) return std::nullopt;
  return content{.type = std::string(media_type())};
}

}  // namespace sluice::serving

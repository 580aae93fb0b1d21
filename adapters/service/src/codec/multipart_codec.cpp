// multipart/form-data: a part for each input, named after it, in the media type that its own Content-Type names.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "codec/codec_registry.hpp"
#include "codec/json_schema.hpp"
#include "codec/media_type.hpp"
#include "codec/multipart_reader.hpp"
#include "http/http_error.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

[[noreturn]] void fail(const std::string& sentence) { throw error(error_code::invalid_argument, "[multipart] " + sentence); }

std::string boundary_of(std::string_view content_type) {
  auto boundary = parameter_of(content_type, "boundary").value_or("");
  if (const auto size = boundary.size(); size < 1 || size > 70)
    throw http_error{400, "malformed",
                     fmt::format("[http] multipart/form-data has a boundary of {} characters: 1 to 70 are allowed", size)};
  return boundary;
}

class multipart_bodies final : public codec {
 public:
  std::span<const std::string_view> media_types() const noexcept override {
    static constexpr std::string_view types[] = {"multipart/form-data"};
    return types;
  }
  payload carries() const override { return payload::parts; }
  bool uses_body_memory() const override { return true; }
  bool has_encoder() const override { return false; }

  std::vector<tensor> decode(const encoded& from, std::span<const field> inputs, const decode_context& c) override {
    std::vector<std::optional<tensor>> read(inputs.size());
    bool precision_read = false;
    multipart_reader parts(from.bytes, boundary_of(from.content_type));
    while (const auto part = parts.next()) {
      const auto input = std::find_if(inputs.begin(), inputs.end(), [&](const field& f) { return f.name == part->name; });
      const auto name = json_string(shown(part->name));
      if (part->name == precision_key && c.precision.is_choice()) {
        if (std::exchange(precision_read, true)) fail(fmt::format("the part {} is there twice", name));
        c.precision.ask(parts.bytes_of(*part, 0));
        continue;
      }
      if (input == inputs.end()) fail(fmt::format("the part {} is not known to {}", name, c.endpoint));
      auto& value = read[static_cast<std::size_t>(input - inputs.begin())];
      if (value) fail(fmt::format("the part {} is there twice", name));
      const auto called = fmt::format("the part {}", name);
      codec& one = c.codecs.for_part(part->content_type, part->name);
      const auto bytes = parts.bytes_of(*part, one.expected_size(part->rest));
      value = one.decode({from.body, bytes, part->content_type, called}, {input, 1}, c).at(0);
    }
    std::vector<tensor> all;
    for (std::size_t i = 0; i < read.size(); ++i) {
      if (!read[i]) fail(fmt::format("the part {} is missing: {} needs it", json_string(inputs[i].name), c.endpoint));
      all.push_back(std::move(*read[i]));
    }
    return all;
  }

  std::optional<content> describe_request(document&, const endpoint& row, const service_limits&,
                                          const codec_registry& codecs) const override {
    std::vector<json_value> forms;
    for (const auto type : codecs.part_types())
      forms.push_back(json_object({{"type", "string"}, {"contentMediaType", type}}));
    json_members parts;
    for (const auto& f : row.inputs)
      parts.emplace_back(f.name, forms.size() == 1 ? forms[0] : json_object({{"anyOf", json_array(forms)}}));
    if (!row.precisions.empty()) parts.emplace_back(precision_key, precision_schema(row.precisions));
    return content{.type = std::string(media_type()), .schema = object_schema(names_of(row.inputs), parts)};
  }
};

}  // namespace

std::unique_ptr<codec> multipart_codec() { return std::make_unique<multipart_bodies>(); }

}  // namespace sluice::serving

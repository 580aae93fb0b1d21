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
  bool decompresses(const endpoint& row) const override { return takes_pictures(row); }
  bool has_encoder() const override { return false; }

  std::vector<tensor> decode(const encoded& from, std::span<const field> inputs, const decode_context& c) override {
    std::vector<std::optional<tensor>> read(inputs.size());
    std::vector<std::string> options_read;
    std::vector<waiting> pictures;
    multipart_reader parts(from.bytes, boundary_of(from.content_type));
    while (const auto part = parts.next()) {
      const auto input = std::find_if(inputs.begin(), inputs.end(), [&](const field& f) { return f.name == part->name; });
      const auto name = json_string(shown(part->name));
      if (c.options.knows(part->name)) {
        if (std::find(options_read.begin(), options_read.end(), part->name) != options_read.end())
          fail(fmt::format("the part {} is there twice", name));
        c.options.ask(part->name, parts.bytes_of(*part, 0));
        options_read.push_back(part->name);
        continue;
      }
      if (input == inputs.end()) fail(fmt::format("the part {} is not known to {}", name, c.endpoint));
      const auto at = static_cast<std::size_t>(input - inputs.begin());
      const auto is_this = [&](const waiting& w) { return w.at == at; };
      if (read[at] || std::any_of(pictures.begin(), pictures.end(), is_this))
        fail(fmt::format("the part {} is there twice", name));
      codec& one = c.codecs.for_part(part->content_type, *input, part->rest);
      const auto bytes = parts.bytes_of(*part, one.expected_size(part->rest));
      if (one.is_of_pictures())
        pictures.push_back({at, one, bytes, part->content_type});
      else
        read[at] = decoded(from.body, one, bytes, part->content_type, *input, c);
    }
    for (const auto& p : pictures) read[p.at] = decoded(from.body, p.by, p.bytes, p.content_type, inputs[p.at], c);
    std::vector<tensor> all;
    for (std::size_t i = 0; i < read.size(); ++i) {
      if (!read[i]) fail(fmt::format("the part {} is missing: {} needs it", json_string(inputs[i].name), c.endpoint));
      all.push_back(std::move(*read[i]));
    }
    return all;
  }

  std::optional<content> describe_request(document&, const endpoint& row, const service_limits&,
                                          const codec_registry& codecs) const override {
    json_members parts;
    for (const auto& f : row.inputs) {
      std::vector<json_value> forms;
      for (const auto type : codecs.part_types(f))
        forms.push_back(json_object({{"type", "string"}, {"contentMediaType", type}}));
      parts.emplace_back(f.name, forms.size() == 1 ? forms[0] : json_object({{"anyOf", json_array(forms)}}));
    }
    for (auto& option : option_members(row)) parts.push_back(std::move(option));
    return content{.type = std::string(media_type()), .schema = object_schema(names_of(row.inputs), parts)};
  }

 private:
  // A picture that is decoded when all options are read: they may follow it.
  struct waiting {
    std::size_t at;  // of the inputs
    codec& by;
    std::string_view bytes, content_type;
  };

  static tensor decoded(const body_buffer& body, codec& by, std::string_view bytes, std::string_view content_type,
                        const field& input, const decode_context& c) {
    const auto called = fmt::format("the part {}", json_string(input.name));
    return by.decode({body, bytes, content_type, called}, {&input, 1}, c).at(0);
  }
};

}  // namespace

std::unique_ptr<codec> multipart_codec() { return std::make_unique<multipart_bodies>(); }

}  // namespace sluice::serving

// image/png and image/jpeg: one picture, u8 (H, W, 1) or (H, W, 3), by sluice::image.
#include <array>

#include <fmt/format.h>

#include "codec/codec.hpp"
#include "codec/json_schema.hpp"
#include "http/http_error.hpp"
#include "sluice/image.hpp"

namespace sluice::serving {
namespace {

// What a client did wrong where its file is not decoded: the only place that tells.
[[noreturn]] void refuse(const image::bad_image& e, const encoded& from) {
  using enum image::refusal;
  const auto sentence = fmt::format("{} ({} of {} bytes)", e.what(), from.called, from.bytes.size());
  switch (e.reason()) {
    case unrecognised:
    case unsupported: throw http_error{415, "unsupported_media_type", sentence};
    case too_large: throw http_error{413, "limit_exceeded", sentence};
    case truncated: throw http_error{422, "truncated", sentence};
    case corrupt: break;
  }
  throw http_error{422, "corrupt", sentence};
}

class image_files : public codec {
 public:
  explicit image_files(image::format f) : format_(f) {}

  payload carries() const override { return payload::one_tensor; }
  bool decompresses(const endpoint&) const override { return true; }
  bool is_of_pictures() const override { return true; }

  // Of either format, whatever the body is called: browsers and tools name files by their endings.
  std::vector<tensor> decode(const encoded& from, std::span<const field>, const decode_context& c) override try {
    const auto bytes = std::as_bytes(std::span(from.bytes));
    const auto about = image::describe(bytes);
    const int channels = c.options.channels();
    const auto home = c.memory.choose(about.width * about.height * channels);
    return {image::decode(bytes, {.channels = channels, .most_pixels = c.limits.pixels}, home.where, home.kind)};
  } catch (const image::bad_image& e) {
    refuse(e, from);
  }

  std::vector<body_piece> encode(const endpoint& row, const std::vector<tensor>& results, const encode_context&) override {
    const tensor& t = results[0];
    const bool grey = t.rank() == 2 || (t.rank() == 3 && (t.extent(2) == 1 || t.extent(2) == 3));
    if (!grey || t.dtype() != dtype::u8 || t.count() == 0)
      throw http_error{406, "not_acceptable",
                       fmt::format("[{}] the result is {} {}: {} holds one picture of u8, (H, W) or (H, W, 3); ask for "
                                   "application/json or application/x-npy",
                                   row.name, name_of(t.dtype()), t.shape().str(), media_type())};
    const bool bilevel = format_ == image::format::png && row.outputs[0].kind == field_kind::mask;
    const auto held = std::make_shared<const std::vector<std::byte>>(image::encode(t, format_, {.bilevel = bilevel}));
    return {{std::string_view(reinterpret_cast<const char*>(held->data()), held->size()), held}};
  }

  encoded_size size_of(const endpoint&, std::span<const operand_spec> results, const service_limits&) const override {
    constexpr std::int64_t head = 4096;
    return {.text = head + 2 * results[0].shape.count(), .exact = true};
  }

  std::optional<content> describe_request(document&, const endpoint& row, const service_limits& limits,
                                          const codec_registry&) const override {
    if (!takes(row)) return std::nullopt;
    return content{.type = std::string(media_type()),
                   .schema = json_object({{"type", "string"},
                                          {"contentMediaType", media_type()},
                                          {"description", fmt::format("A picture of at most {} pixels", limits.pixels)}})};
  }

 private:
  const image::format format_;
};

class png_files final : public image_files {
 public:
  png_files() : image_files(image::format::png) {}
  std::span<const std::string_view> media_types() const noexcept override {
    static constexpr std::string_view types[] = {"image/png"};
    return types;
  }
  bool recognises(std::string_view bytes) const override { return bytes.starts_with("\x89PNG"); }
};

class jpeg_files final : public image_files {
 public:
  jpeg_files() : image_files(image::format::jpeg) {}
  std::span<const std::string_view> media_types() const noexcept override {
    static constexpr std::string_view types[] = {"image/jpeg", "image/jpg"};
    return types;
  }
  bool recognises(std::string_view bytes) const override { return bytes.starts_with("\xff\xd8"); }
  // JPEG blurs two values into many.
  bool answers_in_kind(const endpoint& row) const override { return row.outputs[0].kind != field_kind::mask; }
};

}  // namespace

std::unique_ptr<codec> png_codec() { return std::make_unique<png_files>(); }
std::unique_ptr<codec> jpeg_codec() { return std::make_unique<jpeg_files>(); }

}  // namespace sluice::serving

// A codec: bytes of one media type to tensors, and back. A new one is a class in a file of its own and a line in
// codec_registry.cpp:
//
//     class csv_codec final : public codec {
//       std::span<const std::string_view> media_types() const noexcept override { return types; }  // {"text/csv"}
//       payload carries() const override { return payload::one_tensor; }
//       std::vector<tensor> decode(const encoded& from, std::span<const field>, const decode_context& c) override {
//         return {table_in(from.bytes, c.limits)};
//       }
//       std::vector<body_piece> encode(const endpoint&, const std::vector<tensor>& results, const encode_context&) override
//       {
//         return {body_piece::of(csv_of(results[0]))};
//       }
//     };
#pragma once

#include <optional>

#include "codec/body_buffer.hpp"
#include "codec/call_options.hpp"
#include "codec/encoded_size.hpp"
#include "codec/print_lists.hpp"
#include "openapi/document.hpp"

namespace sluice::serving {

class codec_registry;

// Bytes to decode: a body, or a part of one.
struct encoded {
  const body_buffer& body;  // which holds them
  std::string_view bytes;
  std::string_view content_type = {};    // as the client wrote it, with its parameters
  std::string_view called = "the body";  // in messages
};

struct decode_context {
  std::string_view endpoint;  // its name, for messages
  const service_limits& limits;
  const host_allocator& memory;  // for tensors that do not use the body's
  const codec_registry& codecs;
  asked_options& options;  // a body may ask for some beside its inputs
  bool& as_text;           // set where a picture came as text in JSON: its answer in JSON does likewise
};

struct encode_context {
  std::string_view device;     // that computed the results
  std::string_view precision;  // empty: the endpoint gives no choice
  nonfinite numbers = nonfinite::refuse;
  const codec_registry& codecs;
  bool as_text = false;  // JSON holds pictures as base64
};

// What a body holds: one tensor; all of an endpoint's inputs, or outputs; or parts, each of which holds one tensor in a
// media type of its own.
enum class payload { one_tensor, all_fields, parts };

class codec {
 public:
  codec() = default;
  virtual ~codec() = default;
  codec(const codec&) = delete;
  codec& operator=(const codec&) = delete;

  // The first is the one that answers have, and that messages and documents name.
  [[nodiscard]] virtual std::span<const std::string_view> media_types() const noexcept = 0;
  [[nodiscard]] virtual payload carries() const = 0;
  // Whether its tensors may lie in the body's memory, which is then chosen for the device that computes.
  [[nodiscard]] virtual bool uses_body_memory() const { return false; }
  // Whether few bytes may be many: then no body is short, and a worker decodes it.
  [[nodiscard]] virtual bool decompresses(const endpoint& row) const {
    static_cast<void>(row);
    return false;
  }
  // Whether it is of image files: for fields that are pictures.
  [[nodiscard]] virtual bool is_of_pictures() const { return false; }
  // Whether `bytes` begin as its files do; false for one that cannot tell.
  [[nodiscard]] virtual bool recognises(std::string_view bytes) const {
    static_cast<void>(bytes);
    return false;
  }
  // Whether an answer keeps its form unless Accept asks for another.
  [[nodiscard]] virtual bool answers_in_kind(const endpoint& row) const {
    static_cast<void>(row);
    return true;
  }
  [[nodiscard]] virtual bool has_encoder() const { return true; }

  // The size of a body that begins with `bytes`, where its header tells it; 0: it does not. The end of a part is then looked
  // for there first, and not in all of its bytes.
  [[nodiscard]] virtual std::size_t expected_size(std::string_view bytes) const {
    static_cast<void>(bytes);
    return 0;
  }

  // A tensor for each of `inputs`, in their order: of one_tensor codecs there is one input. Called by several threads at
  // once. Throws error: malformed, invalid_argument, limit_exceeded, unsupported.
  virtual std::vector<tensor> decode(const encoded& from, std::span<const field> inputs, const decode_context& c) = 0;
  // `results`, on the CPU, as `row` names them. Throws http_error: 422 for values, 406 for types, that it cannot express.
  virtual std::vector<body_piece> encode(const endpoint& row, const std::vector<tensor>& results, const encode_context& c);
  // What encode() of such results of `row` gives holds in memory. Throws error (limit_exceeded) where their form is too
  // large whatever their elements.
  [[nodiscard]] virtual encoded_size size_of(const endpoint& row, std::span<const operand_spec> results,
                                             const service_limits& limits) const;

  // Bodies of requests to `row` and of its answers, for the service's document; nothing where there are none in this form.
  [[nodiscard]] virtual std::optional<content> describe_request(document& d, const endpoint& row,
                                                                const service_limits& limits,
                                                                const codec_registry& codecs) const;
  [[nodiscard]] virtual std::optional<content> describe_answer(document& d, const endpoint& row) const;

  [[nodiscard]] std::string_view media_type() const { return media_types().front(); }
  [[nodiscard]] bool takes(const endpoint& row) const { return suits(row.inputs); }
  [[nodiscard]] bool gives(const endpoint& row) const { return has_encoder() && suits(row.outputs); }
  [[nodiscard]] bool suits(const field& f) const { return !is_of_pictures() || f.kind != field_kind::numbers; }

 private:
  [[nodiscard]] bool suits(const std::vector<field>& fields) const {
    return carries() != payload::one_tensor || (fields.size() == 1 && suits(fields[0]));
  }
};

std::unique_ptr<codec> json_codec();
std::unique_ptr<codec> npy_codec();
std::unique_ptr<codec> npz_codec();
std::unique_ptr<codec> multipart_codec();
// Of image files, where sluice::image was built.
std::unique_ptr<codec> png_codec();
std::unique_ptr<codec> jpeg_codec();

// Whether image files are read and written, and why not.
bool has_image_codecs() noexcept;
inline constexpr std::string_view no_image_codecs = "built without sluice::image, which reads and writes JPEG and PNG";

}  // namespace sluice::serving

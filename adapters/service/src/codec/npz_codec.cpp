// application/zip: an .npz, NumPy's archive, with a member for each input, named after it. A stored member's tensor lies in
// the body's own memory, as an .npy's does.
#include <algorithm>

#include <fmt/format.h>

#include "codec/codec_registry.hpp"
#include "codec/json_schema.hpp"
#include "http/http_error.hpp"
#include "http/text.hpp"
#include "sluice/npy.hpp"

namespace sluice::serving {
namespace {

[[noreturn]] void fail(const std::string& sentence) { throw error(error_code::invalid_argument, "[npz] " + sentence); }

std::vector<npz_member> members_of(std::span<const std::byte> archive) try {
  return npz_members(archive);
} catch (const error& e) {
  if (e.code() != error_code::unsupported) throw;
  throw http_error{422, "unsupported", e.what()};
}

class npz_bodies final : public codec {
 public:
  std::span<const std::string_view> media_types() const noexcept override {
    static constexpr std::string_view types[] = {"application/zip", "application/x-zip-compressed"};
    return types;
  }
  payload carries() const override { return payload::all_fields; }
  bool uses_body_memory() const override { return true; }
  bool decompresses(const endpoint&) const override { return true; }
  bool has_encoder() const override { return false; }

  std::vector<tensor> decode(const encoded& from, std::span<const field> inputs, const decode_context& c) override {
    const auto archive = std::as_bytes(std::span(from.bytes));
    const auto members = members_of(archive);
    const auto for_input = [&](const npz_member& m) {
      return std::find_if(inputs.begin(), inputs.end(), [&](const field& f) { return f.name == m.name; });
    };
    std::int64_t bytes = 0;  // each has at most 1,032 times the archive's, and they are few
    for (const auto& m : members) {
      if (for_input(m) == inputs.end())
        fail(fmt::format("the member {} is not known to {}", shown_name(m.name), c.endpoint));
      bytes += m.bytes;
    }
    if (bytes > c.limits.body_bytes)
      throw error(error_code::limit_exceeded,
                  fmt::format("[npz] the members have {} bytes: at most {} are taken", bytes, c.limits.body_bytes));
    std::vector<tensor> all;
    for (const auto& f : inputs) {
      const auto m = std::find_if(members.begin(), members.end(), [&](const npz_member& x) { return x.name == f.name; });
      if (m == members.end()) fail(fmt::format("the member {} is missing: {} needs it", shown_name(f.name), c.endpoint));
      all.push_back(tensor_of(*m, f, from, archive, c));
    }
    return all;
  }

  std::optional<content> describe_request(document&, const endpoint& row, const service_limits&,
                                          const codec_registry&) const override {
    std::string names;
    for (const auto& f : row.inputs) names += fmt::format("{}{}.npy", names.empty() ? "" : ", ", f.name);
    return content{.type = std::string(media_type()),
                   .schema = json_object({{"type", "string"},
                                          {"contentMediaType", media_type()},
                                          {"description", fmt::format("An .npz whose members are {}", names)}})};
  }

 private:
  static std::string shown_name(std::string_view name) { return json_string(shown(name)); }

  static tensor tensor_of(const npz_member& m, const field& input, const encoded& from, std::span<const std::byte> archive,
                          const decode_context& c) {
    const auto called = fmt::format("the member {}", shown_name(m.name));
    codec& npy = c.codecs.for_part("application/x-npy", input, {});
    const auto size = static_cast<std::size_t>(m.bytes);
    if (!m.compressed) {
      const auto bytes = from.bytes.substr(static_cast<std::size_t>(m.offset), size);
      unpack_npz(archive, m, std::as_writable_bytes(std::span(const_cast<char*>(bytes.data()), size)));  // its CRC alone
      return npy.decode({from.body, bytes, npy.media_type(), called}, {&input, 1}, c).at(0);
    }
    const auto unpacked = body_buffer::filled(
        size, c.memory, [&](std::span<char> out) { unpack_npz(archive, m, std::as_writable_bytes(out)); });
    return npy.decode({unpacked, {unpacked.data(), size}, npy.media_type(), called}, {&input, 1}, c).at(0);
  }
};

}  // namespace

std::unique_ptr<codec> npz_codec() { return std::make_unique<npz_bodies>(); }

}  // namespace sluice::serving

#include "codec/npy_decoder.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "sluice/npy.hpp"
#include "http/http_error.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

// Bytes before a part's blank line.
constexpr std::size_t part_header_limit = 8192;

[[noreturn]] void fail(const std::string& sentence) { throw error(error_code::malformed, sentence); }

npy_header header_of(std::string_view bytes, const service_limits& limits) try {
  const auto h = parse_npy_header(std::as_bytes(std::span(bytes.substr(0, npy_header_limit))));
  if (!h) fail(fmt::format("[npy] {} bytes end inside the header", bytes.size()));
  if (h->shape.count() > limits.elements)
    throw error(error_code::limit_exceeded, fmt::format("[npy] shape {} has {} elements: at most {} are taken",
                                                        h->shape.str(), h->shape.count(), limits.elements));
  if (h->shape.rank() > limits.rank)
    throw error(error_code::invalid_argument, fmt::format("[npy] shape {} has rank {}: at most {} is taken", h->shape.str(),
                                                          h->shape.rank(), limits.rank));
  return *h;
} catch (const error& e) {
  if (e.code() != error_code::unsupported) throw;
  throw http_error{422, "unsupported", e.what()};
}

std::size_t size_of(const npy_header& h) { return static_cast<std::size_t>(h.data_offset + h.data_bytes()); }

// The tensor of `h`, whose .npy begins at `at`.
tensor tensor_at(const npy_header& h, const char* at, const body_buffer& body) {
  const strides steps = h.fortran_order ? column_major(h.shape) : row_major(h.shape);
  return body.tensor_at(at + h.data_offset, h.dtype, h.shape, steps);
}

// The value of form-data's name="...".
std::string_view name_in(std::string_view disposition) {
  for (std::size_t at = 0; (at = disposition.find("name=\"", at)) != disposition.npos; at += 6) {
    if (at == 0 || (disposition[at - 1] != ' ' && disposition[at - 1] != ';')) continue;
    const auto begin = at + 6;
    return disposition.substr(begin, std::min(disposition.find('"', begin), disposition.size()) - begin);
  }
  return {};
}

class multipart_reader {
 public:
  multipart_reader(const body_buffer& body, const std::string& boundary)
      : rest_(body.data(), body.size()), boundary_("\r\n--" + boundary) {
    const auto first = std::string_view(boundary_).substr(2);
    if (!rest_.starts_with(first)) fail(fmt::format("[multipart] the body does not begin with --{}", shown(boundary)));
    rest_.remove_prefix(first.size());
  }

  // Moves to the next part and gives its name, or nothing at the end.
  std::optional<std::string> next() {
    ++part_;
    if (rest_.starts_with("--")) return std::nullopt;
    const auto head = rest_.substr(0, part_header_limit);
    const auto end = head.find("\r\n\r\n");
    if (!rest_.starts_with("\r\n") || end == head.npos)
      fail(fmt::format("[multipart] part {} has no blank line in its first {} bytes", part_, head.size()));
    std::string name;
    for (auto lines = head.substr(2, end); !lines.empty();) {
      const auto line = lines.substr(0, lines.find("\r\n"));
      lines.remove_prefix(std::min(lines.size(), line.size() + 2));
      const auto colon = line.find(':');
      if (colon != line.npos && same_ignoring_case(line.substr(0, colon), "Content-Disposition"))
        name = name_in(line.substr(colon + 1));
    }
    if (name.empty()) fail(fmt::format("[multipart] part {} has no Content-Disposition with a name", part_));
    rest_.remove_prefix(end + 4);
    return name;
  }

  [[nodiscard]] std::string_view content() const noexcept { return rest_; }  // and what follows it

  void skip(std::size_t size, const std::string& name) {
    if (rest_.size() < size || !rest_.substr(size).starts_with(boundary_))
      fail(fmt::format("[multipart] part {} is an .npy of {} bytes by its header, and does not end there", shown(name),
                       size));
    rest_.remove_prefix(size + boundary_.size());
  }

 private:
  std::string_view rest_;
  const std::string boundary_;
  int part_ = 0;
};

}  // namespace

std::vector<tensor> decode_npy_body(const body_buffer& body, const service_limits& limits) {
  const auto h = header_of({body.data(), body.size()}, limits);
  if (size_of(h) != body.size())
    fail(fmt::format("[npy] the body has {} bytes, and by its header of shape {} of {} it should have {}", body.size(),
                     h.shape.str(), name_of(h.dtype), size_of(h)));
  return {tensor_at(h, body.data(), body)};
}

std::vector<tensor> decode_multipart(const body_buffer& body, const std::string& boundary, const endpoint& row,
                                     const service_limits& limits) {
  std::vector<std::optional<tensor>> read(row.inputs.size());
  multipart_reader parts(body, boundary);
  while (const auto name = parts.next()) {
    const auto input = std::find_if(row.inputs.begin(), row.inputs.end(), [&](const field& f) { return f.name == *name; });
    if (input == row.inputs.end())
      throw error(error_code::invalid_argument,
                  fmt::format("[multipart] the part {} is not known to {}", json_string(shown(*name)), row.name));
    auto& slot = read[static_cast<std::size_t>(input - row.inputs.begin())];
    if (slot)
      throw error(error_code::invalid_argument, fmt::format("[multipart] the part {} is there twice", json_string(*name)));
    const auto h = header_of(parts.content(), limits);
    const char* const at = parts.content().data();
    parts.skip(size_of(h), *name);
    slot = tensor_at(h, at, body);
  }
  std::vector<tensor> inputs;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (!read[i])
      throw error(error_code::invalid_argument,
                  fmt::format("[multipart] the part {} is missing: {} needs it", json_string(row.inputs[i].name), row.name));
    inputs.push_back(std::move(*read[i]));
  }
  return inputs;
}

}  // namespace sluice::serving

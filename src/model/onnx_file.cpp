#include "onnx_file.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <system_error>

#include <fmt/format.h>

#include "protobuf.hpp"
#include "sluice/error.hpp"
#include "sluice/impl/base/file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

// What a message of ONNX is, as far as a tensor may be below it.
enum class message {
  model,
  graph,
  node,
  attribute,
  tensor,
  sparse_tensor,
  function,
  training,
  entry,  // of a tensor's external data
};

struct child {
  message of;
  std::uint32_t number;  // the field
  message is;
};

// Fields by their numbers in onnx.proto.
constexpr child children[] = {
    {message::model, 7, message::graph},
    {message::model, 20, message::training},
    {message::model, 25, message::function},
    {message::graph, 1, message::node},
    {message::graph, 5, message::tensor},
    {message::graph, 15, message::sparse_tensor},
    {message::node, 5, message::attribute},
    {message::attribute, 5, message::tensor},
    {message::attribute, 6, message::graph},
    {message::attribute, 10, message::tensor},
    {message::attribute, 11, message::graph},
    {message::attribute, 22, message::sparse_tensor},
    {message::attribute, 23, message::sparse_tensor},
    {message::sparse_tensor, 1, message::tensor},
    {message::sparse_tensor, 2, message::tensor},
    {message::tensor, 13, message::entry},
    {message::function, 7, message::node},
    {message::function, 11, message::attribute},
    {message::training, 1, message::graph},
    {message::training, 2, message::graph},
};

constexpr std::uint32_t model_ir_version = 1, model_graph = 7, model_opset = 8;
constexpr std::uint32_t graph_input = 11, graph_output = 12;
constexpr std::uint32_t tensor_type = 2, tensor_name = 8;
constexpr std::uint64_t type_f16 = 10;
constexpr int deepest = 100;  // as protobuf's own parsers

// Data of a tensor in another file.
struct external_data {
  std::string location;
  std::uint64_t offset = 0, length = 0;
  bool valid = true;  // the numbers
};

class walker {
 public:
  walker(const std::filesystem::path& path, onnx_file& file) : path_(path), file_(file) {}

  void walk() {
    bool has_version = false, has_graph = false, has_opset = false;
    message_reader fields(file_.bytes);
    for (field f; fields.next(f);) {
      has_version = has_version || f.number == model_ir_version;
      has_opset = has_opset || f.number == model_opset;
      if (f.number == model_graph && f.has_bytes) {
        has_graph = true;
        find_shapes(f.bytes);
      }
    }
    if (fields.failed()) refuse("it is truncated or no ONNX: its fields do not end with its bytes");
    if (!has_graph || !has_version || !has_opset)
      refuse(fmt::format("it is truncated or no ONNX: it has no {}", !has_version ? "version of the format"
                                                                     : has_graph  ? "version of its operators"
                                                                                  : "graph"));
    visit(message::model, file_.bytes, 0);
  }

 private:
  [[noreturn]] void refuse(std::string why) const {  // which may quote the file
    std::replace_if(
        why.begin(), why.end(), [](char c) { return c >= 0 && (c < ' ' || c == 127); }, '?');
    throw error(error_code::malformed, fmt::format("[model] {} ({} bytes): {}", path_.string(), file_.bytes.size(), why));
  }

  void visit(message kind, std::span<const std::byte> bytes, int depth) {
    if (depth > deepest) refuse(fmt::format("it nests more than {} messages", deepest));
    message_reader fields(bytes);
    external_data data;
    std::string name;
    for (field f; fields.next(f);) {
      if (kind == message::tensor && f.number == tensor_type && f.value == type_f16) file_.has_halves = true;
      if (!f.has_bytes) continue;
      if (kind == message::tensor && f.number == tensor_name) name = f.text();
      for (const auto& c : children) {
        if (c.of != kind || c.number != f.number) continue;
        if (c.is == message::entry)
          read_entry(f.bytes, data);
        else
          visit(c.is, f.bytes, depth + 1);
      }
    }
    if (fields.failed()) refuse("it is corrupt: the fields of a message in it do not end with its bytes");
    if (!data.location.empty()) check(name, data);
  }

  void read_entry(std::span<const std::byte> bytes, external_data& data) const {
    std::string_view key, value;
    message_reader fields(bytes);
    for (field f; fields.next(f);) {
      if (!f.has_bytes) continue;  // the engine passes over it, as over fields of other numbers
      if (f.number == 1) key = f.text();
      if (f.number == 2) value = f.text();
    }
    if (fields.failed()) refuse("it is corrupt: external data");
    const auto number = [&](std::uint64_t& out) {
      const auto read = std::from_chars(value.data(), value.data() + value.size(), out);
      data.valid = data.valid && read.ec == std::errc() && read.ptr == value.data() + value.size();
    };
    if (key == "location") {
      if (!data.location.empty() && data.location != value) refuse("it is corrupt: a tensor's data is in two files");
      data.location = value;
    }
    if (key == "offset") number(data.offset);
    if (key == "length") number(data.length);
  }

  // Its file must be in the model's folder or below, by its real path, and hold the bytes.
  void check(const std::string& name, const external_data& data) {
    const std::filesystem::path location(data.location);
    const auto refuse_data = [&](const std::string& why) {
      refuse(fmt::format("the data of tensor \"{}\" is in \"{}\": {}", name, data.location, why));
    };
    // '*' begins what engines take for an address in their own memory.
    if (location.is_absolute() || location.has_root_name() || data.location.find('*') != std::string::npos ||
        data.location.find('\0') != std::string::npos || std::find(location.begin(), location.end(), "..") != location.end())
      refuse_data("it must be a path relative to the model's folder, and not leave that");
    const auto [at, added] = sizes_.try_emplace(data.location, 0);
    if (added) {
      std::error_code error;
      const auto folder = std::filesystem::canonical(file_.folder, error);
      const auto real = std::filesystem::canonical(file_.folder / location, error);
      if (error) refuse_data(error.message());
      if (std::mismatch(folder.begin(), folder.end(), real.begin(), real.end()).first != folder.end())
        refuse_data("that is a link to a place outside the model's folder");
      if (!std::filesystem::is_regular_file(real, error)) refuse_data("that is no regular file");
      at->second = std::filesystem::file_size(real, error);
      if (error) refuse_data(error.message());
      file_.has_external_data = true;
    }
    if (!data.valid) refuse_data("its offset or length is no number");
    if (data.offset > at->second || data.length > at->second - data.offset)
      refuse_data(fmt::format("that has {} bytes, and {} from byte {} on are needed", at->second, data.length, data.offset));
  }

  // Inputs and outputs whose type is a tensor without a shape.
  void find_shapes(std::span<const std::byte> graph) {
    message_reader fields(graph);
    for (field f; fields.next(f);) {
      if (f.number != graph_input && f.number != graph_output) continue;
      std::string name;
      bool shaped = false;
      message_reader about(f.bytes);
      for (field part; about.next(part);) {
        if (part.number == 1) name = part.text();
        if (part.number == 2) shaped = shaped || has(part.bytes, {1, 2});  // type.tensor_type.shape
      }
      if (!shaped) file_.without_shape.push_back(name);
    }
  }

  // Whether the message has a field at that path of numbers.
  static bool has(std::span<const std::byte> bytes, std::initializer_list<std::uint32_t> path) {
    return has(bytes, std::span(path.begin(), path.size()));
  }
  static bool has(std::span<const std::byte> bytes, std::span<const std::uint32_t> path) {
    if (path.empty()) return true;
    message_reader fields(bytes);
    for (field f; fields.next(f);)
      if (f.number == path.front() && f.has_bytes && has(f.bytes, path.subspan(1))) return true;
    return false;
  }

  const std::filesystem::path& path_;
  onnx_file& file_;
  std::map<std::string, std::uint64_t> sizes_;  // of files that were checked
};

std::vector<std::byte> read(const std::filesystem::path& path) {
  const std::string name = path.string();
  const auto fail = [&](error_code code, const std::string& why) {
    throw error(code, fmt::format("[model] {}: {}", name, why));
  };
  base::file_descriptor opened;
  base::file_status status;
  if (const auto why = base::open_to_read(name, base::links::follow, opened)) fail(error_code::io, why.message());
  if (const auto why = base::status_of(opened, status)) fail(error_code::io, why.message());
  if (status.other != nullptr) fail(error_code::io, fmt::format("it is {}", status.other));
  if (status.size > std::numeric_limits<std::int32_t>::max())
    fail(error_code::limit_exceeded,
         fmt::format("it has {} bytes, and ONNX keeps 2 GiB or more in files beside it (external data)", status.size));
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.size));
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    std::size_t done = 0;
    if (const auto why = base::read_at(opened, static_cast<std::int64_t>(filled), std::span(bytes).subspan(filled), done))
      fail(error_code::io, fmt::format("{} at byte {}", why.message(), filled));
    if (done == 0)
      fail(error_code::malformed, fmt::format("it shrank from {} to {} bytes while it was read", bytes.size(), filled));
    filled += done;
  }
  return bytes;
}

}  // namespace

onnx_file read_onnx_file(const std::filesystem::path& path) {
  onnx_file file;
  file.bytes = read(path);
  file.folder = path.has_parent_path() ? path.parent_path() : ".";
  walker(path, file).walk();
  return file;
}

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

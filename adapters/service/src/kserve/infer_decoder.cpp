#include "kserve/infer_decoder.hpp"

#include <algorithm>
#include <utility>

#include "codec/list_reader.hpp"
#include "kserve/infer_files.hpp"
#include "kserve/json_fields.hpp"

namespace sluice::serving {
namespace {

template <class Fields>
std::size_t field_named(const Fields& fields, const std::string& name, const model& m, std::string_view kind) {
  const auto it = std::find_if(fields.begin(), fields.end(), [&](const field& f) { return f.name == name; });
  if (it != fields.end()) return static_cast<std::size_t>(it - fields.begin());
  std::string known;
  for (const auto& f : fields) known += (known.empty() ? "" : ", ") + f.name;
  fail_v2(fmt::format("the {} {} is not known: {} has {}", kind, json_string(shown(name)), m.name(), known));
}

// Reads one request.
class request_reader {
 public:
  request_reader(const body_buffer& body, std::size_t json_bytes, bool binary_follows, const model& m,
                 const decode_context& c)
      : body_(body),
        cursor_(json_bytes),
        binary_follows_(binary_follows),
        model_(m),
        context_(c),
        limits_(c.limits),
        inputs_(m.row->inputs.size()) {}

  void read(od::object root) {
    each_field(root, "the request", "id, parameters, inputs or outputs", [&](std::string_view key, od::value v) {
      const bool optional = key == "id" || key == "outputs" || key == "model_name" || key == "model_version";
      if (optional && is_null(v)) return true;
      if (key == "id")
        out_.id = string_at(v, "id");
      else if (key == "model_name")  // KServe's client sends it; the path decides
        string_at(v, "model_name");
      else if (key == "model_version")
        check_version(string_at(v, "model_version"));
      else if (key == "parameters")
        read_parameters(v);
      else if (key == "inputs")
        each_element(v, "inputs", [&](od::value one, std::size_t i) { read_input(one, fmt::format("inputs[{}]", i)); });
      else if (key == "outputs")
        each_element(v, "outputs", [&](od::value one, std::size_t i) { read_output(one, fmt::format("outputs[{}]", i)); });
      else
        return false;
      return true;
    });
  }

  // The request, once all of its JSON is read.
  infer_request finish() {
    if (cursor_ != body_.size())
      fail_v2(fmt::format("the body has {} bytes, and its JSON and the binary data of its inputs add up to {}", body_.size(),
                          cursor_),
              error_code::malformed);
    for (const auto& f : files_) inputs_[f.index] = decoded(f, body_, model_, context_);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i])
        fail_v2(fmt::format("the input {} is missing: {} needs it", model_.row->inputs[i].name, model_.name()));
      out_.inputs.push_back(std::move(*inputs_[i]));
    }
    if (wanted_.empty())
      for (std::size_t i = 0; i < model_.row->outputs.size(); ++i) wanted_.push_back({i, std::nullopt});
    for (const auto& w : wanted_) out_.outputs.push_back({w.index, w.binary.value_or(binary_output_)});
    return std::move(out_);
  }

  // The whole body as the one input, of rank 1, or its file.
  infer_request raw() {
    binary_output_ = true;
    const auto& fields = model_.row->inputs;
    if (fields.size() != 1)
      fail_v2(fmt::format("a raw request has the data of one input, and {} has {}", model_.name(), fields.size()));
    cursor_ = body_.size();
    if (model_.takes_files(fields[0])) {
      files_.push_back({0, {body_.data(), body_.size()}, false});
      return finish();
    }
    const dtype type = model_.dtypes_of(fields[0]).front();
    if (body_.size() % size_of(type) != 0)
      fail_v2(
          fmt::format("the body has {} bytes, no multiple of the {} of {}", body_.size(), size_of(type), datatype_of(type)),
          error_code::malformed);
    const shape extents{static_cast<std::int64_t>(body_.size() / size_of(type))};
    check_count(extents, fields[0].name);
    inputs_[0] = body_.tensor_at(body_.data(), type, extents, row_major(extents));
    return finish();
  }

 private:
  struct input {
    std::optional<std::size_t> index;
    std::optional<std::string> datatype;
    std::optional<shape> extents;
    std::optional<std::uint64_t> binary_bytes;
    bool has_data = false;
    bool is_file = false;  // which is read
    std::optional<tensor> value;

    [[nodiscard]] bool described() const { return index && datatype && extents; }
  };
  struct output {
    std::size_t index;
    std::optional<bool> binary;
  };

  void check_version(const std::string& version) const {
    if (!version.empty() && version != model_.row->version)
      fail_v2(fmt::format("model_version is {}: the path is of {}, version {}", json_string(shown(version)), model_.name(),
                          model_.row->version));
  }

  void read_parameters(od::value parameters) {
    each_parameter(parameters, "parameters", [&](std::string_view key, od::value v) {
      if (key == "timeout")
        out_.timeout_us = number_at(v, "timeout");
      else if (key == "priority")
        out_.priority = number_at(v, "priority");
      else if (key == precision_key)
        context_.options.ask(key, string_at(v, "precision"));
      else if (context_.options.knows(key))
        context_.options.ask(key, is_string(v) ? string_at(v, std::string(key)) : written(v));
      else if (key == accept_key && gives_files(*model_.row))
        out_.files = &files_codec(context_.codecs, model_, string_at(v, std::string(accept_key)));
      else if (key == "binary_data_output")
        binary_output_ = bool_at(v, "binary_data_output");
      else
        return false;
      return true;
    });
  }

  void read_input(od::value v, const std::string& what) {
    input in;
    od::object o = object_at(v, what);
    each_field(o, what, "name, shape, datatype, parameters or data", [&](std::string_view key, od::value value) {
      if (key == "name")
        in.index = field_named(model_.row->inputs, string_at(value, what + ".name"), model_, "input");
      else if (key == "shape")
        in.extents = shape_at(value, what + ".shape");
      else if (key == "datatype")
        in.datatype = string_at(value, what + ".datatype");
      else if (key == "parameters")
        in.binary_bytes = binary_bytes_at(value, what + ".parameters");
      else if (key == "data")
        is_null(value) ? void() : read_data(in, value);
      else
        return false;
      return true;
    });
    if (!in.described())
      fail_v2(fmt::format("{} has no \"{}\"", what, !in.index ? "name" : !in.datatype ? "datatype" : "shape"));
    const std::string& name = model_.row->inputs[*in.index].name;
    if (in.has_data == in.binary_bytes.has_value())
      fail_v2(fmt::format("the input {} has {} \"data\" and \"binary_data_size\": one of them is needed", name,
                          in.has_data ? "both" : "neither"));
    if (in.binary_bytes && is_of_bytes(in))
      read_file(in);
    else if (in.binary_bytes)
      in.value = binary_tensor(in);
    if (!in.value && !in.is_file) {  // the data came before their description
      od::value data;
      if (o.reset().error() || o.find_field("data").get(data)) fail_v2(what + " has its data under a key with escapes");
      read_data(in, data);
    }
    if (in.value) {
      check_first(*in.index);
      inputs_[*in.index] = std::move(in.value);
    }
  }

  void check_first(std::size_t index) const {
    if (inputs_[index] || is_file(index))
      fail_v2(fmt::format("the input {} is there twice", model_.row->inputs[index].name));
  }

  void read_data(input& in, od::value v) {
    in.has_data = true;
    if (!in.described()) return;
    if (is_of_bytes(in)) return read_file_text(in, v);
    const std::string& name = model_.row->inputs[*in.index].name;
    const dtype type = dtype_of_input(in);
    check_count(*in.extents, name);
    // The declared shape alone allocates nothing: an element takes two bytes at least.
    if (in.extents->count() > static_cast<std::int64_t>(body_.size() / 2))
      fail_v2(fmt::format("the input {} has {} elements by its shape {}, more than a body of {} bytes can hold", name,
                          in.extents->count(), in.extents->str(), body_.size()));
    if (!has_json(type))
      fail_v2(fmt::format("the input {} is of {}, which has no JSON: send it in binary", name, *in.datatype));
    in.value = read_list(v, type, {"v2", name + ".data", body_, limits_, context_.memory}, in.extents);
  }

  tensor binary_tensor(const input& in) {
    const std::string& name = model_.row->inputs[*in.index].name;
    const dtype type = dtype_of_input(in);
    check_count(*in.extents, name);
    const auto bytes = static_cast<std::uint64_t>(in.extents->count()) * size_of(type);
    if (*in.binary_bytes != bytes)
      fail_v2(fmt::format("the input {} has a binary_data_size of {}, and its shape {} of {} takes {} bytes", name,
                          *in.binary_bytes, in.extents->str(), *in.datatype, bytes));
    return body_.tensor_at(binary_data(name, bytes).data(), type, *in.extents, row_major(*in.extents));
  }

  // The next `bytes` behind the JSON.
  std::string_view binary_data(const std::string& name, std::uint64_t bytes) {
    if (!binary_follows_)
      fail_v2(fmt::format("the input {} has a binary_data_size, and the request no Inference-Header-Content-Length", name));
    if (bytes > body_.size() - cursor_)
      fail_v2(fmt::format("the input {} has {} bytes of binary data, and the body {} more after byte {}", name, bytes,
                          body_.size() - cursor_, cursor_),
              error_code::malformed);
    return {body_.data() + std::exchange(cursor_, cursor_ + bytes), bytes};
  }

  // An image file: one element of BYTES.
  bool is_of_bytes(const input& in) const {
    return *in.datatype == bytes_datatype && model_.takes_files(model_.row->inputs[*in.index]);
  }
  bool is_file(std::size_t index) const {
    return std::any_of(files_.begin(), files_.end(), [&](const infer_file& f) { return f.index == index; });
  }
  const std::string& file_name(const input& in) const {
    const auto& name = model_.row->inputs[*in.index].name;
    if (in.extents->count() != 1)
      fail_v2(fmt::format("the input {} has {} elements of BYTES by its shape {}: one is taken, an image file", name,
                          in.extents->count(), in.extents->str()));
    return name;
  }

  void read_file(input& in) {
    const auto& name = file_name(in);
    const auto bytes = element_of_bytes(binary_data(name, *in.binary_bytes), name);
    check_first(*in.index);
    in.is_file = true;
    files_.push_back({*in.index, bytes, false});
  }

  // In JSON: a list of one string, base64.
  void read_file_text(input& in, od::value v) {
    const auto& name = file_name(in);
    each_element(v, name + ".data", [&](od::value one, std::size_t i) {
      std::string_view text;
      if (i > 0 || one.get_string().get(text))
        fail_v2(fmt::format("{}.data[{}] is {}: one string is needed, an image file in base64", name, i, written(one)));
      check_first(*in.index);
      in.is_file = true;
      files_.push_back({*in.index, text, true});
    });
    if (!in.is_file) fail_v2(fmt::format("{}.data is empty: one string is needed, an image file in base64", name));
  }

  void read_output(od::value v, const std::string& what) {
    std::optional<std::size_t> index;
    std::optional<bool> binary;
    od::object o = object_at(v, what);
    each_field(o, what, "name or parameters", [&](std::string_view key, od::value value) {
      if (key == "name") {
        index = field_named(model_.row->outputs, string_at(value, what + ".name"), model_, "output");
      } else if (key == "parameters") {
        each_parameter(value, what + ".parameters", [&](std::string_view name, od::value given) {
          if (name == "binary_data")
            binary = bool_at(given, "binary_data");
          else if (name == accept_key && gives_files(*model_.row))
            out_.files = &files_codec(context_.codecs, model_, string_at(given, std::string(accept_key)));
          else
            return false;
          return true;
        });
      } else {
        return false;
      }
      return true;
    });
    if (!index) fail_v2(what + " has no \"name\"");
    for (const auto& w : wanted_)
      if (w.index == *index) fail_v2(fmt::format("the output {} is there twice", model_.row->outputs[*index].name));
    wanted_.push_back({*index, binary});
  }

  shape shape_at(od::value v, const std::string& what) {
    shape s;
    each_element(v, what, [&](od::value extent, std::size_t i) {
      std::int64_t n = 0;
      if (extent.get_int64().get(n) || n < 0)
        fail_v2(fmt::format("{}[{}] is {}: a whole number from 0 is needed there", what, i, written(extent)));
      if (s.rank() == limits_.rank) fail_v2(fmt::format("{} has more than {} extents", what, limits_.rank));
      s = s.with(n);
    });
    return s;
  }

  static std::optional<std::uint64_t> binary_bytes_at(od::value v, const std::string& what) {
    std::optional<std::uint64_t> bytes;
    each_parameter(v, what, [&](std::string_view key, od::value value) {
      if (key == "binary_data_size") bytes = number_at(value, "binary_data_size");
      return key == "binary_data_size";
    });
    return bytes;
  }

  dtype dtype_of_input(const input& in) const {
    const field& f = model_.row->inputs[*in.index];
    const auto types = model_.dtypes_of(f);
    const auto type = dtype_named(*in.datatype);
    if (type && std::find(types.begin(), types.end(), *type) != types.end()) return *type;
    fail_v2(fmt::format("the input {} is of {}: {} takes {}", f.name, json_string(shown(*in.datatype)), model_.name(),
                        fmt::join(model_.datatypes_of(f), ", ")));
  }

  void check_count(const shape& extents, const std::string& name) const {
    if (extents.count() > limits_.elements)
      fail_v2(fmt::format("the input {} has {} elements by its shape {}: at most {} are taken", name, extents.count(),
                          extents.str(), limits_.elements),
              error_code::limit_exceeded);
  }

  const body_buffer& body_;
  std::size_t cursor_;  // where the next binary data begin
  const bool binary_follows_;
  const model& model_;
  const decode_context& context_;
  const service_limits& limits_;
  infer_request out_;
  std::vector<infer_file> files_;
  std::vector<std::optional<tensor>> inputs_;
  std::vector<output> wanted_;
  bool binary_output_ = false;
};

}  // namespace

struct infer_decoder::state {
  od::parser parser;
};

infer_decoder::infer_decoder() : state_(std::make_unique<state>()) {}
infer_decoder::~infer_decoder() = default;

std::size_t infer_decoder::memory() const noexcept { return parser_memory(state_->parser); }

infer_request infer_decoder::decode(const body_buffer& body, std::optional<std::size_t> json_bytes, const model& m,
                                    const decode_context& c) {
  const std::size_t size = json_bytes.value_or(body.size());
  request_reader reader(body, size, json_bytes.has_value(), m, c);
  if (json_bytes == 0u) return reader.raw();
  if (size == 0) fail_v2("the body is empty", error_code::malformed);
  if (size > body.size())
    fail_v2(fmt::format("Inference-Header-Content-Length is {}, and the body has {} bytes", size, body.size()),
            error_code::malformed);
  od::document document;
  od::object root;
  auto e = state_->parser.iterate(simdjson::padded_string_view(body.data(), size, body.padded_size())).get(document);
  if (!e) e = document.get_object().get(root);
  if (e) fail_v2(no_object({body.data(), size}, e), error_code::malformed);
  reader.read(root);
  // A current location means that the JSON does not end with the object.
  if (const char* at = nullptr; document.current_location().get(at) == simdjson::SUCCESS)
    fail_v2(fmt::format("more follows the request, at byte {}", at - body.data()), error_code::malformed);
  return reader.finish();
}

}  // namespace sluice::serving

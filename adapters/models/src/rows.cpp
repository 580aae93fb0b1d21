#include "rows.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "http/text.hpp"
#include "labels.hpp"
#include "prediction.hpp"

namespace sluice::serving::models {
namespace {

constexpr std::int64_t usual_top = 5;

using shared_sessions = std::shared_ptr<const sessions>;

[[noreturn]] void fail(error_code code, const found_model& m, const found_version& v, const std::string& rule) {
  throw error(code, fmt::format("[models] {} version {}: {}", m.name, v.number, rule));
}

std::string str(const model_field& f) {
  std::string extents;
  for (const auto e : f.extents)
    extents += fmt::format("{}{}", extents.empty() ? "" : ", ", e < 0 ? "any" : std::to_string(e));
  return fmt::format("{} {} ({})", f.name, name_of(f.dtype), extents);
}

std::string str(const std::vector<model_field>& all) {
  std::string text;
  for (const auto& f : all) text += fmt::format("{}{}", text.empty() ? "" : ", ", str(f));
  return text;
}

// Whether a tensor of these extents is among those of the field.
bool fits(const model_field& f, const std::vector<std::int64_t>& extents) {
  return f.extents.size() == extents.size() &&
         std::equal(extents.begin(), extents.end(), f.extents.begin(), [](auto a, auto b) { return b < 0 || a == b; });
}

bool is_floating_row(const model_field& f) { return is_floating(f.dtype) && f.extents.size() == 2; }

// As model_field has it, in the words of the catalogue.
std::vector<field> fields_of(const std::vector<model_field>& all) {
  std::vector<field> fields;
  for (const auto& f : all) {
    const int rank = static_cast<int>(f.extents.size());
    fields.push_back({.name = f.name, .dtypes = {f.dtype}, .min_rank = rank, .max_rank = rank, .extents = f.extents});
  }
  return fields;
}

// What both rows of a version have.
endpoint row_of(const found_model& m, const found_version& v, const shared_sessions& on, std::string name) {
  endpoint row{.name = std::move(name)};
  row.version = std::to_string(v.number);
  row.platform = "onnxruntime_onnx";
  row.run = [on](std::span<const tensor> in, const call_context& c) { return on->run(in, c.where); };
  row.estimate = [on, name = row.name](std::span<const tensor> in) { return on->work_of(name, in); };
  if (on->first().is_batched())
    row.gather = {.limit = on->largest_batch(),
                  .by = joining::rows,
                  .on_cpu = true,
                  .same = on,
                  .seconds = [on](const device& where, std::int64_t rows) { return on->seconds(where, rows); }};
  row.summary = fmt::format("{}, version {}, an ONNX model", m.name, v.number);
  return row;
}

// The dtype and shape of each result, where the file fixes all but the rows.
std::function<std::vector<operand_spec>(std::span<const tensor>)> results_of(const shared_sessions& on) {
  for (const auto& f : on->first().outputs())
    if (std::any_of(f.extents.begin() + (f.extents.empty() || !on->first().is_batched() ? 0 : 1), f.extents.end(),
                    [](auto e) { return e < 0; }))
      return {};
  return [on](std::span<const tensor> in) {
    std::vector<operand_spec> all;
    for (const auto& f : on->first().outputs()) {
      auto extents = f.extents;
      if (on->first().is_batched()) extents[0] = on->rows_of(in);
      all.push_back({.dtype = f.dtype, .shape = sluice::shape(extents)});
    }
    return all;
  };
}

endpoint raw_row(const found_model& m, const found_version& v, const shared_sessions& on, std::string name) {
  auto row = row_of(m, v, on, std::move(name));
  row.inputs = fields_of(on->first().inputs());
  row.outputs = fields_of(on->first().outputs());
  row.results = results_of(on);
  return row;
}

// What a picture's call needs to know.
struct classifier {
  std::string name;
  picture_settings settings;
  dtype takes = dtype::f32;
  std::int64_t classes = 0;

  [[nodiscard]] std::int64_t top_of_call(const call_context& c) const {
    if (c.parameters.empty()) return std::min(usual_top, classes);
    const double asked = c.parameters[0];
    if (asked < 1 || asked > static_cast<double>(classes) || asked != std::floor(asked))
      throw error(
          error_code::invalid_argument,
          fmt::format("[{}] top is {}: it must be an integer, 1 to {}, the number of classes", name, asked, classes));
    return static_cast<std::int64_t>(asked);
  }

  [[nodiscard]] std::vector<tensor> prepare(const tensor& picture, const call_context& c) const {
    static_cast<void>(top_of_call(c));  // refused before it is computed
    auto in = image::prepare(picture, settings.prepare);
    return {takes == dtype::f32 ? std::move(in) : in.as(takes)};
  }

  [[nodiscard]] std::vector<tensor> finish(const tensor& scores, const call_context& c) const {
    if (scores.count() != classes)
      throw error(error_code::unsupported, fmt::format("[{}] the model gave {} for a picture: its file says {} classes",
                                                       name, scores.shape().str(), classes));
    const auto top =
        models::top_of(scores.dtype() == dtype::f32 ? scores : scores.as(dtype::f32), top_of_call(c), settings.softmax);
    return {top.indices, top.indices, top.probabilities};
  }
};

// The extents of what a picture becomes.
std::vector<std::int64_t> extents_of(const image::preparation& p) {
  if (p.layout == image::layout::nchw) return {1, p.channels, p.crop, p.crop};
  return {1, p.crop, p.crop, p.channels};
}

// A size that says how a picture is cut: "256, then 224 x 224 of its middle".
std::string summary_of(const image::preparation& p) {
  return fmt::format(
      "a JPEG or PNG, or u8 (H, W, {}): its short side becomes {} pixels, and {} x {} of the middle are taken", p.channels,
      p.resize_short, p.crop, p.crop);
}

endpoint picture_row(const found_model& m, const found_version& v, const shared_sessions& on,
                     const picture_settings& settings) {
  const auto& in = on->first().inputs();
  const auto& out = on->first().outputs();
  const auto& p = settings.prepare;
  if (in.size() != 1 || !is_floating(in[0].dtype) || !fits(in[0], extents_of(p)))
    fail(error_code::malformed, m, v,
         fmt::format("its inputs are {}, and its image.json makes one ({}) of a picture", str(in),
                     fmt::join(extents_of(p), ", ")));
  if (out.size() != 1 || !is_floating_row(out[0]) || out[0].extents[1] < 1)
    fail(error_code::malformed, m, v,
         fmt::format("its outputs are {}: of a model that takes pictures there is one, (rows, classes)", str(out)));
  const std::int64_t classes = out[0].extents[1];
  auto row = row_of(m, v, on, m.name);
  row.summary = fmt::format("The classes of a picture by {}, version {}", m.name, v.number);
  row.inputs = {{.name = "image",
                 .dtypes = {dtype::u8},
                 .min_rank = 3,
                 .max_rank = 3,
                 .summary = summary_of(p),
                 .kind = field_kind::picture,
                 .extents = {-1, -1, p.channels}}};
  const auto list = [](const char* name, dtype t, const char* summary) {
    return field{.name = name, .dtypes = {t}, .min_rank = 1, .max_rank = 1, .summary = summary};
  };
  row.outputs = {list("label", dtype::i64, "the class's name; its number where the model has no labels.txt"),
                 list("index", dtype::i64, "the class's number, from 0"),
                 list("probability", dtype::f32, "the highest first")};
  if (v.labels) row.outputs[0].labels = std::make_shared<const std::vector<std::string>>(read_labels(*v.labels, classes));
  row.records = "predictions";
  row.parameters = {{.name = "top",
                     .summary = fmt::format("how many classes are answered, 1 to {}", classes),
                     .usual = static_cast<double>(std::min(usual_top, classes))}};
  const auto by = std::make_shared<const classifier>(classifier{m.name, settings, in[0].dtype, classes});
  row.prepare = [by](std::vector<tensor> picture, const call_context& c) { return by->prepare(picture[0], c); };
  row.finish = [by](std::vector<tensor> results, const call_context& c) { return by->finish(results[0], c); };
  return row;
}

}  // namespace

std::optional<picture_settings> pictures_of(const found_model& m, const found_version& v, const sluice::model& loaded) {
  if (v.image_json) return read_picture_settings(*v.image_json);
  const auto& in = loaded.inputs();
  const auto& out = loaded.outputs();
  std::string name = m.name;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const bool by_name = name.find("resnet") != name.npos && in.size() == 1 && in[0].dtype == dtype::f32 &&
                       fits(in[0], {1, 3, 224, 224}) && in[0].extents[1] == 3 && in[0].extents[2] == 224 &&
                       in[0].extents[3] == 224 && out.size() == 1 && is_floating_row(out[0]);
  return by_name ? std::optional(picture_settings{}) : std::nullopt;
}

std::vector<endpoint> rows_of(const found_model& m, const found_version& v, std::shared_ptr<const sessions> on,
                              const std::optional<picture_settings>& pictures) {
  std::vector<endpoint> rows;
  if (pictures) rows.push_back(picture_row(m, v, on, *pictures));
  rows.push_back(raw_row(m, v, on, pictures ? m.name + "_raw" : m.name));
  return rows;
}

}  // namespace sluice::serving::models

#include "signature.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

struct type_pair {
  dtype ours;
  element theirs;
};
constexpr type_pair types[] = {{dtype::f64, element::f64},   {dtype::f32, element::f32}, {dtype::f16, element::f16},
                               {dtype::bf16, element::bf16}, {dtype::i64, element::i64}, {dtype::i32, element::i32},
                               {dtype::u8, element::u8}};

// An input or an output, and the name of its first extent where that is free and has one.
struct described {
  model_field field;
  std::string rows;
  bool shaped = true;
};

described describe(const engine& used, session* of, std::size_t i, bool input, const onnx_file& file,
                   const std::string& name) {
  described d;
  allocator* memory = nullptr;
  used(default_allocator, &memory);
  char* text = nullptr;
  if (input)
    used(input_name, of, i, memory, &text);
  else
    used(output_name, of, i, memory, &text);
  d.field.name = text;
  used(free_memory, memory, text);

  const auto refuse = [&](const std::string& why) {
    throw error(error_code::unsupported,
                fmt::format("{}: {} \"{}\" {}", name, input ? "input" : "output", d.field.name, why));
  };
  type_info_handle type;
  if (input)
    used(input_type, of, i, type.out());
  else
    used(output_type, of, i, type.out());
  auto kind = value_type::tensor;
  used(kind_of_type, type.get(), &kind);
  const tensor_info* info = nullptr;
  if (kind == value_type::tensor) used(tensor_info_of_type, type.get(), &info);
  if (info == nullptr) refuse("is no tensor");
  auto theirs = element::f32;
  used(element_of, info, &theirs);
  const auto ours = dtype_of_element(theirs);
  if (!ours)
    refuse(fmt::format("has elements of ONNX's type {}; sluice has f64, f32, f16, bf16, i64, i32 and u8",
                       static_cast<int>(theirs)));
  d.field.dtype = *ours;
  std::size_t rank = 0;
  used(rank_of, info, &rank);
  if (rank > static_cast<std::size_t>(max_rank))
    refuse(fmt::format("has {} dimensions, and {} are the most", rank, max_rank));
  d.field.extents.resize(rank);
  std::vector<const char*> names(rank, "");
  used(extents_of, info, d.field.extents.data(), rank);
  used(extent_names_of, info, names.data(), rank);
  for (auto& extent : d.field.extents) extent = std::max<std::int64_t>(extent, -1);
  if (rank > 0 && d.field.extents.front() < 0 && names.front() != nullptr) d.rows = names.front();
  d.shaped =
      rank > 0 || std::find(file.without_shape.begin(), file.without_shape.end(), d.field.name) == file.without_shape.end();
  if (input && !d.shaped) refuse("has no shape");
  return d;
}

bool is_fixed(std::span<const std::int64_t> extents) {
  return std::all_of(extents.begin(), extents.end(), [](std::int64_t e) { return e >= 0; });
}

bool has_rows(const described& d) { return !d.field.extents.empty() && d.field.extents.front() < 0; }

shape shape_of(const model_field& field, std::int64_t rows) {
  shape extents{std::span(field.extents)};
  for (auto& extent : extents)
    if (extent < 0) extent = std::exchange(rows, 1);
  return extents;
}

}  // namespace

element element_of_dtype(dtype type) noexcept {
  for (const auto& t : types)
    if (t.ours == type) return t.theirs;
  return element::f32;
}

std::optional<dtype> dtype_of_element(element type) noexcept {
  for (const auto& t : types)
    if (t.theirs == type) return t.ours;
  return std::nullopt;
}

shape signature::shape_of_output(std::size_t i, std::int64_t rows) const { return shape_of(outputs[i], rows); }
shape signature::shape_of_input(std::size_t i, std::int64_t rows) const { return shape_of(inputs[i], batched ? rows : 1); }

bool signature::is_static() const {
  return std::find(known.begin(), known.end(), false) == known.end() &&
         std::all_of(inputs.begin(), inputs.end(),
                     [&](const model_field& f) { return is_fixed(std::span(f.extents).subspan(batched ? 1 : 0)); });
}

signature signature_of(const engine& used, session* of, const onnx_file& file, const std::string& name) {
  signature s;
  std::size_t inputs = 0, outputs = 0;
  used(input_count, of, &inputs);
  used(output_count, of, &outputs);
  std::vector<described> in, out;
  for (std::size_t i = 0; i < inputs; ++i) in.push_back(describe(used, of, i, true, file, name));
  for (std::size_t i = 0; i < outputs; ++i) out.push_back(describe(used, of, i, false, file, name));
  // Inputs whose first extents have different names have no rows in common.
  s.batched = !in.empty() && std::all_of(in.begin(), in.end(), [&](const described& d) {
    return has_rows(d) && d.rows == in.front().rows;
  }) && std::all_of(out.begin(), out.end(), has_rows);
  s.by_name = s.batched && std::all_of(out.begin(), out.end(),
                                       [&](const described& d) { return !d.rows.empty() && d.rows == in.front().rows; });
  for (const auto& d : out) {
    const std::span extents = d.field.extents;
    // A first extent of another name may be another number.
    s.known.push_back(d.shaped && (s.batched ? is_fixed(extents.subspan(1)) && !d.rows.empty() && d.rows == in.front().rows
                                             : is_fixed(extents)));
  }
  for (auto& d : in) s.inputs.push_back(std::move(d.field));
  for (auto& d : out) s.outputs.push_back(std::move(d.field));
  for (const auto& f : s.inputs) s.input_names.push_back(f.name.c_str());
  for (const auto& f : s.outputs) s.output_names.push_back(f.name.c_str());
  return s;
}

std::int64_t signature::bytes_of(std::int64_t rows) const {
  std::int64_t bytes = 0;
  const auto add = [&](const model_field& f) {
    std::int64_t one = static_cast<std::int64_t>(size_of(f.dtype));
    std::int64_t left = rows;
    for (const auto e : f.extents)
      if (__builtin_mul_overflow(one, e < 0 ? std::exchange(left, 1) : e, &one))
        one = std::numeric_limits<std::int64_t>::max();
    if (__builtin_add_overflow(bytes, one, &bytes)) bytes = std::numeric_limits<std::int64_t>::max();
  };
  for (const auto& f : inputs) add(f);
  for (const auto& f : outputs) add(f);
  return bytes;
}

std::int64_t signature::largest_batch(std::int64_t asked, std::int64_t usual, const std::string& name) const {
  constexpr std::int64_t one = std::int64_t{1} << 30, all = std::int64_t{256} << 20;
  if (bytes_of(1) > one)
    throw error(error_code::limit_exceeded,
                fmt::format("{}: its inputs and outputs take {} bytes a row, and {} are the most", name, bytes_of(1), one));
  std::int64_t rows = !batched ? 1 : asked > 0 ? asked : usual;
  while (rows > 1 && bytes_of(rows) > all) rows /= 2;
  return rows;
}

std::string text_of(const model_field& field) {
  std::string text = fmt::format("{} (", name_of(field.dtype));
  for (std::size_t i = 0; i < field.extents.size(); ++i)
    text += (i == 0 ? "" : ", ") + (field.extents[i] < 0 ? "any" : std::to_string(field.extents[i]));
  return text + ")";
}

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

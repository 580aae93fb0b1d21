// What a session takes and gives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine.hpp"
#include "onnx_file.hpp"
#include "sluice/model.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

element element_of_dtype(dtype type) noexcept;
std::optional<dtype> dtype_of_element(element type) noexcept;

struct signature {
  std::vector<model_field> inputs, outputs;
  std::vector<const char*> input_names, output_names;  // of these
  std::vector<bool> known;                             // outputs whose shape follows from the number of rows
  bool batched = false;
  bool by_name = false;  // the first extents of all inputs and outputs have one name

  // The shape of a known output.
  [[nodiscard]] shape shape_of_output(std::size_t i, std::int64_t rows) const;
  // Of an input whose free extents are `rows` and 1.
  [[nodiscard]] shape shape_of_input(std::size_t i, std::int64_t rows) const;
  // Of all inputs and outputs of so many rows, where their free extents beside these are 1.
  [[nodiscard]] std::int64_t bytes_of(std::int64_t rows) const;
  // Rows of a batch: what is asked for, or the usual, and fewer where these are more than 256 MiB. Throws limit_exceeded
  // where one row is more than 1 GiB.
  [[nodiscard]] std::int64_t largest_batch(std::int64_t asked, std::int64_t usual, const std::string& name) const;
  // Whether shapes of inputs and outputs follow from the number of rows, or are fixed.
  [[nodiscard]] bool is_static() const;
};

// `name` opens errors: "[model] resnet.onnx". Throws unsupported.
signature signature_of(const engine& used, session* of, const onnx_file& file, const std::string& name);

// "f32 (any, 3, 224, 224)"
std::string text_of(const model_field& field);

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

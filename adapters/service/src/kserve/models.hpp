// Endpoints as models of the Open Inference Protocol: an endpoint is a model, "matmul", and each dtype of its first input
// but the first makes another, "matmul_fp64"; image files come before all of them. The former takes every dtype that the
// endpoint takes, the latter only its own. Each version of an endpoint makes one of its models.
#pragma once

#include <optional>

#include "execution/executor.hpp"

namespace sluice::serving {

std::string_view datatype_of(dtype t) noexcept;               // "FP32"
std::optional<dtype> dtype_named(std::string_view datatype);  // nothing for BOOL, BYTES and others that tensors lack
// BYTES for one with labels.
std::string_view datatype_of(const field& output, dtype t) noexcept;

struct model {
  std::shared_ptr<const endpoint> row;
  std::optional<dtype> only{};  // the dtype of inputs that take it

  [[nodiscard]] std::string name() const;
  // The dtypes that an input takes; metadata show the first.
  [[nodiscard]] std::vector<dtype> dtypes_of(const field& input) const;
  // Whether an input may be an image file: of datatype BYTES, one element.
  [[nodiscard]] bool takes_files(const field& input) const;
  // The datatypes that it takes, in their order.
  [[nodiscard]] std::vector<std::string_view> datatypes_of(const field& input) const;
};

inline constexpr std::string_view bytes_datatype = "BYTES";
// The parameter of a request, or of its output, that asks for a file: "image/png".
inline constexpr std::string_view accept_key = "accept";
bool gives_files(const endpoint& row) noexcept;  // a model of one output, which is a picture

// Nothing where there is none. An empty version is the highest.
std::optional<model> find_model(const endpoint_registry& rows, std::string_view name, std::string_view version = {});
// The versions that there are of the model called so, growing.
std::vector<std::string> versions_of(const endpoint_registry& rows, const model& m);
std::vector<model> all_models(const endpoint_registry& rows);  // all versions of all, by their rows' order

// Answers to GET for a model, as JSON.
std::string metadata_json(const model& m, const std::vector<std::string>& versions);
std::string config_json(const model& m);
std::string statistics_json(const std::vector<model>& models, const statistics& from);

}  // namespace sluice::serving

// Endpoints as models of the Open Inference Protocol: an endpoint is a model, "matmul", and each dtype of its first input
// but the first makes another, "matmul_fp64". The former takes every dtype that the endpoint takes, the latter only its own.
#pragma once

#include <optional>

#include "execution/executor.hpp"

namespace sluice::serving {

std::string_view datatype_of(dtype t) noexcept;               // "FP32"
std::optional<dtype> dtype_named(std::string_view datatype);  // nothing for BOOL, BYTES and others that tensors lack

struct model {
  std::shared_ptr<const endpoint> row;
  std::optional<dtype> only{};  // the dtype of inputs that take it

  [[nodiscard]] std::string name() const;
  // The dtypes that an input takes; metadata show the first.
  [[nodiscard]] std::vector<dtype> dtypes_of(const field& input) const;
};

// Every model has one version.
inline constexpr std::string_view model_version = "1";

std::optional<model> find_model(const endpoint_registry& rows, std::string_view name);
std::vector<model> all_models(const endpoint_registry& rows);

// Answers to GET for a model, as JSON.
std::string metadata_json(const model& m);
std::string config_json(const model& m);
std::string statistics_json(const std::vector<model>& models, const statistics& from);

}  // namespace sluice::serving

// The catalogue as models of the Open Inference Protocol: a row is a model, and each dtype of its first input but the first
// is one more, "matmul_fp64". The former takes every dtype that the row takes, the latter its own alone.
#pragma once

#include <optional>

#include "execution/executor.hpp"

namespace sluice::serving {

std::string_view datatype_of(dtype t) noexcept;               // "FP32"
std::optional<dtype> dtype_named(std::string_view datatype);  // nothing for BOOL, BYTES and others that tensors have not

struct model {
  std::shared_ptr<const endpoint> row;
  std::optional<dtype> only{};  // what inputs come in that may come in it

  [[nodiscard]] std::string name() const;
  // The dtypes that an input may come in; metadata show the first.
  [[nodiscard]] std::vector<dtype> dtypes_of(const field& input) const;
};

// Every model has one version.
inline constexpr std::string_view model_version = "1";

std::optional<model> find_model(const endpoint_registry& rows, std::string_view name);
std::vector<model> all_models(const endpoint_registry& rows);

// What GET gives for a model, as JSON.
std::string metadata_json(const model& m);
std::string config_json(const model& m);
std::string statistics_json(const std::vector<model>& models, const statistics& from);

}  // namespace sluice::serving

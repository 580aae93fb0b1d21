/// @file
/// Models that come and go while a service runs: what POST /v2/repository/models/NAME/load and unload, POST
/// /v2/repository/index and readiness ask. It adds and removes the rows of the catalogue itself.
///
///     class folder : public sluice::model_repository { ... };       // sluice::models is one, on ONNX files
///     service.set_model_repository(std::make_shared<folder>(service));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Called from any number of threads at once.
class SLUICE_API model_repository {
 public:
  /// A model that is known, loaded or not.
  struct state {
    std::string name{};           ///< of its endpoint
    std::string version{};        ///< endpoint::version
    std::string state = "READY";  ///< or "LOADING", "UNAVAILABLE"
    std::string reason{};         ///< one sentence, for clients: why it is not ready
    bool wanted = true;           ///< the service is not ready while it is not
  };
  /// What runs the models.
  struct engine {
    std::string name{};     ///< "onnxruntime"
    std::string version{};  ///< empty: there is none
    std::string path{};     ///< of its shared library
    std::string refused{};  ///< why there is none
  };

  model_repository() = default;
  virtual ~model_repository();
  model_repository(const model_repository&) = delete;             ///< services hold it
  model_repository& operator=(const model_repository&) = delete;  ///< likewise

  /// Loads a model, or loads it anew, and returns when it is served. Throws error; where the model is not among those of
  /// index(), the answer is 404, else 400, or 503 for unavailable, out_of_memory and device_lost, each with its text.
  virtual void load(std::string_view name) = 0;
  /// Takes a model away, and returns when no new call gets it. Throws likewise.
  virtual void unload(std::string_view name) = 0;
  /// All models as they are now. Called at each look at readiness, so it must be quick.
  [[nodiscard]] virtual std::vector<state> index() const = 0;
  /// Shown by GET /v1/devices.
  [[nodiscard]] virtual engine engine_info() const = 0;
  /// Whether clients may load and unload (Triton's --model-control-mode=explicit); else these routes answer 403. Where
  /// service_options::tokens are set, they need one.
  [[nodiscard]] virtual bool explicit_control() const { return false; }
};

}  // namespace SLUICE_ABI
}  // namespace sluice

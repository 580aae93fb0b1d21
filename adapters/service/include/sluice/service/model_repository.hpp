/// @file
/// What loads and unloads models while the service runs. The service asks it for the repository routes of /v2, for readiness
/// and for GET /v1/devices; it adds and removes endpoints by service::replace() and service::remove():
///
///     class folder final : public sluice::model_repository {
///       void load(std::string_view name) override { service.replace(endpoint_of(name)); }
///       void unload(std::string_view name) override { service.remove(name); }
///       std::vector<state> index() const override;
///       engine engine_info() const override;
///       sluice::service& service;
///     };
///     service.set_model_repository(std::make_shared<folder>(service));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Called by any number of threads at once, those that answer requests.
class model_repository {
 public:
  model_repository() = default;                                   ///< knows no model
  virtual ~model_repository() = default;                          ///< when no service holds it
  model_repository(const model_repository&) = delete;             ///< the service holds it
  model_repository& operator=(const model_repository&) = delete;  ///< likewise

  /// One version of a model that there is, or that is wanted.
  struct state {
    std::string name{};                 ///< of its endpoint
    std::string version{};              ///< empty: of a model of which no version is known
    std::string state = "UNAVAILABLE";  ///< READY: it is served; LOADING or UNAVAILABLE: it is not
    std::string reason{};               ///< why it is not, or why a newer copy of it is not
    /// It is to be served: while it is not READY, the server is not ready, and a request for it is answered 503 rather than
    /// 404.
    bool wanted = false;
  };
  /// What runs the models.
  struct engine {
    std::string name{};     ///< "onnxruntime"
    std::string version{};  ///< empty: there is none
    std::string path{};     ///< of its shared library
    std::string refused{};  ///< why there is none; empty: there is one
  };

  /// Loads a model, or loads it again from what is there now, and returns when it is served. While it loads, and where it
  /// fails, what was served before is served. What it throws, a sluice::error, is answered with its text: 404 for a model
  /// that index() has not, 503 for unavailable, out_of_memory and device_lost, else 400.
  virtual void load(std::string_view name) = 0;
  /// Ends that a model is served, and wanted. Throws likewise.
  virtual void unload(std::string_view name) = 0;
  /// All models, those that are not loaded included. Does not wait for a load() under way.
  [[nodiscard]] virtual std::vector<state> index() const = 0;
  [[nodiscard]] virtual engine engine_info() const = 0;  ///< does not wait for a load() under way
  /// Whether clients may load and unload, which is the operator's to allow. Else they are refused, with 403.
  [[nodiscard]] virtual bool explicit_control() const { return false; }
};

}  // namespace SLUICE_ABI
}  // namespace sluice

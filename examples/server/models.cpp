#include "models.hpp"

#include <cstdio>

#if SLUICE_SERVER_MODELS
#include "sluice/models.hpp"

namespace {

void print_change(const sluice::model_change& c) {
  const std::string version = c.version.empty() ? "" : " version " + c.version;
  if (c.state == "IGNORED")
    std::fprintf(stderr, "sluice-server: %s in the folder of models is ignored: %s\n", c.name.c_str(), c.reason.c_str());
  else
    std::fprintf(stderr, "sluice-server: model %s%s is %s: %s\n", c.name.c_str(), version.c_str(), c.state.c_str(),
                 c.reason.c_str());
}

sluice::precision precision_of(const std::string& name) {
  return name == "tensor_core" ? sluice::precision::tensor_core : sluice::precision::strict;
}

}  // namespace

void add_model_options(CLI::App& app, model_settings& s) {
  auto* const models =
      app.add_option("--models", s.directory, "a folder of NAME/VERSION/model.onnx, served as /v1/NAME and as models of /v2")
          ->check(CLI::ExistingDirectory);
  app.add_option("--model", s.names,
                 "a model of that folder that is loaded, and that /health/ready waits for; none named: all. May be repeated")
      ->needs(models);
  app.add_flag("--all-model-versions", s.all_versions, "serve every version of a model, in place of the highest")
      ->needs(models);
  app.add_option("--model-precision", s.precision, "of models on a GPU: tensor_core lets products of f32 round to TF32")
      ->capture_default_str()
      ->check(CLI::IsMember({"strict", "tensor_core"}))
      ->needs(models);
  app.add_flag("--allow-model-control", s.allow_control, "clients may load and unload models by /v2/repository")
      ->needs(models);
}

void add_models(sluice::service& service, const model_settings& s) {
  if (s.directory.empty()) return;
  sluice::add_models(service, {.directory = s.directory,
                               .names = s.names,
                               .precision = precision_of(s.precision),
                               .all_versions = s.all_versions,
                               .allow_control = s.allow_control,
                               .on_change = print_change});
}

void print_model_engine(const model_settings& s) {
  if (s.directory.empty()) return;
  if (const auto e = sluice::find_model_engine(); e.found)
    std::printf("  models: ONNX Runtime %s, %s\n", e.version.c_str(), e.path.c_str());
  else
    std::printf("  models: there is no ONNX Runtime: %s\n", e.refused.c_str());
}
#else
void add_model_options(CLI::App&, model_settings&) {}
void add_models(sluice::service&, const model_settings&) {}
void print_model_engine(const model_settings&) {}
#endif

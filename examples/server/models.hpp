// Models from a folder: sluice-server --models DIR.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "sluice/service.hpp"

struct model_settings {
  std::string directory{};
  std::vector<std::string> names{};
  std::string precision = "strict";
  bool all_versions = false;
  bool allow_control = false;
};

// In a build without sluice::models there are none, and nothing is added.
void add_model_options(CLI::App& app, model_settings& s);
void add_models(sluice::service& service, const model_settings& s);

// Which engine there is, or why there is none.
void print_model_engine(const model_settings& s);

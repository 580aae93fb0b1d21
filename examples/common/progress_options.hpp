// --progress and --quiet of programs that show how far they are.
#pragma once

#include <map>
#include <string>

#include <CLI/CLI.hpp>

#include "progress_line.hpp"

inline void add_progress_options(CLI::App& app, progress_form& form, bool& quiet) {
  const std::map<std::string, progress_form> forms{{"auto", progress_form::automatic},
                                                   {"bar", progress_form::bar},
                                                   {"lines", progress_form::lines},
                                                   {"json", progress_form::json},
                                                   {"none", progress_form::none}};
  app.add_option("--progress", form, "auto (a bar on a terminal, else lines), bar, lines, json, none; on standard error")
      ->transform(CLI::CheckedTransformer(forms))
      ->type_name("FORM");
  app.add_flag("-q,--quiet", quiet, "write nothing but errors");
}

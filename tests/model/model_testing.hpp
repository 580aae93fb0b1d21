// The models that the tests load.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "sluice/model.hpp"
#include "testing.hpp"

namespace testing {

inline std::string model_file(const std::string& name) {
  const char* folder = std::getenv("SLUICE_TEST_MODELS");
  return std::string(folder != nullptr ? folder : ".") + "/" + name;
}

}  // namespace testing

// An ONNX file: its bytes, and what is checked before the engine sees them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

struct onnx_file {
  std::vector<std::byte> bytes;
  std::vector<std::string> without_shape;  // inputs and outputs of which it does not give even the rank
  bool has_halves = false;                 // weights of f16
  bool has_external_data = false;          // in files of `folder` or below it, which were checked
  std::filesystem::path folder;
};

// Reads the file once, whatever becomes of its name meanwhile. Throws io; malformed for bytes that do not parse, and for
// data in other files that are missing, too short or outside the file's folder; limit_exceeded from 2 GiB on.
onnx_file read_onnx_file(const std::filesystem::path& path);

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

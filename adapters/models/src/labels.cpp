#include "labels.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include "sluice/error.hpp"
#include "sluice/impl/base/file.hpp"

namespace sluice::serving::models {

std::vector<std::string> read_labels(const std::filesystem::path& file, std::int64_t classes) {
  constexpr std::size_t most = 64 << 20;
  std::string text;
  if (const auto why = base::read_file(file.string(), most, text); !why.empty())
    throw error(error_code::io, fmt::format("[models] {}: {}", file.string(), why));
  const auto fail = [&](const std::string& rule) {
    throw error(error_code::malformed, fmt::format("[models] {}: {}", file.string(), rule));
  };
  if (!simdjson::validate_utf8(text.data(), text.size())) fail("its text is not UTF-8");
  std::vector<std::string> labels;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto line = std::string_view(text).substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) fail(fmt::format("line {} is empty: each names a class", labels.size() + 1));
    labels.emplace_back(line);
    at = end + 1;
  }
  if (static_cast<std::int64_t>(labels.size()) != classes)
    fail(fmt::format("it has {} lines, and the model {} classes", labels.size(), classes));
  return labels;
}

}  // namespace sluice::serving::models

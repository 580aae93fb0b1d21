// labels.txt: the name of each class, one a line.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sluice::serving::models {

// Line i names class i; the last line may end without a newline. Throws error: io where it cannot be read, malformed for an
// empty line, for text that is no UTF-8, and for another number of lines than `classes`.
std::vector<std::string> read_labels(const std::filesystem::path& file, std::int64_t classes);

}  // namespace sluice::serving::models

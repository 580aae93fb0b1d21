#include "file.hpp"

namespace sluice::stream {

window::~window() = default;

void window::check() const {}

window file::map(std::int64_t, std::int64_t) const { return {}; }

}  // namespace sluice::stream

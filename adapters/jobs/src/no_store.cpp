#include "store.hpp"
#include "sluice/error.hpp"

namespace sluice::serving::jobs {

std::unique_ptr<store> open_store(const std::string& path) {
  throw error(error_code::unsupported, "[jobs] " + path + " cannot be opened: this build of sluice is without SQLite");
}

}  // namespace sluice::serving::jobs

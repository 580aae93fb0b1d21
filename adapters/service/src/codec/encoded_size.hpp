// What an answer holds in memory.
#pragma once

#include <cstdint>

namespace sluice::serving {

struct encoded_size {
  std::int64_t text = 0;     // bytes of its own, at most
  std::int64_t results = 0;  // bytes of results that are sent as they are
  bool exact = false;        // the encoded bytes hold no memory but themselves, mostly less than `text`
};

}  // namespace sluice::serving

// A queue of bytes: the first of them in memory, the rest in a temporary file without a name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/impl/base/file.hpp"
#include "sluice/tensor.hpp"

namespace sluice::serving {

class spool {
 public:
  // `memory` bytes stay in memory; without a directory all do.
  spool(std::int64_t memory, std::string directory);

  // Throws http_error (507) when the file system has no room, error (io) when it fails.
  void append(std::string_view bytes);
  [[nodiscard]] std::int64_t size() const noexcept { return size_; }
  // Bytes from `at` on, at least one and `most` at most, a multiple of 8 unless they are the last: valid until the next
  // call.
  [[nodiscard]] std::string_view read(std::int64_t at, std::int64_t most);

  // A temporary file without a name, which ends with its descriptor. Throws error (io).
  [[nodiscard]] static base::file_descriptor make_file(const std::string& directory);

 private:
  void to_memory(std::string_view bytes);
  void to_file(std::string_view bytes);

  const std::int64_t memory_;
  const std::string directory_;
  std::vector<tensor> blocks_{};  // of block_bytes each, but for the last
  base::file_descriptor file_{};
  tensor read_{};
  std::int64_t size_ = 0;
};

}  // namespace sluice::serving

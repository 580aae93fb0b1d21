// The parts of a multipart body (RFC 2046), found by its boundary.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::serving {

class multipart_reader {
 public:
  // `body` must outlive the reader. Throws error (malformed) when no line of it is --`boundary`.
  multipart_reader(std::string_view body, std::string_view boundary);

  struct part {
    std::string name;               // by Content-Disposition
    std::string_view content_type;  // empty: it has none
    std::string_view bytes;         // of the body's memory
  };
  // The next part, or nothing behind the last. Throws error (malformed).
  std::optional<part> next();

 private:
  std::optional<std::string_view> take_until_delimiter();

  const std::string delimiter_;  // "\r\n--" and the boundary
  std::string_view rest_;        // of the body, from behind a delimiter
  int part_ = 0;
};

}  // namespace sluice::serving

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
    std::string_view rest;          // of the body, from the part's first byte
  };
  // The head of the next part, or nothing behind the last. Throws error (malformed).
  std::optional<part> next();
  // The bytes of that part. Where a delimiter follows `expected` bytes, as the part's own header may tell, they end there: a
  // part holds no delimiter, so that searching for one would find the same.
  std::string_view bytes_of(const part& p, std::size_t expected);

 private:
  std::optional<std::string_view> take_until_delimiter();

  const std::string delimiter_;  // "\r\n--" and the boundary
  std::string_view rest_;        // of the body, from behind a delimiter
  int part_ = 0;
};

}  // namespace sluice::serving

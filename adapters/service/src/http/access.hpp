// Access control: bearer tokens, and origins of web pages (CORS).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/service.hpp"

namespace sluice::serving {

class access {
 public:
  // Throws invalid_argument for a token or an origin that no header can hold; a token is named by its index only.
  access(std::vector<std::string> tokens, std::vector<std::string> origins);

  // Throws http_error (401) unless the request has one of the tokens, if there are any. Health and the documents need none.
  void check(const request& r) const;
  // The answer to a preflight from an origin that is listed.
  [[nodiscard]] std::optional<response> preflight(const request& r) const;
  // Adds the headers without which a browser keeps the answer from a page of another origin.
  void admit(const request& r, response& answer) const;

 private:
  [[nodiscard]] bool knows(std::string_view token) const noexcept;
  [[nodiscard]] bool lists(std::string_view origin) const;

  const std::vector<std::string> tokens_, origins_;
};

}  // namespace sluice::serving

// The precision that a request asks for: by ?precision=fast, by a member of its body, or by both where they agree.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "openapi/document.hpp"
#include "sluice/service/endpoint.hpp"

namespace sluice::serving {

class asked_precision {
 public:
  // What the query asks for. Throws as ask() does.
  asked_precision(const endpoint& row, std::string_view query);

  // Throws http_error (400) for a name that the row does not have, and for another one than before; error (invalid_argument)
  // where the row gives no choice.
  void ask(std::string_view name);
  [[nodiscard]] bool is_choice() const noexcept { return !row_.precisions.empty(); }
  // The name asked for, else the default, as the row has it; empty where it gives no choice.
  [[nodiscard]] std::string_view name() const noexcept;

 private:
  const endpoint& row_;
  const precision_choice* asked_ = nullptr;
};

// The name of the parameter, and of the member of bodies.
inline constexpr std::string_view precision_key = "precision";

std::vector<std::string_view> names_of(const std::vector<precision_choice>& all);

// For the service's document.
json_value precision_schema(const std::vector<precision_choice>& all);
parameter precision_parameter(const std::vector<precision_choice>& all);

}  // namespace sluice::serving

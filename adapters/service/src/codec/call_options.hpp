// What a request asks for beside its inputs: by ?precision=fast&low=100, by members of its body, or by both where they
// agree.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "openapi/document.hpp"
#include "sluice/service/endpoint.hpp"

namespace sluice::serving {

// The name of the parameter, and of the member of bodies.
inline constexpr std::string_view precision_key = "precision";
inline constexpr std::string_view channels_key = "channels";

class asked_options {
 public:
  // What the query asks for. Throws as ask() does.
  asked_options(const endpoint& row, std::string_view query);

  // Whether a member of a body with that name is one of the row's options.
  [[nodiscard]] bool knows(std::string_view name) const noexcept;
  // Throws http_error (400) for a value that the option does not have, and for another one than before; error
  // (invalid_argument) where the row has no such option, and for a number that is not finite.
  void ask(std::string_view name, std::string_view value);

  [[nodiscard]] bool has_precisions() const noexcept { return !row_.precisions.empty(); }
  // The precision asked for, else the default, as the row has it; empty where it gives no choice.
  [[nodiscard]] std::string_view precision() const noexcept;
  // The values of the row's parameters, in their order. Valid as long as this.
  [[nodiscard]] std::span<const double> values() const noexcept { return values_; }
  // Of pictures that come as image files: 1 or 3.
  [[nodiscard]] int channels() const noexcept;

 private:
  void ask_precision(std::string_view name);
  void set(const call_parameter& p, std::string_view text, double& value);

  const endpoint& row_;
  const precision_choice* precision_ = nullptr;
  std::vector<double> values_;
  double channels_ = 0;
  std::vector<std::string_view> set_;  // names of those that were asked for
};

// All that a request may set, but for the precision: the row's own, and `channels` where it takes pictures of any.
std::vector<const call_parameter*> parameters_of(const endpoint& row);
bool takes_pictures(const endpoint& row) noexcept;
// What image files are decoded to by the extents of a picture: 1 or 3; 0: `channels` chooses.
int fixed_channels(const endpoint& row) noexcept;

std::vector<std::string_view> names_of(const std::vector<precision_choice>& all);

// For the service's document.
json_value precision_schema(const std::vector<precision_choice>& all);
parameter precision_parameter(const std::vector<precision_choice>& all);
json_value parameter_schema(const call_parameter& p);
// Of the query: those of `row`, and the precision where it gives a choice.
std::vector<parameter> option_parameters(const endpoint& row);
// Members of a body, likewise.
json_members option_members(const endpoint& row);

}  // namespace sluice::serving

// The endpoints of a service, by name and in the order of adding.
#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string_view>

#include "sluice/service.hpp"

namespace sluice::serving {

class endpoint_registry {
 public:
  void add(endpoint row);                                                           // throws invalid_argument
  [[nodiscard]] std::shared_ptr<const endpoint> find(std::string_view name) const;  // null: none
  [[nodiscard]] std::vector<std::shared_ptr<const endpoint>> rows() const;

  // Endpoints that this build does not have. `why` stays valid. Before the first request.
  void leave_out(std::string name, std::string_view why) { left_out_.emplace(std::move(name), why); }
  [[nodiscard]] std::vector<std::string> left_out() const;  // "NAME: why"
  void check_offered(std::string_view name) const;          // throws http_error (501) for one of them

 private:
  mutable std::shared_mutex mutex_;
  std::vector<std::shared_ptr<const endpoint>> rows_;
  std::map<std::string, std::shared_ptr<const endpoint>, std::less<>> by_name_;
  std::map<std::string, std::string_view, std::less<>> left_out_;
};

// What an op is served as. The options stay valid.
endpoint endpoint_of(const op_descriptor& op, const op_options& options = {});

// "(-1, 3, 224, 224)"
std::string extents_text(const field& f);

// Throws invalid_argument unless every input has a dtype and a rank, or extents, that `row` takes.
void check_inputs(const endpoint& row, std::span<const tensor> inputs);

}  // namespace sluice::serving

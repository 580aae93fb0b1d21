// The endpoints of a service, by name and version, and in the order of adding. A call holds its row, which outlives its
// place here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string_view>
#include <vector>

#include "sluice/service.hpp"

namespace sluice::serving {

class endpoint_registry {
 public:
  using row_pointer = std::shared_ptr<const endpoint>;

  void add(endpoint row);                                        // throws invalid_argument
  void replace(endpoint row);                                    // likewise; the row of that name and version goes
  bool remove(std::string_view name, std::string_view version);  // an empty version: all
  // Null: none. An empty version is the highest.
  [[nodiscard]] row_pointer find(std::string_view name, std::string_view version = {}) const;
  [[nodiscard]] std::vector<row_pointer> versions(std::string_view name) const;  // growing
  // The highest version of each name, or all rows; in the order of adding.
  [[nodiscard]] std::vector<row_pointer> rows() const;
  [[nodiscard]] std::vector<row_pointer> all_rows() const;

  [[nodiscard]] std::uint64_t changes() const;  // grows when a row comes or goes

  // Endpoints that this build does not have. `why` stays valid. Before the first request.
  void leave_out(std::string name, std::string_view why) { left_out_.emplace(std::move(name), why); }
  [[nodiscard]] std::vector<std::string> left_out() const;  // "NAME: why"
  void check_offered(std::string_view name) const;          // throws http_error (501) for one of them

 private:
  row_pointer put(endpoint row, bool may_replace);  // returns the row that went

  mutable std::shared_mutex mutex_;
  std::vector<row_pointer> rows_;
  std::uint64_t changes_ = 0;
  std::map<std::string, std::vector<row_pointer>, std::less<>> by_name_;  // versions, growing; none is empty
  std::map<std::string, std::string_view, std::less<>> left_out_;
};

// What an op is served as. The options stay valid.
endpoint endpoint_of(const op_descriptor& op, const op_options& options = {});

// "(-1, 3, 224, 224)"
std::string extents_text(const field& f);

// Throws invalid_argument unless every input has a dtype and a rank, or extents, that `row` takes.
void check_inputs(const endpoint& row, std::span<const tensor> inputs);

}  // namespace sluice::serving

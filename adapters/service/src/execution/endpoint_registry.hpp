// The endpoints of a service, by name and version, and in the order of adding.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "sluice/service.hpp"

namespace sluice::serving {

using shared_endpoint = std::shared_ptr<const endpoint>;

class endpoint_registry {
 public:
  void add(endpoint row);      // throws invalid_argument
  void replace(endpoint row);  // likewise
  // The rows that were there: of all versions where `version` is empty.
  std::vector<shared_endpoint> remove(std::string_view name, std::string_view version);

  // The highest version where `version` is empty. Null: none.
  [[nodiscard]] shared_endpoint find(std::string_view name, std::string_view version = {}) const;
  [[nodiscard]] std::vector<shared_endpoint> versions(std::string_view name) const;  // the highest first
  [[nodiscard]] std::vector<shared_endpoint> rows() const;                           // in the order of adding
  [[nodiscard]] std::vector<shared_endpoint> highest() const;  // the same, the highest of each name alone
  // Grows with every change, for what is derived from the rows.
  [[nodiscard]] std::uint64_t changes() const;
  void changed();  // something else that is described beside the rows

  // Endpoints that this build does not have. `why` stays valid. Before the first request.
  void leave_out(std::string name, std::string_view why) { left_out_.emplace(std::move(name), why); }
  [[nodiscard]] std::vector<std::string> left_out() const;  // "NAME: why"
  void check_offered(std::string_view name) const;          // throws http_error (501) for one of them

 private:
  void put(endpoint row, bool may_replace);

  mutable std::mutex mutex_;  // held for a look-up or a change alone: readers never keep a writer waiting
  std::vector<shared_endpoint> rows_;
  std::map<std::string, std::vector<shared_endpoint>, std::less<>> by_name_;  // the highest version first
  std::uint64_t changes_ = 0;
  std::map<std::string, std::string_view, std::less<>> left_out_;
};

// What an op is served as. The options stay valid.
endpoint endpoint_of(const op_descriptor& op, const op_options& options = {});

// "(-1, 3, 224, 224)"
std::string extents_text(std::span<const std::int64_t> extents);

// Throws invalid_argument unless every input has a dtype and a shape that `row` takes.
void check_inputs(const endpoint& row, std::span<const tensor> inputs);

}  // namespace sluice::serving

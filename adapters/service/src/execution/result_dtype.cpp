#include "execution/result_dtype.hpp"

#include <fmt/format.h>

#include "http/query.hpp"

namespace sluice::serving {

std::optional<dtype> result_dtype_in(std::string_view query) {
  const auto asked = query_value(query, "result_dtype");
  return asked ? std::optional(parse_dtype(*asked)) : std::nullopt;
}

std::shared_ptr<const endpoint> row_for(const std::shared_ptr<const endpoint>& row, std::string_view query) {
  const auto asked = result_dtype_in(query);
  if (!asked) return row;
  if (!row->with_result_dtype)
    throw error(
        error_code::invalid_argument,
        fmt::format("[{}] result_dtype is {}: the dtype of these results cannot be chosen", row->name, name_of(*asked)));
  auto other = row->with_result_dtype(*asked);
  if (other->version == row->version) return other;
  auto same_version = std::make_shared<endpoint>(*other);
  same_version->version = row->version;
  return same_version;
}

}  // namespace sluice::serving

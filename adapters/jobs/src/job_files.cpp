#include "job_files.hpp"

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/text.hpp"

namespace sluice::serving::jobs {
namespace {

std::map<std::string, data_directories> opened(const std::map<std::string, std::string>& named) {
  std::map<std::string, data_directories> all;
  for (const auto& [name, path] : named) {
    if (name.empty() || name.find('/') != name.npos)
      throw error(
          error_code::invalid_argument,
          fmt::format("[jobs] data_directories has the name {}: it must not be empty or contain '/'", json_string(name)));
    all.emplace(name, data_directories({path}));
  }
  return all;
}

}  // namespace

job_files::job_files(const std::map<std::string, std::string>& directories) : named_(opened(directories)) {}

file_stream job_files::open(const std::string& name, const file_stream_options& options) const {
  const auto slash = std::min(name.find('/'), name.size());
  const auto found = named_.find(name.substr(0, slash));
  if (found == named_.end())
    throw http_error{404, "not_found", fmt::format("[jobs] there is no data directory {}", shown(name.substr(0, slash)))};
  const auto file = found->second.open(std::string_view(name).substr(std::min(slash + 1, name.size())));
  return file_stream::opened(file.get(), options, name);
}

file_stream job_files::open_input(const order& o) const {
  file_stream_options options;
  options.columns = o.columns;
  options.byte_offset = o.offset;
  if (!o.dtype.empty()) options.dtype = parse_dtype(o.dtype);
  return open(o.input, options);
}

file_stream job_files::open_operand(const order& o) const { return open(o.operand, {}); }

void job_files::inspect(job& j, std::int64_t most_elements) const {
  const auto in = open_input(j.asked);
  j.asked.columns = in.columns();
  j.asked.dtype = name_of(in.dtype());
  j.bytes_total = in.bytes();
  j.rows_total = in.rows();
  if (j.asked.operand.empty()) return;
  const auto b = open_operand(j.asked);
  const std::int64_t elements = checked_product(b.rows(), b.columns());
  if (elements > most_elements)
    throw error(error_code::limit_exceeded,
                fmt::format("[jobs] {} has {} elements: an operand may have {}", j.asked.operand, elements, most_elements));
  if (b.shape().rank() != 2 || b.rows() != in.columns() || b.dtype() != in.dtype())
    throw error(error_code::invalid_argument,
                fmt::format("[jobs] {} is {} of {}, {} is {} of {}: the operand must be ({}, n) of {}", j.asked.input,
                            in.shape().str(), name_of(in.dtype()), j.asked.operand, b.shape().str(), name_of(b.dtype()),
                            in.columns(), name_of(in.dtype())));
}

}  // namespace sluice::serving::jobs

// What a run writes down at a sync, so that the next one can go on: text that a person can read, then the sums that were not
// finished, as words of 8 bytes.
//
//     sluice journal 2
//     operation rowsum_file
//     input 4294967296 bytes, ...
//     columns 1024
//     cut 256 rows 1024 columns
//     done 4096 pieces 4194432 bytes
//     sums 0
#pragma once

#include <charconv>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/impl/files/chunk_plan.hpp"
#include "sluice/impl/files/file.hpp"
#include "sluice/impl/files/rounded_sums.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// What makes two runs the same job: names and values, one line each.
using run_key = named_values;

struct journal {
  run_key job;
  std::int64_t rows_per_chunk = 1;
  std::int64_t chunk_columns = 0;
  std::int64_t chunks = 0;  // done
  std::int64_t bytes = 0;   // of the result
  words sums;

  [[nodiscard]] std::string text() const;
  // Throws malformed, with `path`, for what text() did not write; unsupported for a journal of another version.
  static journal parse(std::string_view text, const std::string& path, const char* operation);

  // Throws invalid_argument, with what differs and what to do, when it is of another job.
  void check_same_run(const run_key& wanted, const std::string& path, const char* operation) const;
};

// Version 1 had neither input_status nor input_sample, so it cannot tell an input that was overwritten in place.
inline constexpr std::string_view journal_mark = "sluice journal ";
inline constexpr std::int64_t journal_version = 2;

// One line, whatever is in it.
inline std::string escaped(std::string_view value) {
  std::string line;
  for (const char c : value)
    if (c == '\n')
      line += "\\n";
    else if (c == '\\')
      line += "\\\\";
    else
      line += c;
  return line;
}

inline std::string unescaped(std::string_view line) {
  std::string value;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size())
      value += line[i];
    else
      value += line[++i] == 'n' ? '\n' : line[i];
  }
  return value;
}

// Of two values of several lines, such as an input of several files, what differs.
inline std::pair<std::string, std::string> first_difference(std::string_view a, std::string_view b) {
  const auto line = [](std::string_view text) { return text.substr(0, text.find('\n')); };
  const auto rest = [](std::string_view text) { return text.substr(std::min(text.size(), text.find('\n')) + 1); };
  while (line(a) == line(b) && line(a).size() < a.size() && line(b).size() < b.size()) {
    a = rest(a);
    b = rest(b);
  }
  const auto shown = [&](std::string_view text) { return text.empty() ? std::string("nothing") : std::string(line(text)); };
  return {shown(a), shown(b)};
}

class journal_reader {
 public:
  journal_reader(std::string_view text, const std::string& path, const char* operation)
      : rest_(text), path_(path), operation_(operation) {}

  [[noreturn]] void fail(std::string_view why) const {
    throw error(error_code::malformed,
                fmt::format("[{}] {} is corrupt or not a journal of this library: {}; remove it, or {}", operation_, path_,
                            why, start_again));
  }
  void expect(std::string_view text) {
    if (!rest_.starts_with(text)) fail(fmt::format("\"{}\" is missing", text.substr(0, text.find('\n'))));
    rest_.remove_prefix(text.size());
  }
  // A whole number from `least` on.
  std::int64_t number(std::int64_t least) {
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (failure != std::errc() || value < least) fail(fmt::format("a number from {} on is missing", least));
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  std::pair<std::string, std::string> line() {
    const std::size_t end = rest_.find('\n');
    const std::size_t space = rest_.find(' ');
    if (end == std::string_view::npos || space >= end) fail("a line is cut");
    std::pair<std::string, std::string> both(rest_.substr(0, space), unescaped(rest_.substr(space + 1, end - space - 1)));
    rest_.remove_prefix(end + 1);
    return both;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  const std::string& path_;
  const char* operation_;
};

inline std::string journal::text() const {
  std::string t = fmt::format("{}{}\n", journal_mark, journal_version);
  for (const auto& [name, value] : job) t += fmt::format("{} {}\n", name, escaped(value));
  t += fmt::format("cut {} rows {} columns\ndone {} pieces {} bytes\nsums {}\n", rows_per_chunk, chunk_columns, chunks,
                   bytes, sums.size());
  if (!sums.empty()) t.append(reinterpret_cast<const char*>(sums.data()), sums.size() * sizeof(std::uint64_t));
  return t;
}

inline journal journal::parse(std::string_view text, const std::string& path, const char* operation) {
  journal_reader r(text, path, operation);
  journal j;
  r.expect(journal_mark);
  if (const auto version = r.number(1); version != journal_version)
    throw error(error_code::unsupported,
                fmt::format("[{}] {} is of version {}, and this library resumes from version {}: {}", operation, path,
                            version, journal_version, start_again));
  r.expect("\n");
  while (!r.rest().starts_with("cut ")) j.job.push_back(r.line());
  r.expect("cut ");
  j.rows_per_chunk = r.number(1);
  r.expect(" rows ");
  j.chunk_columns = r.number(0);
  r.expect(" columns\ndone ");
  j.chunks = r.number(0);
  r.expect(" pieces ");
  j.bytes = r.number(0);
  r.expect(" bytes\nsums ");
  const auto count = static_cast<std::uint64_t>(r.number(0));
  r.expect("\n");
  if (r.rest().size() % sizeof(std::uint64_t) != 0 || r.rest().size() / sizeof(std::uint64_t) != count)
    r.fail(fmt::format("{} bytes follow, and {} sums of 8 bytes were announced", r.rest().size(), count));
  j.sums.resize(static_cast<std::size_t>(count));
  if (count > 0) std::memcpy(j.sums.data(), r.rest().data(), r.rest().size());
  return j;
}

inline void journal::check_same_run(const run_key& wanted, const std::string& path, const char* operation) const {
  const auto value_in = [](const run_key& lines, const std::string& name) -> std::string {
    for (const auto& [n, v] : lines)
      if (n == name) return v;
    return "";
  };
  const auto refuse = [&](const std::string& name) {
    const auto [was, is] = first_difference(value_in(job, name), value_in(wanted, name));
    const auto why = name == "input_status" ? " (its bytes may have been overwritten and their time set back; a chmod, a "
                                              "rename or a link changes it too)"
                                            : "";
    throw error(error_code::invalid_argument, fmt::format("[{}] {} is of another run: its {} was {}, and is {}{}; {}",
                                                          operation, path, name, was, is, why, start_again));
  };
  for (const auto& [name, value] : wanted)
    if (value_in(job, name) != value) refuse(name);
  for (const auto& [name, value] : job)
    if (value_in(wanted, name) != value) refuse(name);
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

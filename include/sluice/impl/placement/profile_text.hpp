// The text that profiles are kept in: one record a line, a name and its value or values.
//
//     sluice profiles 1
//     version 0.2.0
//     host 0123456789abcdef
//     made 2026-11-21T16:05:00Z
//     device cuda:0
//     description NVIDIA H200, 132 SMs
//     sync 4.1e-06
//     copy host_to_device pinned 4096 9.2e-06 65536 1.1e-05      (sizes in bytes and seconds, in turn)
//     op rowsum square f32 8192 1.3e-05 131072 1.4e-05
//     op matmul square f32 tensor_core 1024 1.2e-05              (in a precision other than the op's default)
//     end
#pragma once

#include <charconv>
#include <locale>
#include <sstream>

#include <fmt/format.h>

#include "sluice/impl/placement/load.hpp"
#include "sluice/impl/placement/profile.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

// Where profiles come from.
struct profile_origin {
  std::string version;  // of the library
  std::string host;     // of this machine alone
  std::string made;     // "2026-11-21T16:05:00Z"
};

struct kept_profiles {
  profile_origin origin;
  std::vector<profile> profiles;
};

inline constexpr std::string_view profile_first_line = "sluice profiles 1";
inline constexpr std::array<std::string_view, 2> direction_names{"host_to_device", "device_to_host"};
inline constexpr std::array<std::string_view, 2> memory_names{"pageable", "pinned"};
inline constexpr std::array<std::string_view, 2> shape_class_names{"square", "skinny"};

inline std::array<std::string_view, dtype_count> dtype_names() noexcept {
  std::array<std::string_view, dtype_count> names;
  for (std::size_t t = 0; t < dtype_count; ++t) names[t] = name_of(static_cast<dtype>(t));
  return names;
}

inline std::string curve_text(const curve& c) {
  std::string text;
  for (int i = 0; i < c.count(); ++i) text += fmt::format(" {:.0f} {:.4g}", c[i].size, c[i].seconds);
  return text;
}

inline std::string op_text(const profile& p, const op_descriptor& op, std::size_t precision) {
  std::string text;
  for (std::size_t s = 0; s < 2; ++s)
    for (std::size_t t = 0; t < dtype_count; ++t)
      if (const curve& c = p.ops[index_of(op) + precision][s][t]; c.count() > 0)
        text += fmt::format("op {} {} {}{}{}{}\n", op.name, shape_class_names[s], name_of(static_cast<dtype>(t)),
                            precision > 0 ? " " : "", precision > 0 ? op.precisions[precision].name : "", curve_text(c));
  return text;
}

inline std::string profile_text(const profile& p) {
  std::string description = p.description;
  for (char& c : description)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  std::string text = fmt::format("device {}\ndescription {}\nsync {:.4g}\n", p.where.str(), description, p.sync);
  for (std::size_t d = 0; d < 2; ++d)
    for (std::size_t m = 0; m < 2; ++m)
      if (const curve& c = p.copies[d][m]; c.count() > 0)
        text += fmt::format("copy {} {}{}\n", direction_names[d], memory_names[m], curve_text(c));
  for (const auto* op : all_ops())
    for (std::size_t i = 0; i < precision_count(*op); ++i) text += op_text(p, *op, i);
  return text;
}

inline std::string profiles_text(const kept_profiles& k) {
  std::string text =
      fmt::format("{}\nversion {}\nhost {}\nmade {}\n", profile_first_line, k.origin.version, k.origin.host, k.origin.made);
  for (const auto& p : k.profiles) text += profile_text(p);
  return text + "end\n";
}

// Reads the lines one by one.
class profile_reader {
 public:
  explicit profile_reader(std::string_view text) : rest_(text) { next(); }

  [[noreturn]] void fail(const std::string& what) const {
    throw error(error_code::malformed, fmt::format("[profile] line {}: {}", number_, what));
  }
  // Whether the line begins with the name; then `value()` or words follow.
  bool accept(std::string_view name) {
    if (!line_.starts_with(name) || line_.size() <= name.size() || line_[name.size()] != ' ') return false;
    line_.remove_prefix(name.size() + 1);
    return true;
  }
  void expect(std::string_view name) {
    if (!accept(name)) fail(fmt::format("\"{}\" is missing", name));
  }
  // The rest of the line.
  std::string value() {
    std::string all(line_);
    next();
    return all;
  }
  std::string value_of(std::string_view name) {
    expect(name);
    return value();
  }
  std::string_view word() {
    const auto end = std::min(line_.find(' '), line_.size());
    const auto w = line_.substr(0, end);
    if (w.empty() || end + 1 == line_.size()) fail("a word is missing");
    line_.remove_prefix(std::min(end + 1, line_.size()));
    return w;
  }
  template <class Names>
  std::size_t one_of(const Names& names) {
    const auto w = word();
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i] == w) return i;
    fail(fmt::format("{} is not known", w.substr(0, 64)));
  }
  // The precision that a curve is of: none is written for the default.
  std::size_t precision_of(const op_descriptor& op) {
    for (std::size_t i = 1; i < op.precisions.size(); ++i)
      if (accept(op.precisions[i].name)) return i;
    return 0;
  }
  double number() {
    const std::string_view w = word();
    double value = 0;
#if defined(__cpp_lib_to_chars)
    const auto [end, failure] = std::from_chars(w.data(), w.data() + w.size(), value);
    const bool whole = failure == std::errc() && end == w.data() + w.size();
#else  // LLVM's standard library has no from_chars of floats before version 20
    std::istringstream in{std::string(w)};
    in.imbue(std::locale::classic());
    const bool whole = (in >> value) && in.peek() == std::istringstream::traits_type::eof();
#endif
    if (!whole || !std::isfinite(value)) fail(fmt::format("{} is no number", w.substr(0, 64)));
    return value;
  }
  // The rest of the line: sizes and seconds in turn.
  void curve_into(curve& c) {
    if (c.count() > 0) fail("a curve is given twice");
    do {
      const double size = number();
      if (!c.add(size, number()))
        fail(fmt::format("sizes must grow, times be above 0, and at most {} pairs follow", curve::capacity));
    } while (!line_.empty());
    next();
  }
  void end_line() {
    if (!line_.empty()) fail("there is more in the line");
    next();
  }
  void whole(std::string_view text) {
    if (line_ != text) fail(fmt::format("\"{}\" is missing", text));
    next();
  }
  [[nodiscard]] bool at_end() const { return rest_.empty() && line_.empty(); }

 private:
  void next() {
    ++number_;
    if (rest_.empty()) {
      line_ = {};
      return;
    }
    const auto end = rest_.find('\n');
    if (end == std::string_view::npos) fail("the line is cut");
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (line_.empty()) fail("the line is empty");
  }

  std::string_view rest_, line_;
  int number_ = 0;
};

inline profile read_profile(profile_reader& r) {
  profile p;
  p.measured = true;
  try {
    p.where = device(r.word());
  } catch (const error& e) {
    if (e.code() == error_code::malformed) throw;
    r.fail(e.what());
  }
  r.end_line();
  p.description = r.value_of("description");
  r.expect("sync");
  p.sync = r.number();
  if (p.sync < 0) r.fail("a time is below 0");
  r.end_line();
  while (r.accept("copy")) {
    const auto d = r.one_of(direction_names);
    const auto m = r.one_of(memory_names);
    r.curve_into(p.copies[d][m]);
  }
  while (r.accept("op")) {
    const auto* op = find_op(r.word());
    if (op == nullptr) r.fail("the op is not known");
    const auto s = r.one_of(shape_class_names);
    const auto t = r.one_of(dtype_names());
    r.curve_into(p.ops[index_of(*op) + r.precision_of(*op)][s][t]);
  }
  return p;
}

inline kept_profiles parse_profiles(std::string_view text) {
  profile_reader r(text);
  kept_profiles k;
  r.whole(profile_first_line);
  k.origin.version = r.value_of("version");
  k.origin.host = r.value_of("host");
  k.origin.made = r.value_of("made");
  while (r.accept("device")) k.profiles.push_back(read_profile(r));
  r.whole("end");
  if (!r.at_end()) r.fail("there is more after the end");
  return k;
}

}  // namespace placement
}  // namespace SLUICE_ABI
}  // namespace sluice

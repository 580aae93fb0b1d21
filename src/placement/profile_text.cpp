// The one form that profiles are kept in.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <locale>
#include <sstream>
#include <string>

#include <fmt/format.h>

#include "profile_file.hpp"

namespace sluice::core {
namespace {

constexpr std::array kinds{std::string_view("matmul"), std::string_view("rowsum")};
constexpr std::array forms{std::string_view("even"), std::string_view("thin")};
constexpr std::array ways{std::string_view("up"), std::string_view("down")};
constexpr std::array memories{std::string_view("pageable"), std::string_view("pinned")};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + '"';
}

std::string text_of(const curve& c) {
  std::string out = "[";
  for (int i = 0; i < c.count(); ++i) out += fmt::format("{}[{:.0f}, {:.4g}]", i == 0 ? "" : ", ", c[i].size, c[i].seconds);
  return out + "]";
}

std::string text_of(const profile& p) {
  std::string out = fmt::format("    {{\"device\": {}, \"description\": {}, \"sync\": {:.4g},\n     \"copies\": [",
                                quoted(p.where.str()), quoted(p.description), p.sync);
  const char* before = "";
  for (std::size_t w = 0; w < ways.size(); ++w)
    for (std::size_t m = 0; m < memories.size(); ++m) {
      if (p.copies[w][m].count() == 0) continue;
      out += fmt::format("{}\n      {{\"way\": \"{}\", \"memory\": \"{}\", \"seconds\": {}}}", before, ways[w], memories[m],
                         text_of(p.copies[w][m]));
      before = ",";
    }
  out += "],\n     \"operations\": [";
  before = "";
  for (std::size_t k = 0; k < kinds.size(); ++k)
    for (std::size_t f = 0; f < forms.size(); ++f)
      for (std::size_t t = 0; t < dtype_count; ++t) {
        const curve& c = p.operations[k][f][t];
        if (c.count() == 0) continue;
        out += fmt::format("{}\n      {{\"name\": \"{}\", \"form\": \"{}\", \"dtype\": \"{}\", \"seconds\": {}}}", before,
                           kinds[k], forms[f], name_of(static_cast<dtype>(t)), text_of(c));
        before = ",";
      }
  return out + "]}";
}

// Reads what text_of() wrote, token by token.
class reader {
 public:
  explicit reader(std::string_view text) : text_(text) {}

  // The tokens of `expected`, as "{ device :" with a name for its quoted form, come next.
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' is missing", c));
  }
  bool accept(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void key(std::string_view name) {
    if (string() != name) fail(fmt::format("\"{}\" is missing", name));
    expect(':');
  }
  std::string string() {
    expect('"');
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size()) out += text_[at_++];
      if (out.size() > 1000) fail("a text is too long");
    }
    expect('"');
    return out;
  }
  double number() {
    skip();
    double value = 0;
#if defined(__cpp_lib_to_chars)
    const auto [end, failure] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (failure != std::errc() || !std::isfinite(value)) fail("a number is missing");
    at_ = static_cast<std::size_t>(end - text_.data());
#else  // LLVM's standard library has no from_chars of floats before its 20th version
    const std::size_t end = std::min(text_.find_first_not_of("+-.0123456789eE", at_), text_.size());
    std::istringstream in(std::string(text_.substr(at_, end - at_)));
    in.imbue(std::locale::classic());
    if (!(in >> value) || in.peek() != std::istringstream::traits_type::eof() || !std::isfinite(value))
      fail("a number is missing");
    at_ = end;
#endif
    return value;
  }
  template <std::size_t N>
  std::size_t one_of(const std::array<std::string_view, N>& names) {
    const std::string name = string();
    for (std::size_t i = 0; i < N; ++i)
      if (names[i] == name) return i;
    fail(fmt::format("\"{}\" is not known", name));
  }
  // '[' item, ..., ']'
  template <class F>
  void list(F item) {
    expect('[');
    if (accept(']')) return;
    do item();
    while (accept(','));
    expect(']');
  }
  void end() {
    skip();
    if (at_ != text_.size()) fail("there is more");
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw error(error_code::malformed, fmt::format("[profile] byte {}: {}", at_, what));
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void read(reader& r, curve& c) {
  if (c.count() > 0) r.fail("figures come twice");
  r.list([&] {
    r.expect('[');
    const double size = r.number();
    r.expect(',');
    if (!c.add(size, r.number())) r.fail("sizes must grow and times be above 0");
    r.expect(']');
  });
}

profile read_profile(reader& r) {
  profile p;
  p.measured = true;
  r.expect('{');
  r.key("device");
  p.where = device(r.string());
  r.expect(',');
  r.key("description");
  p.description = r.string();
  r.expect(',');
  r.key("sync");
  p.sync = r.number();
  if (p.sync < 0) r.fail("a time is below 0");
  r.expect(',');
  r.key("copies");
  r.list([&] {
    r.expect('{');
    r.key("way");
    const auto w = r.one_of(ways);
    r.expect(',');
    r.key("memory");
    const auto m = r.one_of(memories);
    r.expect(',');
    r.key("seconds");
    read(r, p.copies[w][m]);
    r.expect('}');
  });
  r.expect(',');
  r.key("operations");
  r.list([&] {
    r.expect('{');
    r.key("name");
    const auto k = r.one_of(kinds);
    r.expect(',');
    r.key("form");
    const auto f = r.one_of(forms);
    r.expect(',');
    r.key("dtype");
    const auto t = static_cast<std::size_t>(parse_dtype(r.string()));
    r.expect(',');
    r.key("seconds");
    read(r, p.operations[k][f][t]);
    r.expect('}');
  });
  r.expect('}');
  return p;
}

}  // namespace

std::string text_of(const kept_profiles& k) {
  std::string out =
      fmt::format("{{\"sluice_profiles\": 1,\n  \"version\": {},\n  \"host\": {},\n  \"made\": {},\n  \"devices\": [",
                  quoted(k.origin.version), quoted(k.origin.host), quoted(k.origin.made));
  for (const auto& p : k.profiles) out += (&p == k.profiles.data() ? "\n" : ",\n") + text_of(p);
  return out + "]}\n";
}

kept_profiles parse_profiles(std::string_view text) {
  reader r(text);
  kept_profiles k;
  r.expect('{');
  r.key("sluice_profiles");
  if (r.number() != 1) r.fail("the form is of another number than 1");
  const auto next = [&](const char* name) {
    r.expect(',');
    r.key(name);
  };
  next("version");
  k.origin.version = r.string();
  next("host");
  k.origin.host = r.string();
  next("made");
  k.origin.made = r.string();
  next("devices");
  r.list([&] { k.profiles.push_back(read_profile(r)); });
  r.expect('}');
  r.end();
  return k;
}

}  // namespace sluice::core

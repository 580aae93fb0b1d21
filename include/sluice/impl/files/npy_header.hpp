// The header of an .npy: a Python dictionary of three keys, read token by token and never evaluated; its length is checked
// against the file's.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstring>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "sluice/impl/files/file.hpp"
#include "sluice/npy.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

bool has_npy_magic(std::span<const std::byte> prefix) noexcept;

// Of a file that begins at byte `begin` of `in`, as of what `data_offset` counts from. Throws malformed, unsupported, io as
// read_npy does.
npy_header read_npy_header(const file& in, std::int64_t begin = 0);
// Of bytes whose number is not known: `peek` gives the first `count`, or all there are.
npy_header read_npy_header(const std::function<std::span<const std::byte>(std::size_t count)>& peek,
                           const std::string& name);

static_assert(std::endian::native == std::endian::little, "elements go between file and memory as they are");

inline constexpr std::string_view npy_magic = "\x93NUMPY";

struct npy_type {
  std::string_view descr;  // without the order of bytes
  sluice::dtype dtype;
  npy_element element = npy_element::same;
  std::string_view name = {};  // where `element` is not the same
};
inline constexpr std::array<npy_type, 12> npy_types{{{"f8", dtype::f64},
                                                     {"f4", dtype::f32},
                                                     {"f2", dtype::f16},
                                                     {"i8", dtype::i64},
                                                     {"i4", dtype::i32},
                                                     {"u1", dtype::u8},
                                                     {"b1", dtype::u8, npy_element::b1, "bool"},
                                                     {"i1", dtype::i32, npy_element::i1, "i8"},
                                                     {"i2", dtype::i32, npy_element::i2, "i16"},
                                                     {"u2", dtype::i32, npy_element::u2, "u16"},
                                                     {"u4", dtype::i64, npy_element::u4, "u32"},
                                                     {"u8", dtype::i64, npy_element::u8, "u64"}}};

// What the file holds, for a message: "f32", "u16", "big-endian f32".
inline std::string npy_name_of(const npy_header& h) {
  std::string_view name = name_of(h.dtype);
  for (const auto& t : npy_types)
    if (t.element == h.element && t.element != npy_element::same) name = t.name;
  return fmt::format("{}{}", h.swapped ? "big-endian " : "", name);
}

[[noreturn]] inline void npy_malformed(const std::string& what) { throw error(error_code::malformed, "[npy] " + what); }
[[noreturn]] inline void npy_unsupported(const std::string& what) { throw error(error_code::unsupported, "[npy] " + what); }

// Bytes of a file, fit for a sentence.
inline std::string npy_shown(std::string_view text) {
  std::string s(text.substr(0, 48));
  for (char& c : s)
    if (c < ' ' || c > '~') c = '?';
  return text.size() > 48 ? s + "..." : s;
}

inline void set_npy_type(npy_header& h, std::string_view descr) {
  const char order = descr.empty() ? ' ' : descr[0];
  const std::string_view kind = descr.substr(descr.empty() ? 0 : 1);
  for (const auto& type : npy_types) {
    const bool bytes = type.descr[1] == '1';  // which have no order
    if (type.descr != kind || (order != '<' && order != '>' && order != '=' && !(order == '|' && bytes))) continue;
    h.dtype = type.dtype;
    h.element = type.element;
    h.swapped = order == '>' && !bytes;
    return;
  }
  const char* why = "";
  if (kind == "O") why = "; Python objects are never read";
  if (kind == "V2") why = "; bfloat16 has no .npy type: convert it to float32, or stream its bytes as a raw file";
  if (kind == "f16" || kind == "c8" || kind == "c16" || kind == "c32")
    why = "; convert it, as by numpy.save(path, x.real.astype('<f8'))";
  npy_unsupported(
      fmt::format("element type '{}' is none of f8, f4, f2, i8, i4, i2, i1, u8, u4, u2, u1, b1 with an order of bytes{}",
                  npy_shown(descr), why));
}

// Reads tokens of `text`, which begins at byte `base` of the file.
class npy_header_reader {
 public:
  npy_header_reader(std::string_view text, std::size_t base, int version) : text_(text), base_(base), version_(version) {}

  npy_header header() {
    npy_header h;
    bool has_descr = false;
    bool has_order = false;
    bool has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr") {
        once(has_descr, key);
        descr(h);
      } else if (key == "fortran_order") {
        once(has_order, key);
        h.fortran_order = boolean();
      } else if (key == "shape") {
        once(has_shape, key);
        h.shape = tuple();
      } else {
        npy_malformed(fmt::format("header has the key '{}': only descr, fortran_order and shape are known", npy_shown(key)));
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (!has_descr || !has_order || !has_shape)
      npy_malformed(fmt::format("header has no key '{}'", !has_descr ? "descr" : !has_order ? "fortran_order" : "shape"));
    skip_space();
    if (at_ != text_.size()) fail("its end");
    return h;
  }

 private:
  [[noreturn]] void fail(std::string_view expected) const {
    const std::string found = at_ < text_.size() ? fmt::format("'{}'", npy_shown(text_.substr(at_, 1))) : "its end";
    npy_malformed(fmt::format("header: expected {} at byte {}, found {}", expected, base_ + at_, found));
  }

  void once(bool& seen, std::string_view key) const {
    if (std::exchange(seen, true)) npy_malformed(fmt::format("header has the key '{}' twice", key));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  // The next character that is no space, or a zero at the end.
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) fail(fmt::format("'{}'", c));
  }

  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("a string");
    const std::size_t begin = at_ + 1;
    const std::size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos || text_.substr(begin, end - begin).find('\\') != std::string_view::npos)
      fail("a string without escapes");
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }

  void descr(npy_header& h) {
    if (const char c = peek(); c == '[' || c == '(')
      npy_unsupported(
          fmt::format("element type {} is structured: only plain numbers are read", npy_shown(text_.substr(at_))));
    set_npy_type(h, string());
  }

  bool boolean() {
    skip_space();
    if (take_word("True")) return true;
    if (take_word("False")) return false;
    fail("True or False");
  }

  // What stands at `begin` in place of an extent, for a message.
  std::string number_at(std::size_t begin) const {
    const auto end = std::min(text_.find_first_of(",) ", begin), text_.size());
    return npy_shown(text_.substr(begin, end - begin));
  }

  std::int64_t extent() {
    const std::size_t begin = at_;
    if (peek() == '-')
      npy_malformed(fmt::format("shape has a negative extent, {}, at byte {}", number_at(at_), base_ + at_));
    std::int64_t value = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
        npy_malformed(fmt::format("shape has an extent that does not fit in 63 bits, {}, at byte {}", number_at(begin),
                                  base_ + begin));
    if (at_ == begin) fail("an extent");
    if (text_[begin] == '0' && at_ - begin > 1)
      npy_malformed(fmt::format("shape has an extent with leading zeros, {}, at byte {}", number_at(begin), base_ + begin));
    if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E'))
      npy_malformed(fmt::format("shape has an extent that is no integer, {}, at byte {}", number_at(begin), base_ + begin));
    if (version_ <= 2) take_word("L");  // Python 2's long, which had no version 3 yet
    return value;
  }

  shape tuple() {
    shape s;
    expect('(');
    for (bool comma = true; !take(')'); comma = take(',')) {
      if (!comma) fail("',' or ')'");
      peek();
      const std::int64_t value = extent();
      if (s.rank() == max_rank)
        npy_unsupported(fmt::format("shape has more extents after {}: at most {} dimensions", s.str(), max_rank));
      s = s.with(value);
      if (s.rank() == 1 && peek() != ',') fail("',': a tuple of one extent has it");
    }
    return s;
  }

  std::string_view text_;
  std::size_t base_;
  int version_;
  std::size_t at_ = 0;
};

// Also of the extents that stand beside a 0, as strides multiply those.
inline void check_npy_size(const npy_header& h) {
  std::int64_t bytes = static_cast<std::int64_t>(std::max(size_of(h.dtype), h.element_bytes()));
  bool fits = true;
  for (const auto extent : h.shape) fits = fits && !__builtin_mul_overflow(bytes, extent > 0 ? extent : 1, &bytes);
  if (!fits || __builtin_add_overflow(bytes, h.data_offset, &bytes))
    npy_malformed(fmt::format("shape {} of {} has more bytes than fit in 63 bits", h.shape.str(), name_of(h.dtype)));
}

inline bool has_npy_magic(std::span<const std::byte> prefix) noexcept {
  return prefix.size() >= npy_magic.size() && std::memcmp(prefix.data(), npy_magic.data(), npy_magic.size()) == 0;
}

}  // namespace files

SLUICE_FUNC std::optional<npy_header> parse_npy_header(std::span<const std::byte> prefix) {
  const std::string_view text(reinterpret_cast<const char*>(prefix.data()), prefix.size());
  const auto at = [&](std::size_t i) { return static_cast<std::size_t>(prefix[i]); };
  const std::size_t common = std::min(text.size(), files::npy_magic.size());
  if (text.substr(0, common) != files::npy_magic.substr(0, common))
    files::npy_malformed(
        fmt::format("it begins with \"{}\", not with the magic \"\\x93NUMPY\"{}",
                    files::npy_shown(text.substr(0, files::npy_magic.size())),
                    text.starts_with("PK\3\4") ? ": an .npz is read by read_npz, and sent as application/zip" : ""));
  if (text.size() < files::npy_magic.size() + 2) return std::nullopt;
  const std::size_t version = at(6);
  if (version < 1 || version > 3 || at(7) != 0)
    files::npy_malformed(fmt::format("version {}.{} is none of 1.0, 2.0, 3.0", version, at(7)));
  const std::size_t begin = version == 1 ? 10 : 12;
  if (text.size() < begin) return std::nullopt;
  const std::size_t length = at(8) | at(9) << 8 | (version == 1 ? 0 : at(10) << 16 | at(11) << 24);
  if (begin + length > npy_header_limit)
    files::npy_malformed(fmt::format("the header claims {} bytes: at most {} are read", length, npy_header_limit - begin));
  if (text.size() < begin + length) return std::nullopt;
  if (length == 0 || text[begin + length - 1] != '\n')
    files::npy_malformed(fmt::format("the header of {} bytes does not end with a newline", length));
  npy_header h = files::npy_header_reader(text.substr(begin, length), begin, static_cast<int>(version)).header();
  h.data_offset = static_cast<std::int64_t>(begin + length);
  files::check_npy_size(h);
  return h;
}

SLUICE_FUNC std::string npy_header_bytes(dtype type, const shape& extents) {
  std::string_view name;
  for (const auto& known : files::npy_types)
    if (known.dtype == type && known.element == npy_element::same) name = known.descr;
  if (name.empty())
    files::npy_unsupported(fmt::format("{} has no .npy type: convert it, as by t.as(sluice::dtype::f32)", name_of(type)));
  const std::string tuple = extents.rank() == 1 ? fmt::format("({},)", extents[0]) : extents.str();
  const char order = type == dtype::u8 ? '|' : '<';
  std::string text = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': {}, }}", order, name, tuple);
  constexpr std::size_t before = files::npy_magic.size() + 4;
  text.append(63 - (before + text.size()) % 64, ' ').push_back('\n');
  std::string bytes(files::npy_magic);
  bytes.append({'\1', '\0', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)}).append(text);
  return bytes;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#include "http/coding.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "codec/media_type.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

constexpr std::size_t long_bytes = 1 << 10;  // a packet has not much less

struct weights {
  std::optional<double> gzip, deflate, identity, others;
  int count = 0;
};

weights weights_in(std::string_view accept) {
  weights w;
  each_weighted(accept, [&](std::string_view name, double weight) {
    ++w.count;
    auto* const of = same_ignoring_case(name, "gzip") || same_ignoring_case(name, "x-gzip") ? &w.gzip
                     : same_ignoring_case(name, "deflate")                                  ? &w.deflate
                     : same_ignoring_case(name, "identity")                                 ? &w.identity
                     : name == "*"                                                          ? &w.others
                                                                                            : nullptr;
    if (of != nullptr) *of = std::max(of->value_or(0), weight);
  });
  return w;
}

bool is_text(std::string_view type) {
  constexpr std::array kinds{"text/", "application/json", "application/problem+json", "image/svg+xml"};
  return std::any_of(kinds.begin(), kinds.end(), [&](std::string_view kind) { return type.starts_with(kind); });
}

}  // namespace

coding_choice choose_coding(std::string_view accept_encoding) {
  const auto w = weights_in(accept_encoding);
  const double others = w.others.value_or(0), gzip = w.gzip.value_or(others), deflate = w.deflate.value_or(others);
  coding_choice c{.alone = w.count == 1, .required = w.identity.value_or(w.others.value_or(1)) == 0};
  if (const double most = std::max(gzip, deflate); most > 0 && most >= w.identity.value_or(0))
    c.name = gzip >= deflate ? "gzip" : "deflate";
  return c;
}

bool is_long_text(const response& answer) { return answer.size() >= long_bytes && is_text(answer.header("Content-Type")); }

void compress_text(response& answer, const request& r) {
  if (!r.compress || answer.status != 200 || answer.write_body || !is_long_text(answer)) return;
  if (!answer.header("Content-Encoding").empty()) return;
  answer.headers.emplace_back("Vary", "Accept-Encoding");
  const auto coding = choose_coding(header(r, "Accept-Encoding")).name;
  if (coding.empty()) return;
  answer.body = r.compress(answer.body, coding);
  answer.headers.emplace_back("Content-Encoding", coding);
  for (auto& [name, value] : answer.headers)  // the bytes are others, and mean the same
    if (name == "ETag" && !value.starts_with("W/")) value = "W/" + value;
}

}  // namespace sluice::serving

// /openapi.json, and the page /docs, which is built from it and loads nothing from other origins.
#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "execution/executor.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"
#include "openapi/page/files.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view root = "/docs/";

std::string_view type_of(std::string_view name) {
  return name.ends_with(".html")  ? "text/html; charset=utf-8"
         : name.ends_with(".css") ? "text/css; charset=utf-8"
         : name.ends_with(".js")  ? "text/javascript; charset=utf-8"
                                  : "image/svg+xml";
}

// FNV-1a: changes when the bytes do.
std::string tag_of(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("\"{:016x}\"", hash);
}

// An answer that a client may keep and revalidate by its tag.
response kept(const request& r, std::string_view type, body_piece body) {
  const auto tag = tag_of(body.bytes);
  const bool same = header(r, "If-None-Match").find(tag) != std::string_view::npos;
  response out{.status = same ? 304 : 200,
               .headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}, {"Content-Type", std::string(type)}}};
  if (!same) out.body.push_back(std::move(body));
  return out;
}

class docs_protocol final : public protocol {
 public:
  docs_protocol(executor& e, std::function<void(document&)> describe_all)
      : executor_(e), describe_all_(std::move(describe_all)) {}

  std::vector<std::string> patterns() const override {
    if (!executor_.options.docs) return {};
    return {R"(/openapi\.json)", "/docs", std::string(root) + "[a-z.]{1,32}"};
  }
  bool owns(std::string_view path) const override {
    return executor_.options.docs && (path == "/openapi.json" || path == "/docs" || path.starts_with(root));
  }

  response answer(const request& r, request_context& record) override {
    record.route = r.path == "/openapi.json" ? "openapi" : "docs";
    if (r.path == "/openapi.json") {
      check_method(r, "GET, HEAD");
      return kept(r, "application/json", text());
    }
    const auto name = r.path == "/docs" ? std::string_view("page.html") : std::string_view(r.path).substr(root.size());
    const auto& files = docs_files();
    const auto file = std::find_if(files.begin(), files.end(), [&](const docs_file& f) { return f.name == name; });
    if (file == files.end()) fail_not_found(r);
    check_method(r, "GET, HEAD");
    auto out = kept(r, type_of(name), {file->bytes, nullptr});
    // Nothing but files of this origin: no scripts or styles in the page itself, no frames around it.
    out.headers.emplace_back(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    out.headers.emplace_back("X-Content-Type-Options", "nosniff");
    out.headers.emplace_back("Referrer-Policy", "no-referrer");
    return out;
  }

  void describe(document& d) const override {
    if (!executor_.options.docs) return;
    d.tag("documents", "What is served, for programs and for people; needs no token");
    const auto get = [&](std::string path, std::string summary, std::vector<content> bodies,
                         std::vector<parameter> parameters = {}) {
      std::vector<int> refusals;
      if (!parameters.empty()) refusals.push_back(404);
      parameters.push_back({.name = "If-None-Match", .summary = "The ETag of what is already there"});
      d.add({.method = "GET",
             .path = std::move(path),
             .tag = "documents",
             .summary = std::move(summary),
             .parameters = std::move(parameters),
             .gives = {{200, "As it is now", std::move(bodies), {"ETag", "Cache-Control"}},
                       {304, "The same still", {}, {"ETag", "Cache-Control"}}},
             .refusals = std::move(refusals),
             .open = true});
    };
    const json_value text_schema = json_object({{"type", "string"}});
    get("/openapi.json", "This document",
        {{.schema = json_object({{"type", "object"}, {"required", json_array({"openapi", "paths"})}})}});
    get("/docs", "A page to try it all from, and to see it at work", {{.type = "text/html", .schema = text_schema}});
    std::vector<std::string> names;
    for (const auto& f : docs_files()) names.emplace_back(f.name);
    get("/docs/{file}", "The page's parts",
        {{.type = "text/html", .schema = text_schema},
         {.type = "text/css", .schema = text_schema},
         {.type = "text/javascript", .schema = text_schema},
         {.type = "image/svg+xml", .schema = text_schema}},
        {{.name = "file", .summary = "Its name", .in = "path", .schema = json_object({{"enum", json_array(names)}})}});
  }

 private:
  // Rebuilt when endpoints came or went, or a repository did.
  body_piece text() {
    const std::pair now(executor_.endpoints.changes(), executor_.repository() != nullptr);
    const std::lock_guard lock(mutex_);
    if (now != described_) {
      document d(!executor_.options.tokens.empty());
      describe_all_(d);
      text_ = body_piece::of(d.text());
      described_ = now;
    }
    return text_;
  }

  executor& executor_;
  const std::function<void(document&)> describe_all_;
  std::mutex mutex_;  // of the next
  body_piece text_{};
  std::optional<std::pair<std::uint64_t, bool>> described_{};
};

}  // namespace

std::unique_ptr<protocol> docs(executor& e, std::function<void(document&)> describe_all) {
  return std::make_unique<docs_protocol>(e, std::move(describe_all));
}

}  // namespace sluice::serving

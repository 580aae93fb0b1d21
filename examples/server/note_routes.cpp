// Plain create, read, update and delete.
#include <charconv>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "body.hpp"
#include "routes.hpp"

namespace {

using nlohmann::json;

constexpr std::size_t longest_text = 64 << 10;
constexpr std::size_t longest_body = 6 * longest_text + 1024;  // every character of the text may come as \u0061
constexpr const char* item_path = R"(/items/([0-9]{1,18}))";

json to_json(const note& n) { return {{"id", n.id}, {"text", n.text}}; }

void answer(httplib::Response& res, int status, const json& body) {
  res.status = status;
  res.set_content(body.dump(), "application/json");
}

// The "text" of {"text": "..."}; answers itself when there is none.
bool read_text(const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader,
               std::string& text) {
  std::string bytes;
  if (!read_body(req, res, reader, longest_body, bytes)) return false;
  // nlohmann::json takes zero bytes after a document for its end.
  const json body =
      bytes.find('\0') == std::string::npos ? json::parse(bytes, nullptr, false) : json(json::value_t::discarded);
  if (body.is_discarded()) return refuse(res, 400, "the body is not JSON"), false;
  if (!body.is_object() || body.size() != 1 || !body.contains("text") || !body["text"].is_string())
    return refuse(res, 422, R"(the body must be {"text": "..."})"), false;
  text = body["text"].get<std::string>();
  if (text.size() > longest_text)
    return refuse(res, 413, "text has " + std::to_string(text.size()) + " bytes: at most " + std::to_string(longest_text)),
           false;
  return true;
}

std::int64_t id_of(const httplib::Request& req) { return std::stoll(req.matches[1].str()); }

void no_such_note(httplib::Response& res, std::int64_t id) { refuse(res, 404, "there is no note " + std::to_string(id)); }

// A whole number in a query parameter, or `otherwise`; answers 422 itself when it is none, or beyond the bounds.
bool read_number(const httplib::Request& req, httplib::Response& res, const char* key, std::int64_t low, std::int64_t high,
                 std::int64_t& value) {
  if (!req.has_param(key)) return true;
  const std::string text = req.get_param_value(key);
  const auto end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, value);
  if (failure == std::errc() && rest == end && value >= low && value <= high) return true;
  refuse(res, 422, std::string(key) + " must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return false;
}

// For the methods that no route of `pattern` takes: 405, with those that are taken.
void add_not_allowed(httplib::Server& server, const std::string& pattern, const std::string& allowed) {
  const auto answer = [allowed](const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader) {
    std::string body;
    if (!read_body(req, res, reader, 0, body) && res.status != 413) return;
    res.set_header("Allow", allowed);
    refuse(res, 405, req.path + " takes " + allowed + ", not " + req.method);
  };
  const auto takes = [&](const char* method) { return allowed.find(method) != std::string::npos; };
  if (!takes("POST")) server.Post(pattern, answer);
  if (!takes("PUT")) server.Put(pattern, answer);
  if (!takes("PATCH")) server.Patch(pattern, answer);
  if (!takes("DELETE")) server.Delete(pattern, answer);
}

}  // namespace

void add_note_routes(httplib::Server& server, note_store& notes) {
  server.Get("/items", [&notes](const httplib::Request& req, httplib::Response& res) {
    std::int64_t after = 0;
    std::int64_t limit = 100;
    if (!read_number(req, res, "after", 0, INT64_MAX, after) || !read_number(req, res, "limit", 1, 1000, limit)) return;
    json list = json::array();
    for (const auto& n : notes.list(after, static_cast<int>(limit))) list.push_back(to_json(n));
    answer(res, 200, {{"items", std::move(list)}});
  });
  server.Post("/items", [&notes](const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader) {
    std::string text;
    if (!read_text(req, res, reader, text)) return;
    const note n = notes.add(text);
    res.set_header("Location", "/items/" + std::to_string(n.id));
    answer(res, 201, to_json(n));
  });
  server.Get(item_path, [&notes](const httplib::Request& req, httplib::Response& res) {
    const auto n = notes.find(id_of(req));
    n ? answer(res, 200, to_json(*n)) : no_such_note(res, id_of(req));
  });
  server.Put(item_path, [&notes](const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader) {
    note n{id_of(req), {}};
    if (!read_text(req, res, reader, n.text)) return;
    notes.update(n) ? answer(res, 200, to_json(n)) : no_such_note(res, n.id);
  });
  server.Delete(item_path,
                [&notes](const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader) {
                  std::string ignored;
                  if (!read_body(req, res, reader, longest_body, ignored)) return;
                  if (!notes.remove(id_of(req))) return no_such_note(res, id_of(req));
                  res.status = 204;
                });
  add_not_allowed(server, "/items", "GET, HEAD, POST");
  add_not_allowed(server, item_path, "GET, HEAD, PUT, DELETE");
}

#include "access_log.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <random>
#include <system_error>

namespace {

using std::chrono::steady_clock, std::chrono::system_clock;

// What this thread is answering. Without an id it is sluice's to log.
struct answering {
  system_clock::time_point came = system_clock::now();
  steady_clock::time_point begin = steady_clock::now();
  std::string id{};
};
thread_local answering current;

std::string fresh_id() {
  std::random_device random;
  char text[33];
  std::snprintf(text, sizeof text, "%08x%08x%08x%08x", random(), random(), random(), random());
  return text;
}

bool is_plain(const std::string& id) {
  return !id.empty() && id.size() <= 64 &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

}  // namespace

access_log::access_log(const std::string& path) {
  if (path.empty()) return;
  file_.reset(path == "-" ? stdout : std::fopen(path.c_str(), "ae"));
  if (!file_) throw std::system_error(errno, std::generic_category(), path);
  std::setvbuf(file_.get(), nullptr, _IOLBF, 1 << 16);  // a line at a time, whole
}

void access_log::close::operator()(std::FILE* f) const noexcept {
  if (f != stdout) std::fclose(f);
}

void access_log::watch(httplib::Server& server) const {
  if (!file_) return;
  server.set_pre_routing_handler([](const httplib::Request&, httplib::Response&) {
    current = {};
    return httplib::Server::HandlerResponse::Unhandled;
  });
  server.set_post_routing_handler([](const httplib::Request& req, httplib::Response& res) {
    current.id.clear();
    if (res.has_header("X-Request-Id")) return;
    const std::string theirs = req.get_header_value("X-Request-Id");
    current.id = is_plain(theirs) ? theirs : fresh_id();
    res.set_header("X-Request-Id", current.id);
  });
  server.set_logger([this](const httplib::Request& req, const httplib::Response& res) {
    if (current.id.empty()) return;
    write({.time = current.came,
           .request_id = current.id,
           .method = req.method,
           .route = req.path,
           .status = res.status,
           .bytes_in = std::atoll(req.get_header_value("Content-Length").c_str()),
           .bytes_out = static_cast<std::int64_t>(res.body.size()),
           .seconds = std::chrono::duration<double>(steady_clock::now() - current.begin).count(),
           .client = req.remote_addr});
  });
}

void access_log::write(const sluice::access_record& r) const {
  if (file_) std::fputs((r.json() + "\n").c_str(), file_.get());
}

// What nothing is served at, and what goes wrong: answers of problem+json as everywhere.
#include "body.hpp"
#include "routes.hpp"

void add_other_routes(httplib::Server& server) {
  // httplib keeps the body of a request that no route takes, of whatever size: here it is thrown away.
  const auto not_found = [](const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader) {
    std::string body;
    if (read_body(req, res, reader, 0, body) || res.status == 413)
      refuse(res, 404, "nothing takes " + req.method + " at " + req.path);
  };
  server.Post(".*", not_found).Put(".*", not_found).Patch(".*", not_found).Delete(".*", not_found);
  server.set_error_handler([](const httplib::Request& req, httplib::Response& res) {
    if (res.has_header("Content-Type")) return;  // it has its words
    // httplib would send the ranges of a refusal that were asked of a result. (Its own request is not const.)
    const_cast<httplib::Request&>(req).ranges.clear();
    refuse(res, res.status,
           res.status == 404 ? "nothing takes " + req.method + " at " + req.path : "the request cannot be read");
  });
  // By itself httplib would show the words of an exception to the client.
  server.set_exception_handler([](const httplib::Request& req, httplib::Response& res, std::exception_ptr) {
    refuse(res, 500, req.method + " " + req.path + " failed");
  });
}

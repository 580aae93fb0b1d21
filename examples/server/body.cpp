#include "body.hpp"

#include "sluice/service/message.hpp"

void refuse(httplib::Response& res, int status, const std::string& detail) {
  const auto answer = sluice::problem(status, status >= 500 ? "internal" : "refused", detail);
  res.status = status;
  res.set_content(answer.text(), std::string(answer.header("Content-Type")));
}

bool read_body(const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader, std::size_t limit,
               std::string& body) {
  if (!req.has_header("Content-Length") && !req.has_header("Transfer-Encoding")) return true;
  if (req.is_multipart_form_data()) {
    reader([](const auto&) { return true; }, [](const char*, std::size_t) { return true; });
    return refuse(res, 415, "a form is not taken here: send application/json"), false;
  }
  std::size_t size = 0;
  const bool whole = reader([&](const char* data, std::size_t n) {
    if (size <= limit) size += n;
    if (size <= limit) body.append(data, n);
    return true;
  });
  if (size > limit) return refuse(res, 413, "the body has more than " + std::to_string(limit) + " bytes"), false;
  if (!whole)
    return refuse(res, 400, "the body ended, or could not be decoded, after " + std::to_string(size) + " bytes"), false;
  return true;
}

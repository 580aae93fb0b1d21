#include "body.hpp"

#include "sluice/service/message.hpp"

void refuse(httplib::Response& res, int status, const std::string& detail) {
  const auto answer = sluice::problem(status, status >= 500 ? "internal" : "refused", detail);
  res.status = status;
  res.set_content(answer.text(), std::string(answer.header("Content-Type")));
}

// The last that is said on a connection: only a provider that reports a failure has httplib close it.
static void refuse_and_close(httplib::Response& res, int status, const std::string& detail) {
  const auto answer = sluice::problem(status, "refused", detail);
  res.status = status;
  res.set_header("Connection", "close");
  res.set_content_provider(answer.size(), std::string(answer.header("Content-Type")),
                           [text = answer.text()](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                             sink.write(text.data() + offset, length);
                             return false;
                           });
}

bool read_body(const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader, std::size_t limit,
               std::string& body) {
  if (!req.has_header("Content-Length") && !req.has_header("Transfer-Encoding")) return true;
  // httplib 0.11.4 leaves the chunks of a DELETE unread, and would take them for the next request.
  if (req.method == "DELETE" && req.has_header("Transfer-Encoding"))
    return refuse_and_close(res, 411, "the body of a DELETE needs a Content-Length"), false;
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

// One request of httplib's for the service, and the answer back.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/httplib/coding.hpp"
#include "sluice/httplib/server_extensions.hpp"
#include "sluice/httplib/thread_pool.hpp"
#include "sluice/service.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

namespace detail {

// How a request announces its body, and why it cannot be read. httplib takes the first of several Content-Lengths and reads
// "abc" as 0, which lets a second request hide in a body: a request that two parsers could end in different places is
// refused.
struct framing : body_framing {
  std::string error{};  // empty: none
  int status = 400;
};

inline framing framing_of(const httplib::Request& req) {
  framing f;
  if (const auto* const known = owned_request::framing_of(req)) return {*known};
  const auto refuse = [&](bool chunked, std::string error, int status = 400) {
    return framing{{chunked, chunked ? 0 : 1}, std::move(error), status};
  };
  const std::string *coding = nullptr, *length = nullptr;  // the first of each
  bool codings = false;                                    // more than one
  for (const auto& [name, value] : req.headers) {
    if (name.find_first_of(" \t\v\f\r\n") != std::string::npos)
      return {{}, "a header name contains a blank: \"" + name + "\""};
    if (same_ignoring_case(name, "Transfer-Encoding")) {
      codings = coding != nullptr;
      if (!codings) coding = &value;
    } else if (length == nullptr && same_ignoring_case(name, "Content-Length")) {
      length = &value;
    }
  }
  if (coding != nullptr) {
    f.chunked = true;
    if (codings || !same_ignoring_case(*coding, "chunked"))
      return refuse(true, "Transfer-Encoding is \"" + *coding + "\": only \"chunked\" is supported", 501);
    if (length != nullptr) return refuse(true, "both Transfer-Encoding and Content-Length are present");
    return f;
  }
  if (length == nullptr) return f;
  for (const auto& [name, text] : req.headers) {
    if (!same_ignoring_case(name, "Content-Length")) continue;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), f.length);
    if (error != std::errc{} || end != text.data() + text.size() || f.length < 0 || text.front() == '-')
      return refuse(false, "Content-Length is \"" + text + "\": not a number of bytes");
    if (text != *length) return refuse(false, "two Content-Length headers differ: " + *length + " and " + text);
  }
  return f;
}

// Translates one request of httplib's for the service, and the answer back. Lives within the handler's call.
class exchange {
 public:
  exchange(service& s, std::string path, const httplib::Request& req, httplib::Response& res,
           const httplib::ContentReader* reader)
      : service_(s), path_(std::move(path)), req_(const_cast<httplib::Request&>(req)), res_(res), reader_(reader) {
    // httplib's own object is not const. Ranges are cleared: httplib 0.11.4 would repeat the answer for each of them.
    req_.ranges.clear();
  }

  void run() {
    framing_ = framing_of(req_);
    auto answer = refused();
    if (!answer) answer = service_.handle(translated());
    send(std::move(*answer));
  }

 private:
  std::optional<response> refused() const {
    const auto refusal = [this](int status, const char* code, const std::string& detail) {
      return service_.refusal(path_, status, code, "[http] " + detail);
    };
    if (!framing_.error.empty()) return refusal(framing_.status, "malformed", framing_.error);
    // A hardened server has looked, for all routes.
    if (owned_request::under_way(req_) == nullptr && changes_something(req_.method) &&
        is_cross_site(req_.get_header_value("Sec-Fetch-Site"), req_.get_header_value("Origin"),
                      req_.get_header_value("Host"), service_.options().origins))
      return refusal(403, "forbidden", "a web page of another origin may not change anything here");
    if (!framing_.has_body()) return std::nullopt;
    if (!coding_ || req_.get_header_value_count("Content-Encoding") > 1)
      return refusal(
          415, "unsupported",
          "Content-Encoding is \"" + req_.get_header_value("Content-Encoding") + "\": this server does not decode it");
    // Only decoded bytes are counted below, and a compressed stream can be endless without yielding any.
    if (framing_.chunked && !coding_->empty() && !long_)
      return refusal(411, "malformed", "a compressed body needs a Content-Length");
    return std::nullopt;
  }

  request translated() {
    request r;
    r.method = req_.method;
    r.path = path_;
    if (const auto at = req_.target.find('?'); at != std::string::npos) r.query = req_.target.substr(at + 1);
    r.header = [this](std::string_view name) -> std::string_view {
      for (const auto& [key, value] : req_.headers)  // few headers: a scan is faster than httplib's look-up
        if (same_ignoring_case(key, name)) return value;
      return {};
    };
    r.client = req_.remote_addr;
    r.gone = gone(req_);
    if (auto* const pool = thread_pool::of_this_thread()) r.begin_wait = [pool] { return pool->begin_wait(); };
    if (auto* const own = owned_request::under_way(req_)) {
      r.begin_wait = [own] { return own->begin_wait(); };
      r.gone = [own] { return own->is_gone(); };
    }
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
    r.compress = compressed;
#endif
    if (framing_.has_body()) {
      r.content_length = framing_.chunked ? -1 : framing_.length;
      r.compressed = !coding_->empty();
      if (reader_ != nullptr) r.read_body = [this](const body_receiver& take) { return read(take); };
      if (std::shared_ptr<decoder> coded = decoder_for(*coding_); coded && reader_ != nullptr) {
        r.read_encoded = [this](const body_receiver& take) { return read_encoded(take); };
        r.decode = [coded](std::string_view bytes, const body_receiver& take) {
          return bytes.empty() ? coded->at_end() : coded->decode(bytes, take);
        };
      }
      if (auto* const direct = owned_request::with_body(req_); direct != nullptr && reader_ != nullptr)
        r.read_some = [this, direct](char* to, std::size_t size) { return read_some(*direct, to, size); };
    }
    return r;
  }

  // After `take` returns false the rest is discarded, at most limits.body_bytes, so that a client that is still sending can
  // read the answer.
  bool read(const body_receiver& take) {
    // httplib would parse a multipart body itself, with regular expressions that overflow the stack on long lines.
    const header_set_aside type(req_, "Content-Type");
    const header_set_aside encoding(req_, "Content-Encoding");
    const auto coded = decoder_for(*coding_);
    if (!coded) return read_as_it_is(take);
    return read_as_it_is([&](std::string_view bytes) { return coded->decode(bytes, take); }) && coded->at_end();
  }

  bool read_encoded(const body_receiver& take) {
    const header_set_aside type(req_, "Content-Type"), encoding(req_, "Content-Encoding");
    return read_as_it_is(take);
  }

  bool read_as_it_is(const body_receiver& take) {
    bool taking = true;
    std::int64_t spare = long_ ? 0 : service_.options().limits.body_bytes;
    drained_ = (*reader_)([&](const char* data, std::size_t size) {
      if (taking) {
        try {
          taking = take({data, size});
        } catch (...) {  // httplib does not catch it
          taking = false;
        }
        return taking || spare > 0;
      }
      spare -= static_cast<std::int64_t>(size);
      return spare > 0;
    });
    detail::mark_read(req_);
    return drained_ && taking;
  }

  std::ptrdiff_t read_some(owned_request& from, char* to, std::size_t size) {
    const auto n = from.read_body(to, size);
    direct_ += n > 0 ? n : 0;
    drained_ = n >= 0 && direct_ == framing_.length;
    return n;
  }

  // True if the client has gone: 0.18 and newer can tell, 0.11.4 gives no access to its socket.
  template <class Request>
  static std::function<bool()> gone(const Request& r) {
    if constexpr (requires { r.is_connection_closed; })
      return r.is_connection_closed;
    else
      return nullptr;
  }

  static bool is_long(std::string_view path) noexcept {
    const auto all = service::long_bodies();
    return std::find(all.begin(), all.end(), path) != all.end();
  }

  // Up to 0.22 the unread body is read here: closing with unread bytes would reset the connection before the answer is read.
  // (There the reader refers to nothing that ends with the handler; in later versions it does.)
  template <class Request>
  static constexpr bool reader_outlives_handler = requires(Request& r) {
    r.files;
  };

  void send(response&& answer) {
    const bool close = !framing_.error.empty() || (framing_.has_body() && !drained_);
    // A body with broken framing has no known end; for a DELETE without a body httplib would read the next request as one.
    const bool owned =
        owned_request::under_way(req_) != nullptr;  // by a server that drops the rest itself, without a thread
    if (!framing_.error.empty() || long_ || !framing_.has_body() || (close && owned)) detail::mark_read(req_);
    // httplib closes no connection after an answer to HEAD: it takes it for a GET whose body breaks off before its first
    // byte.
    const bool head_only = close && req_.method == "HEAD";
    if (head_only) req_.method = "GET";
    res_.status = answer.status;
    std::string type = "application/octet-stream";
    for (auto& [name, value] : answer.headers) {
      if (name == "Content-Type")
        type = std::move(value);
      else if (name == "Location" && req_.path.ends_with(path_))  // the service does not know its prefix
        res_.set_header(name, req_.path.substr(0, req_.path.size() - path_.size()) + value);
      else
        res_.set_header(name, value);
    }
    if (!owned) res_.set_header("Date", http_date());
    if (close && req_.get_header_value("Connection") != "close")
      res_.set_header("Connection", "close");  // else httplib does
    std::optional<httplib::ContentReader> rest;
    if constexpr (reader_outlives_handler<httplib::Request>)
      if (close && !owned && reader_ != nullptr && !framing_.chunked && !long_ && framing_.error.empty()) rest = *reader_;
    const std::size_t size = answer.size();
    const bool in_chunks = answer.write_body && answer.content_length < 0;
    if (head_only) return send_head(size, type, in_chunks);
    if ((answer.status == 204 || answer.status == 304) &&
        !close)  // they have no length: httplib gives 0 where there is no provider
      return res_.set_content_provider(
          type, [under_way = under_way_](std::size_t, httplib::DataSink& sink) { return sink.done(), true; });
    if (size == 0 && !close && !in_chunks) return;  // httplib 0.11.4 would call a provider of 0 bytes for ever
    const auto sent = [close, rest, under_way = under_way_, sending = std::move(answer.sending),
                       spare = service_.options().limits.body_bytes] { return !(close && linger(rest, spare)); };
    if (in_chunks) return send_chunks(type, std::move(answer.write_body), sent);
    // A content provider: httplib would compress a string in this thread, and copy it.
    if (answer.write_body)
      return res_.set_content_provider(size, type,
                                       [write_body = std::move(answer.write_body), left = answer.content_length, sent](
                                           std::size_t, std::size_t, httplib::DataSink& sink) mutable {
                                         const int going = write(write_body, sink, left);
                                         return going >= 0 && (left == 0 ? sent() : going > 0);
                                       });
    auto pieces = std::make_shared<const std::vector<body_piece>>(std::move(answer.body));
    res_.set_content_provider(size, type, [pieces, sent](std::size_t offset, std::size_t, httplib::DataSink& sink) {
      return write(*pieces, offset, sink) && sent();
    });
  }

  void send_head(std::size_t size, const std::string& type, bool in_chunks) {
    const auto nothing = [](auto&&...) { return false; };
    if (in_chunks) return res_.set_chunked_content_provider(type, nothing);
    res_.set_content_provider(size, type, nothing);
  }

  // HTTP/1.0 has no chunked bodies: the body ends with the connection.
  template <class Sent>
  void send_chunks(const std::string& type, std::function<bool(const body_receiver&)> write_body, Sent sent) {
    req_.headers.erase("Accept-Encoding");  // httplib would compress the chunks in this thread
    const bool old = req_.version == "HTTP/1.0";
    const auto provider = [old, write_body = std::move(write_body), sent](std::size_t, httplib::DataSink& sink) {
      std::int64_t unlimited = 0;
      const int going = write(write_body, sink, unlimited);
      if (going != 0) return going > 0;
      sink.done();
      return sent() && !old;
    };
    if (!old) return res_.set_chunked_content_provider(type, provider);
    res_.set_header("Connection", "close");
    res_.set_content_provider(type, provider);
  }

  // One call of write_body: 1: call again, 0: it was the last, -1: the client is gone or it failed. Counts down `left`.
  static int write(const std::function<bool(const body_receiver&)>& write_body, httplib::DataSink& sink,
                   std::int64_t& left) noexcept try {
    bool taken = true;
    const bool more = write_body([&](std::string_view bytes) {
      left -= static_cast<std::int64_t>(bytes.size());
      return taken = taken && (bytes.empty() || sink.write(bytes.data(), bytes.size()));
    });
    return !taken ? -1 : more ? 1 : 0;
  } catch (...) {
    return -1;
  }

  // Writes all that is left in one call. An exception here would end the process.
  static bool write(const std::vector<body_piece>& pieces, std::size_t offset, httplib::DataSink& sink) noexcept try {
    for (const auto& piece : pieces) {
      if (offset < piece.bytes.size() && !sink.write(piece.bytes.data() + offset, piece.bytes.size() - offset)) return false;
      offset -= std::min(offset, piece.bytes.size());
    }
    return true;
  } catch (...) {
    return false;
  }

  // Always true; send() inverts it: a provider that fails is the only way to make httplib close the connection.
  static bool linger(const std::optional<httplib::ContentReader>& rest, std::int64_t spare) noexcept try {
    if (rest)
      (*rest)([&](const char*, std::size_t size) {
        spare -= static_cast<std::int64_t>(size);
        return spare > 0;
      });
    return true;
  } catch (...) {
    return true;
  }

  service& service_;
  std::string path_;  // the service's
  httplib::Request& req_;
  httplib::Response& res_;
  const httplib::ContentReader* reader_;
  framing framing_;
  // Of the body; none: it cannot be decoded.
  const std::optional<std::string_view> coding_ = decoded_coding(req_.get_header_value("Content-Encoding"));
  const bool long_ = is_long(path_);  // a body of any length: the rest of a refused one is not read
  std::int64_t direct_ = 0;           // bytes of the body read past httplib
  bool drained_ = false;
  std::shared_ptr<void> under_way_ = service_.begin_request();
};

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice

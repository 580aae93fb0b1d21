// A way past httplib to the body of a request: httplib reads 4 KiB at a time, and hands on a copy.
#pragma once

#include <httplib.h>

#include <cstddef>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {

// httplib 0.38 and newer reads an unread body itself after the answer; what was read in part is not to be read again.
template <class Request>
void mark_read(Request& r) {
  if constexpr (requires { r.body_consumed_; }) r.body_consumed_ = true;
}

// A server that owns its connections opens it while it has a request answered; a handler finds it by that request.
class direct_body {
 public:
  direct_body() = default;
  direct_body(const direct_body&) = delete;
  direct_body& operator=(const direct_body&) = delete;

  // The next bytes of the body, `size` at most, to `to`: how many; 0 at its end, -1 when it broke off. Waits for the first.
  virtual std::ptrdiff_t read_body(char* to, std::size_t size) = 0;

  // That of `r`; null where the server has none, and for a body that is in chunks or compressed.
  static direct_body* of(const httplib::Request& r) noexcept {
    return open != nullptr && open->request_ == &r ? open : nullptr;
  }

 protected:
  ~direct_body() { close(); }
  void open_for(httplib::Request& r) noexcept {
    request_ = &r;
    open = this;
  }
  // The body is read this way, and not by httplib.
  void take() { mark_read(*request_); }
  void close() noexcept {
    if (open == this) open = nullptr;
  }

 private:
  httplib::Request* request_ = nullptr;
  inline static thread_local direct_body* open = nullptr;
};

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice

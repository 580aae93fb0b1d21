// Codings of answers: what Accept-Encoding asks for, and which answers are compressed.
#pragma once

#include <string_view>

#include "sluice/service/message.hpp"

namespace sluice::serving {

struct coding_choice {
  std::string_view name{};  // "gzip" or "deflate"; empty: as it is
  bool alone = false;       // the client lists no other
  bool required = false;    // it does not take an answer as it is
};

// By the weights of an Accept-Encoding header (RFC 9110, 12.5.3). Of equal ones gzip comes first, and an answer as it is
// last.
coding_choice choose_coding(std::string_view accept_encoding);

// Whether an answer of this size in text is compressed for a client that lists codings among others, as HTTP libraries do
// unasked.
bool is_long_text(const response& answer);

// `answer`, of no call, in the coding that the request asks for, where it is long text and the transport has one.
void compress_text(response& answer, const request& r);

}  // namespace sluice::serving

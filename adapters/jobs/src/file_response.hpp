// A file as an answer: whole, a range of it, or 304 when the client has it already.
#pragma once

#include "sluice/impl/base/file.hpp"
#include "sluice/service/message.hpp"

namespace sluice::serving {

// To a GET or HEAD request. The file never changes as long as it has this strong `tag`, of visible characters without '"'.
// Of several ranges asked for at once none is served: the answer is the whole, as RFC 9110 has it. Throws http_error (416)
// for a range that is not there.
response file_response(const request& r, base::file_descriptor file, std::string_view type, std::string_view tag);

}  // namespace sluice::serving

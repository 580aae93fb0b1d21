// Bodies of the application's own routes, in bounded memory.
#pragma once

#include <httplib.h>

#include <string>

// An application/problem+json answer.
void refuse(httplib::Response& res, int status, const std::string& detail);

// Keeps a body of at most `limit` bytes, decoded, in `body`. Whatever comes in place of it is read to its end and thrown
// away, so that the connection can go on; false then, with the answer in `res`: 413, 415 for a form, 400 for a body that
// breaks off, 411 for a DELETE in chunks, which also closes the connection.
bool read_body(const httplib::Request& req, httplib::Response& res, const httplib::ContentReader& reader, std::size_t limit,
               std::string& body);

// The application's own routes.
#pragma once

#include <httplib.h>

#include "notes.hpp"
#include "sluice/service.hpp"

// GET and POST /items, GET, PUT and DELETE /items/ID: notes as {"id": 1, "text": "..."}.
void add_note_routes(httplib::Server& server, note_store& notes);

// POST /gpu_multiply {"matrix": [[...]]}: the product with a matrix of ones of the same extents, as {"result": [[...]]}.
void add_multiply_route(httplib::Server& server, sluice::service& service);

// Everything else, for after the others: 404 and what goes wrong, as problem+json.
void add_other_routes(httplib::Server& server);

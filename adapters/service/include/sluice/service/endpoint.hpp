// One row of the catalogue: what an endpoint is called, takes and gives. JSON, .npy bodies and the metrics are derived from
// it.
//
//     service.add({.name = "scale",
//                  .summary = "Twice a matrix",
//                  .inputs = {{.name = "a", .dtypes = {sluice::dtype::f32}, .min_rank = 2, .max_rank = 2}},
//                  .outputs = {{.name = "result"}},
//                  .run = [](std::span<const sluice::tensor> in, const sluice::call_context& c) {
//                    return std::vector{my_scale(in[0].to(c.where), 2)};
//                  }});
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sluice/placement.hpp"

namespace sluice {
inline namespace v0 {

// One tensor that goes in or comes out.
struct field {
  std::string name{};                             // letters, digits and '_'
  std::vector<sluice::dtype> dtypes{dtype::f32};  // that are taken; the first is what JSON without a "dtype" is read as
  int min_rank = 0;
  int max_rank = sluice::max_rank;
  std::string summary{};
};

struct call_context {
  device where;  // service_options::device: pass it on, or leave the choice to placement with `automatic`
};

struct endpoint {
  std::string name{};     // letters, digits, '_' and '-', at most 64: served at /v1/NAME
  std::string summary{};  // one line
  std::vector<field> inputs{};
  std::vector<field> outputs{};  // as many as `run` returns; "result" is the name for a single one
  // Called from any number of threads at once, with inputs on the CPU whose dtype and rank fit `inputs`. Results may be on
  // any device. A sluice::error becomes an answer by status_of(); anything else that is thrown is a 500 without its text.
  std::function<std::vector<tensor>(std::span<const tensor>, const call_context&)> run{};
  // Whether JSON answers hold "shape", "dtype" and "device" beside the outputs.
  bool described = true;
  // What a call would cost, for placement and admission. May be null: not known.
  std::function<sluice::work(std::span<const tensor>)> estimate{};
};

}  // namespace v0
}  // namespace sluice

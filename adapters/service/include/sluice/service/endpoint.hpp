/// @file
/// One row of the catalogue: what an endpoint is called, takes and gives. JSON, .npy bodies, models of the Open Inference
/// Protocol and the metrics are derived from it.
///
///     service.add({.name = "scale",
///                  .summary = "Twice a matrix",
///                  .inputs = {{.name = "a", .dtypes = {sluice::dtype::f32}, .min_rank = 2, .max_rank = 2}},
///                  .outputs = {{.name = "result"}},
///                  .run = [](std::span<const sluice::tensor> in, const sluice::call_context& c) {
///                    return std::vector{my_scale(in[0].to(c.where), 2)};
///                  }});
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/placement.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// One tensor that goes in or comes out.
struct field {
  std::string name{};                             ///< letters, digits and any of "_-.:/"
  std::vector<sluice::dtype> dtypes{dtype::f32};  ///< that are taken; the first is what JSON without a "dtype" is read as
  int min_rank = 0;                               ///< dimensions at least
  int max_rank = sluice::max_rank;                ///< dimensions at most
  std::string summary{};                          ///< one line, for the documents
  /// Rank reported in v2 metadata, which can state only one. 0: use min_rank, or 1 if min_rank is 0 and max_rank is not.
  int usual_rank = 0;
  /// Of an output: its dtype for a given dtype of the first input. Null: the same if it is among `dtypes`, else the first of
  /// them.
  std::function<sluice::dtype(sluice::dtype)> dtype_for{};
  /// What its elements are: pictures come and go as image files, too, where sluice::image was built.
  field_kind kind = field_kind::numbers;
  /// Where not empty, its shape, -1 for any extent, in the place of min_rank and max_rank. An input of another shape is
  /// refused with both shapes (422, under /v2 400) before `prepare`; an output's is not checked. Metadata of v2 and the
  /// documents show it. Image files are decoded to the 1 or 3 channels that are the last of a picture's 3 extents.
  std::vector<std::int64_t> extents{};
  /// Of an output of integers, names of its values: JSON holds labels[i] in the place of i, and under /v2 it is BYTES. Files
  /// (.npy) hold the numbers. UTF-8. A value that is none of 0 ... size - 1 is an internal error. Null: numbers.
  std::shared_ptr<const std::vector<std::string>> labels{};
};

/// One of the precisions that a client may ask for: ?precision=NAME.
struct precision_choice {
  std::string name{};     ///< letters, digits and '_'
  std::string summary{};  ///< one line, for the documents
};

/// A number or a name that a client may set: ?NAME=VALUE, or a member of JSON, a part of a form or a parameter of v2 so
/// called.
struct call_parameter {
  std::string name{};                  ///< letters, digits and '_'
  std::string summary{};               ///< one line, for the documents
  double usual = 0;                    ///< where it is not set: the number, or the place of the name in `choices`
  std::vector<std::string> choices{};  ///< the names that it can be; empty: any finite number
};

/// What an endpoint knows of a call, beside its inputs.
struct call_context {
  device where;  ///< the device that placement chose, if there is an estimate; else service_options::device, perhaps
                 ///< `automatic`: pass it on
  /// When the client stops waiting. A call whose deadline has passed is not begun.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  /// The name of one of endpoint::precisions: of the one asked for, else of the first; empty where there are none.
  std::string_view precision{};
  /// The values of endpoint::parameters, in their order; of a name, its place in `choices`. Empty: the usual ones.
  std::span<const double> parameters{};
  std::uint64_t priority = 0;  ///< as the client gave it: 1 is the highest, 0 none
  /// Headers for requests that the endpoint makes itself: X-Request-Id and traceparent (W3C Trace Context), valid during
  /// `run`.
  std::string_view request_id{};
  std::string_view traceparent{};  ///< likewise
};

/// How the inputs of several calls become those of one.
enum class joining {
  stacked,  ///< along a new first dimension: their shapes are equal
  rows      ///< along the first dimension, which all inputs have and which counts rows: their other extents are equal
};

/// How calls that wait run as one batch. They join where device, precision, parameters, dtypes and shapes are equal, of
/// joining::rows but for the number of rows. `run` then gets inputs on the device that placement chose, and the context of
/// one of the calls; the first extent of each of its results counts calls, or rows. Where it throws, each call is computed
/// alone, so that an error stays with its call. For endpoints with an estimate.
///
/// What waits when a device is free runs at once, the higher priority first; a call that finds its device, or a worker, free
/// runs at once, alone. There are no timers: nothing waits for calls that might come. On the CPU, where the calls that wait
/// for a worker are still to be decoded, those at the head of the queue are decoded before a batch of them runs, where
/// `seconds` says that it pays and no deadline forbids it. A call that is late, or whose client has disconnected, leaves
/// before it runs. Of joining::rows a call of more rows than `limit` is split; its parts join others, and its answer is
/// complete or an error: `run` never gets more than `limit`.
struct gather_rule {
  std::int64_t limit = 0;         ///< calls (stacked) or rows of a batch at most; below 2: each call runs alone
  int least_rank = 0;             ///< of each input before it joins; below, calls run alone
  joining by = joining::stacked;  ///< how inputs join
  bool on_cpu = false;            ///< also calls that are placed on the CPU: as many batches at once as there are workers
  /// Endpoints with the same one join each other's batches: their `run` does the same with what it gets, and reads no
  /// parameters, which then need not be equal. Null: calls of this endpoint alone join.
  std::shared_ptr<const void> same{};
  /// Seconds that `run` takes for so many calls or rows on a device, as measured. Of what waits, a batch takes as much as
  /// gives the most rows a second, half of that where it gives 95% of them, and less where a call would else miss its
  /// deadline; and on a GPU a second batch, of half of all rows under way or more, begins while the first is computed, so
  /// that its inputs travel meanwhile. Null: all that waits, one batch at a time.
  std::function<double(const device&, std::int64_t)> seconds{};
};

/// A row of the catalogue.
struct endpoint {
  std::string name{};     ///< letters, digits, '_' and '-', at most 64: served at /v1/NAME and /v2/models/NAME
  std::string summary{};  ///< one line
  /// A whole number from 1. Rows of one name differ in it: each is served at /v2/models/NAME/versions/VERSION, and the
  /// highest at the paths that name none, /v1/NAME included.
  std::string version = "1";
  std::string platform = "sluice";  ///< what runs it, for v2 metadata: "onnxruntime_onnx"
  std::vector<field> inputs{};      ///< in the order that `run` gets them
  std::vector<field> outputs{};     ///< as many as are answered; "result" is the name for a single one
  /// Called from any number of threads at once, with inputs on the CPU whose dtype and rank fit `inputs`, or with what
  /// `prepare` made of them. Results may be on any device. A sluice::error becomes an answer by status_of(); any other
  /// exception is a 500 without its text.
  std::function<std::vector<tensor>(std::span<const tensor>, const call_context&)> run{};
  /// Called once a call, on a worker, before it is placed and before it joins others, with inputs that fit `inputs`: returns
  /// what `run` takes in their place, on the CPU. `estimate`, `results`, `gather` and the limits of elements see that. What
  /// it throws is answered as with `run`, and concerns this call alone. May be null.
  std::function<std::vector<tensor>(std::vector<tensor>, const call_context&)> prepare{};
  /// Called once a call with its own results of `run`, which are on the CPU: returns what is answered, one for each of
  /// `outputs`. Then `results` tells what is answered, and the estimate's result_bytes what `run` returns. May be null.
  std::function<std::vector<tensor>(std::vector<tensor>, const call_context&)> finish{};
  /// Whether JSON answers hold "shape", "dtype" and "device" beside the outputs.
  bool described = true;
  /// Where not empty, JSON answers under /v1 list the outputs as records under this name, one for each place, with a member
  /// for each output: {"predictions": [{"label": "tabby", "probability": 0.83}, ...], "device": "cpu"}, without "shape" and
  /// "dtype". The outputs then have equal shapes of rank 1, or of rank 2: a list of such lists. Other forms of answers are
  /// not affected.
  std::string records{};
  /// What a call would cost, for placement and admission. May be null: not known. Its result_bytes are held against
  /// service_limits::result_bytes before `run` is called.
  std::function<sluice::work(std::span<const tensor>)> estimate{};
  /// The dtype and shape of each result that is answered, for the limits of results, as exactly as inputs tell them. May be
  /// null: not known before they are there. Throws invalid_argument as `run` would.
  std::function<std::vector<operand_spec>(std::span<const tensor>)> results{};
  /// The same row with its results in another dtype, for ?result_dtype=f64: its `run`, `estimate` and `results` throw
  /// invalid_argument for one that they do not give. May be null: the dtype is not to be chosen, and the query is refused.
  std::function<std::shared_ptr<const endpoint>(sluice::dtype)> with_result_dtype{};
  /// The precisions that a client may ask for; the first is the default. `run` finds the one of the call in its context,
  /// placement goes by it where `estimate` is of an op that has one of that name, and answers name it. Empty: there is no
  /// choice, and a request that asks for one is refused.
  std::vector<precision_choice> precisions{};
  /// What a client may set beside the inputs; `run` finds the values in its context.
  std::vector<call_parameter> parameters{};
  gather_rule gather{};  ///< whether calls may run as one
};

}  // namespace SLUICE_ABI
}  // namespace sluice

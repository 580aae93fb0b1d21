/// @file
/// Endpoints over HTTP, without a transport: a request is a value, and so is its response.
///
///     sluice::service service;                          // matmul, rowsum and canny, each on the best device
///     service.add({.name = "scale", ...});              // and an endpoint of the application's own
///     httplib::Server server;
///     sluice::mount(server, service);                   // sluice/httplib.hpp
///
/// Routes, below the prefix the service is mounted at:
///
///     POST /v1/NAME               an endpoint of the catalogue
///     POST /v1/rowsum/stream      rows from a body of any length, below
///          /v1/jobs               durable jobs on the server's files, where add_jobs() was called (sluice/jobs.hpp)
///          /v2/...                the same endpoints by the Open Inference Protocol (KServe v2), below
///     GET  /v1/devices            the devices, and why others were refused; the engine that runs models
///     POST /v1/placement          where an op would run, and how long it would take: nothing is run
///     GET  /health/live           200 while the process answers
///     GET  /health/ready          200 while the devices are healthy, by ready_when, and all models that are wanted are
///                                 served (model_repository::state::wanted); else 503, with the reasons
///     GET  /metrics               Prometheus text, in seconds and bytes
///     GET  /openapi.json          all of this for programs (OpenAPI 3.1), the application's endpoints included
///     GET  /docs                  a page to try each endpoint, with charts of the metrics
///
/// JSON in: {"a": [[1, 2], [3, 4]], "b": ..., "dtype": "f32"}: one key for each input, nested lists of equal lengths, none
/// empty; "dtype" is optional. A number is read as the nearest value of the dtype; one that overflows it, or is not a
/// whole number (1, 1.0, 1e2) where the dtype is an integer, is refused. JSON out: {"result": [[...]], "shape": [2, 2],
/// "dtype": "f32", "device": "cpu"}, every number in the shortest form that reads back exactly. A result with NaN or
/// infinity in it is refused as JSON, unless ?nonfinite=null asks for null or ?nonfinite=string for "NaN", "Infinity",
/// "-Infinity". A body over 1 MiB whose values are wrong before its syntax is may be refused for them. Several outputs are
/// {"NAME": {"data": ..., "shape": ..., "dtype": ...}, ..., "device": "cpu"}.
///
/// .npy: an endpoint with one input takes application/x-npy; any takes multipart/form-data with a part for each input, named
/// after it: an .npy, without a Content-Type or with application/x-npy or application/octet-stream. Accept:
/// application/x-npy requests the (single) output as .npy; without an Accept header the answer has the form of the request.
/// The answer's headers X-Sluice-Device, X-Sluice-Predicted (seconds, where they were predicted) and X-Sluice-Reason report
/// where it was computed, and why; X-Sluice-Gathered, of how many calls it was one that ran together (endpoint::gather).
///
/// Image files, where sluice::image was built: fields of kind picture and mask come as image/jpeg or image/png, as a body or
/// as a part of a form, or as base64 in JSON: {"image": "..."}, which is then answered likewise, with "media_type" beside
/// "result". Whatever a file is called, its first bytes tell its format. A file is answered by a PNG, of one bit where the
/// result is a mask, unless Accept asks for image/jpeg, application/x-npy or application/json. A file that is cut is 422
/// "truncated", one that is wrong 422 "corrupt", one beyond limits.pixels 413, and one that is neither JPEG nor PNG, or of a
/// kind that is not decoded, 415. Without sluice::image endpoints of pictures are not offered: 501, and not_offered() has
/// the reason.
///
/// ?low=100 sets a parameter of an endpoint that has it (endpoint::parameters), and so does a member of JSON or a part of a
/// form so called. Of /v1/canny these are low and high, the thresholds (100 and 200), and norm (l1 or l2); channels (1 or 3)
/// is what an image file is decoded to.
///
/// ?result_dtype=f64 rounds sums of rows to that dtype, once, in place of the usual one: of /v1/rowsum, of
/// /v1/rowsum/stream, of the models below and of each endpoint with endpoint::with_result_dtype; elsewhere it is refused.
///
/// ?precision=fast, or "precision": "fast" beside the inputs of JSON or as a part of a form, chooses what the bits of a
/// product promise: of /v1/matmul, of its models below and of each endpoint with endpoint::precisions; elsewhere it is
/// refused. Answers name it: "precision" beside "device", and X-Sluice-Precision.
///
/// /v1/rowsum/stream sums rows as they arrive, from a body that may be larger than memory: .npy, or application/octet-stream
/// with ?columns=1024&dtype=f32, chunked or not. The sums are sent after the body has ended, as .npy unless Accept prefers
/// JSON, and are held until then within stream_options::quota_bytes: 413 beyond, and the rest of the body is not read; 507
/// when the disk is full.
///
/// Under /v2 an endpoint NAME is a model, and so is NAME_fp64 and so on for every dtype that its first input takes after the
/// first; /v2/models/NAME/versions/V is a version, /v2/models/NAME the highest. GET /v2/models lists all: {"models":
/// [{"name": "matmul", "versions": ["1"], "state": "READY", "reason": ""}, ...]}; the state is UNAVAILABLE, with the reason,
/// where the devices are not ready, and that of the model_repository, where there is one, for models that are not served. A
/// model that is wanted and not served is 503, also under /v1; other models answer meanwhile. POST
/// /v2/repository/models/NAME/load and unload return when it is done; without a repository they are 501. Health, metadata,
/// config, statistics, the repository's index (the same list as Triton has it; {"ready": true} asks for those that are
/// ready), and POST /v2/models/NAME/infer with JSON or binary tensors (Inference-Header-Content-Length), in and out, mixed;
/// f16 and bf16 come in binary alone. `timeout`, in microseconds from the request's arrival, `priority` and `precision`
/// reach the endpoint; a call whose timeout has passed before it is computed is refused with 504. A picture is an array of
/// UINT8, or one element of BYTES, a file (base64 in JSON, the whole body where Inference-Header-Content-Length is 0);
/// metadata show the latter, and NAME_uint8 takes arrays alone. Its result is UINT8 unless the parameter `accept`, of the
/// request or of an output, asks for image/png or image/jpeg: then it is one element of BYTES. An endpoint's parameters are
/// parameters here. Other parameters are passed over, and null is as if it were not there; but `sequence_id`,
/// `classification` and shared memory are refused, as the answer would not be what is asked for. Answers in JSON of 1 KiB or
/// more are compressed as Accept-Encoding says, and all of them where it lists gzip or deflate alone. Errors there are
/// {"error": "..."}; what is 422 and 406 below is 400.
///
/// Documents, metrics and other text of 1 KiB or more are compressed likewise; answers of calls under /v1 are not.
///
/// Errors under /v1 are application/problem+json: 400 for malformed bodies, 422 for shapes and
/// values that an endpoint does not take, 413 beyond a limit, 415 and 406 for media types, 404, 405, 429 when all workers
/// are busy and the queue is full, with the seconds to wait in Retry-After; 504 past the deadline that the header
/// X-Request-Timeout sets, in seconds after the request's arrival (0.5): a call that is not begun by then is not computed;
/// 503 with Retry-After when answers under way hold too much memory.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "sluice/service/access.hpp"
#include "sluice/service/endpoint.hpp"
#include "sluice/service/message.hpp"
#include "sluice/service/model_repository.hpp"

namespace sluice {
namespace serving {
class protocol;
}
inline namespace SLUICE_ABI {

/// The largest request and the largest answer; beyond, the answer is 413.
struct service_limits {
  std::int64_t body_bytes = 64 << 20;  ///< of a request, compressed and decompressed
  /// Of all requests under way together, with bodies beyond inline_bytes; beyond, the answer is 429. One alone is always
  /// taken.
  std::int64_t all_bodies_bytes = 256 << 20;
  std::int64_t elements = 16 << 20;  ///< of one input, and of one result
  int rank = sluice::max_rank;       ///< of one input; with it, how deep JSON may nest
  /// Of one picture that comes as an image file, by its header: beyond, no pixel of it is decoded.
  std::int64_t pixels = 16 << 20;
  /// Of all results of a call, as tensors. Checked before the call is computed where endpoint::results or
  /// endpoint::estimate tells them, else when they are there, before they are encoded.
  std::int64_t result_bytes = 64 << 20;
  /// Memory of all answers under way together, from the call until they are sent: results, and their text, which takes up to
  /// 18 bytes an f32. One answer takes at most half of what the others leave of it, so that a few large ones that are read
  /// slowly leave room for small ones; beyond, the answer is 503. At least twice result_bytes.
  std::int64_t all_answers_bytes = std::int64_t{1} << 30;
};

/// How POST /v1/rowsum/stream holds its sums.
struct stream_options {
  int uploads = 8;               ///< at once; beyond, the answer is 429. Each occupies a thread of the transport
  std::int64_t body_bytes = -1;  ///< of one body, decoded; -1: unlimited
  /// A compressed body is decoded by the workers, to decoded_bytes whatever came, and beyond to at most decoded_ratio bytes
  /// for each that came (0: any number), within decode_seconds of a worker's time (-1: any). Beyond, the answer is 413.
  /// Zeros in gzip have a ratio of 1,030, rows with one element in 1,000 that is not zero 370, one in 100 60, dense ones 1
  /// to 5.
  std::int64_t decoded_bytes = 256 << 20;
  std::int64_t decoded_ratio = 200;  ///< see decoded_bytes
  double decode_seconds = 300;       ///< see decoded_bytes
  /// Sums are held until the body has ended: at most this many bytes, the first spool_memory of them in memory and the rest
  /// in an unnamed file in spool_directory; without a directory, all in memory. Beyond, the answer is 413.
  std::int64_t quota_bytes = std::int64_t{1} << 30;
  std::int64_t spool_memory = 16 << 20;  ///< bytes of one upload's sums that are kept in memory
  std::string spool_directory{};         ///< of the file for the rest; empty: none
};

/// When GET /health/ready answers 200.
enum class ready_when {
  all_devices,  ///< every device is healthy
  any_device,   ///< at least one is; the answer and a metric report that the service is degraded
};

/// How a service works.
struct service_options {
  service_limits limits{};  ///< of requests
  /// Requests that are decoded, computed and encoded at once, each by a worker; 0: parallel_size(). queue_length more wait;
  /// beyond, the answer is 429.
  int compute_workers = 0;
  int queue_length = 256;  ///< requests that may wait for a worker
  /// A body of at most this size is decoded by the connection's own thread, which also computes the call if the endpoint's
  /// estimate says that it is small: waking a worker would take longer. -1: never.
  std::int64_t inline_bytes = 48 << 10;
  /// Niceness of the workers and, from then on, of sluice's other helper threads, 0 to 19, where niceness is a thread's own:
  /// the application's routes come first. 0 changes nothing.
  int compute_nice = 10;
  /// Where endpoints run: placement chooses for those with an estimate, or a device is named or preferred.
  sluice::device_request device{};
  sluice::ready_when ready = ready_when::all_devices;  ///< of /health/ready
  /// Called once for each device that is lost, by a thread that answers a request: one that failed on the device, or one
  /// that reads the devices' state. It must return soon. Only a new process recovers such a device: stop the server, and let
  /// a supervisor restart it.
  std::function<void(const device_info&)> on_device_lost{};
  /// Called for each request just before its answer is sent, by the thread that sends it: for an access log.
  std::function<void(const access_record&)> on_request{};
  /// If any, every request needs "Authorization: Bearer TOKEN" with one of them, except those for health and the documents;
  /// without it the answer is 401.
  std::vector<std::string> tokens{};
  /// Whether /openapi.json and the page /docs are served. They need no token: they list the routes and hold no data.
  bool docs = true;
  /// Origins whose web pages may send requests (CORS): "https://example.org", or "*" for all. Empty: none.
  std::vector<std::string> origins{};
  stream_options stream{};  ///< of uploads
};

/// The catalogue of endpoints, and the protocols that serve it. Safe to use from any number of threads. It must outlive the
/// server it is mounted on, or be held by it as a shared_ptr.
class SLUICE_API service {
 public:
  /// Throws invalid_argument for a limit, worker count or queue length below its minimum, io when the spool directory cannot
  /// be used.
  explicit service(service_options options = {});
  /// No request may be under way.
  ~service();
  service(const service&) = delete;             ///< servers point at it
  service& operator=(const service&) = delete;  ///< likewise

  /// Adds an endpoint; served from now on. Throws invalid_argument for a name that is reserved or has other characters, a
  /// version that is no whole number or is there, and for a row without inputs, outputs or `run`.
  void add(endpoint row);
  /// Adds an endpoint, or puts it in the place of the one of its name and version, between two calls: each call that came
  /// before is computed by the old one, which is released with the last of them. Throws as add() does.
  void replace(endpoint row);
  /// Removes an endpoint: one version of it, or all. Calls under way are computed. Its metrics and statistics go, too.
  /// Returns whether there was one.
  bool remove(std::string_view name, std::string_view version = {});
  /// What loads and unloads models for clients, and tells which are wanted: see model_repository.hpp. Null: nothing does.
  void set_model_repository(std::shared_ptr<model_repository> repository);
  /// The catalogue, every version, in the order of adding.
  [[nodiscard]] std::vector<std::shared_ptr<const endpoint>> endpoints() const;
  /// Ops that this build does not offer, with the reason: "canny: built without sluice::image, ..."; their paths answer 501.
  [[nodiscard]] std::vector<std::string> not_offered() const;

  /// Answers a request. Never throws: every failure is a response.
  [[nodiscard]] response handle(const request& r) noexcept;

  /// For a transport: regular expressions (ECMAScript, bounded) of all paths that are answered.
  [[nodiscard]] std::vector<std::string> patterns() const;
  /// For a transport: the paths whose bodies may be of any length. The transport must not limit them, reads them only as
  /// fast as they are processed, and does not read the rest when one is refused.
  [[nodiscard]] static std::span<const std::string_view> long_bodies() noexcept;
  /// For a transport: a refusal of its own, in the form that the protocol at `path` gives its refusals.
  [[nodiscard]] response refusal(std::string_view path, int status, std::string_view code, std::string_view detail) const;
  /// For a transport: a request is under way until the returned pointer is released, after its answer is sent.
  [[nodiscard]] std::shared_ptr<void> begin_request();
  /// Before a server stops: readiness answers 503 from now on; running jobs stop, to be resumed by the next process, and
  /// streams of events end. Endpoints still answer. sluice::shut_down() (sluice/httplib.hpp) calls it, and the next where it
  /// has to.
  void begin_drain();
  /// begin_drain(), and endpoints answer 503 from now on. Waits until all requests under way are answered, `seconds` at
  /// most, and returns whether they were. Must not be called by a thread that answers a request.
  bool drain(double seconds);

  /// As given, with defaults resolved.
  [[nodiscard]] const service_options& options() const noexcept;
  /// For sluice's own libraries: adds a protocol, before the service is mounted. It is asked before those that are there.
  void add_protocol(std::unique_ptr<serving::protocol> p);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace SLUICE_ABI
}  // namespace sluice

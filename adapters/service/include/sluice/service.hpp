/// @file
/// Operations over HTTP, without a transport: a request comes in as a value, the response goes out as one.
///
///     sluice::service service;                          // matmul and rowsum, on whatever device there is
///     service.add({.name = "scale", ...});              // and an endpoint of the application's own
///     httplib::Server server;
///     sluice::mount(server, service);                   // sluice/httplib.hpp
///
/// Routes, below the prefix the service is mounted at:
///
///     POST /v1/NAME               an endpoint of the catalogue
///     POST /v1/rowsum/stream      rows from a body of any length, below
///          /v1/jobs               work on files of the server's, where service_options::jobs has a folder, below
///          /v2/...                the same endpoints by the Open Inference Protocol (KServe v2), below
///     GET  /v1/devices            the devices, and why others were refused
///     POST /v1/placement          where an operation would be computed, and what it would take: nothing is run
///     GET  /health/live           200 while the process answers
///     GET  /health/ready          200 while the devices are healthy, by ready_when, else 503; which are not, and why
///     GET  /metrics               Prometheus text, in seconds and bytes
///     GET  /openapi.json          all of this for programs (OpenAPI 3.1), the application's endpoints among it
///     GET  /docs                  a page that tries each endpoint and draws the figures
///
/// JSON in: {"a": [[1, 2], [3, 4]], "b": ..., "dtype": "f32"}: a key an input, each once, nested lists of equal lengths
/// without empty ones; "dtype" may be left out. A number is taken as the nearest value of the dtype; one that overflows it,
/// or is no whole number where the dtype is of integers, is refused. JSON out: {"result": [[...]], "shape": [2, 2], "dtype":
/// "f32", "device": "cpu"}, every number in the shortest form that reads back exactly. A result with NaN or infinity in it
/// has no JSON. Several outputs come as {"NAME": {"data": ..., "shape": ..., "dtype": ...}, ..., "device": "cpu"}.
///
/// .npy: an endpoint with one input takes application/x-npy; any takes multipart/form-data with a part of .npy for each
/// input, named after it. Accept: application/x-npy has the (one) output come as .npy; without an Accept header the answer
/// has the form of the request. The answer's headers X-Sluice-Device,
/// X-Sluice-Predicted (seconds, where they were predicted) and X-Sluice-Reason tell where it was computed, and why.
///
/// /v1/rowsum/stream sums rows as they come, from a body that may be larger than memory: .npy, or application/octet-stream
/// with ?columns=1024&dtype=f32, in chunks or not. The sums come when the body has ended, as .npy unless Accept prefers
/// JSON, and are held until then within stream_options::quota_bytes: 413 beyond, and the rest of the body is not read; 507
/// where the file that holds them has no room.
///
/// Jobs: POST /v1/jobs {"operation": "rowsum", "input": "NAME/path"} is answered at once, with 202 and the job's address in
/// Location, for an .npy or a raw file ("columns", "dtype", "offset") below the data directory of that name.
/// "column_totals": true sums the columns as well; "matmul" takes an "operand", the .npy that the rows are multiplied by.
/// GET /v1/jobs lists them, GET /v1/jobs/ID says how far one is, .../events sends that as it changes (server-sent events),
/// .../result and
/// .../column_totals give an .npy, or ranges of it; DELETE cancels a job, or removes one that has ended. Jobs outlive the
/// process, however it ends: the next one goes on with them.
///
/// Under /v2 an endpoint NAME is a model of version 1, and so is NAME_fp64 and so on for every dtype that its first input
/// takes after the first. Health, metadata, config, statistics, the repository's index, and POST /v2/models/NAME/infer with
/// JSON or binary tensors (Inference-Header-Content-Length), in and out, mixed; f16 and bf16 come in binary alone.
/// `timeout`, in microseconds from the request's coming, and `priority` reach the endpoint; a call whose timeout has passed
/// before it is computed is refused with 504. Answers are compressed for a client that accepts gzip, or deflate, and names
/// nothing else. Errors there are {"error": "..."}; what is 422 and 406 below is 400.
///
/// Errors under /v1 are application/problem+json: 400 for bytes that are not what they claim to be, 422 for shapes and
/// values that cannot be, 413 beyond a limit, 415 and 406 for media types, 404, 405, 429 when all slots and the queue are
/// taken, with the seconds to wait in Retry-After; 504 past the deadline that the header X-Request-Timeout sets, in seconds
/// after the request came (0.5): a call that is not begun by then is not computed.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "sluice/service/access.hpp"
#include "sluice/service/endpoint.hpp"
#include "sluice/service/message.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// How large a request may be; what is larger gets 413.
struct service_limits {
  std::int64_t body_bytes = 64 << 20;  ///< of a request, as it comes and after decompression
  std::int64_t elements = 16 << 20;    ///< of one input
  int rank = sluice::max_rank;         ///< of one input; with it, how deep JSON may nest
};

/// How POST /v1/rowsum/stream holds its sums.
struct stream_options {
  int uploads = 8;               ///< at once; beyond, the answer is 429. Each has a thread of the transport while it comes
  std::int64_t body_bytes = -1;  ///< of one body, decoded; -1: as many as come
  /// Sums are held until the body has ended: this many bytes of them, of which spool_memory in memory and the rest in a file
  /// without a name in spool_directory. Without a directory there is no rest. Beyond, the answer is 413.
  std::int64_t quota_bytes = std::int64_t{1} << 30;
  std::int64_t spool_memory = 16 << 20;  ///< bytes of one upload's sums that stay in memory
  std::string spool_directory{};         ///< where the rest goes; none: there is no rest
};

/// Jobs on files. One process at a time may use a folder.
struct job_options {
  std::string folder{};  ///< for jobs' states and results, made when missing; none: no jobs. Needs a build with SQLite
  int running = 1;       ///< at once; each has a thread of compute_nice, and the process's helpers
  int queued = 64;       ///< that may wait; beyond, the answer is 429
  int kept = 1000;       ///< that have ended; beyond, the oldest go, with their results
  /// Streams of events at once, each of which has a thread of the transport: much fewer than there are. Beyond, 429: to ask
  /// for the job is always possible.
  int event_streams = 16;
  double heartbeat_seconds = 15;  ///< between comments on a stream where nothing happens: they find clients that are gone
  double sync_seconds = 1;        ///< between syncs: what a kill costs
};

/// When GET /health/ready answers 200.
enum class ready_when {
  all_devices,  ///< every device is healthy
  any_device,   ///< one is; the answer says that the service is degraded, and so does a metric
};

/// How a service works.
struct service_options {
  service_limits limits{};  ///< of requests
  /// Requests that are decoded, computed and encoded at once; 0: as many as parallel_size(). Others wait, queue_length of
  /// them; beyond that the answer is 429.
  int compute_workers = 0;
  int queue_length = 256;  ///< requests that may wait for a slot
  /// Where the body is no larger and the endpoint's estimate says as much of the work, the thread that holds the connection
  /// does it all: a slot's thread takes longer to wake. -1: never.
  std::int64_t inline_bytes = 48 << 10;
  /// Slots are threads of this niceness, 0 to 19, where the system has one for each thread, and so are sluice's other
  /// helpers from then on: an application's own routes come first. 0 leaves all as they are.
  int compute_nice = 10;
  /// Where endpoints run: placement chooses for those with an estimate, or a device is named or preferred.
  sluice::device_request device{};
  sluice::ready_when ready = ready_when::all_devices;  ///< of /health/ready
  /// Called once for each device that is lost, by a thread that is answering a request: the one that met the loss, or one
  /// that asked for the devices' state. It must return soon. Only a new process brings such a device back: have the server
  /// stop, and a supervisor start it again.
  std::function<void(const device_info&)> on_device_lost{};
  /// Called after each request, when its answer is about to be sent, by the thread that sends it: for an access log.
  std::function<void(const access_record&)> on_request{};
  /// Where there are any, each request but those for health and the documents needs "Authorization: Bearer TOKEN" with one
  /// of them, or gets 401.
  std::vector<std::string> tokens{};
  /// Whether /openapi.json and the page /docs are served. They need no token: they tell what there is, and hold no data.
  bool docs = true;
  /// Whose web pages may ask from a browser (CORS): "https://example.org", or "*" for all. None: no page of another origin.
  std::vector<std::string> origins{};
  stream_options stream{};  ///< of uploads
  /// Whose files clients may have read by jobs: as NAME/path, for the regular files below the directory at `NAME`. A path
  /// that leads out of it, a symbolic link even within, leads nowhere.
  std::map<std::string, std::string> data_directories{};
  job_options jobs{};  ///< of work on these files
};

/// The catalogue, and all that answers for it. Safe to use from any number of threads. It must outlive the server it is
/// mounted on, or be held by it as a shared_ptr.
class SLUICE_API service {
 public:
  /// Throws invalid_argument for a limit, slot or queue below its minimum; for jobs, io when their folder or a data
  /// directory cannot be used, unavailable while another process has the folder, unsupported in a build without SQLite.
  explicit service(service_options options = {});
  /// Stops jobs, which the next process goes on with. No request may be under way.
  ~service();
  service(const service&) = delete;             ///< servers point at it
  service& operator=(const service&) = delete;  ///< likewise

  /// Adds an endpoint; served from now on. Throws invalid_argument for a name that is taken, reserved or not of the right
  /// letters, and for a row without inputs, outputs or `run`.
  void add(endpoint row);
  /// The catalogue, in the order of adding.
  [[nodiscard]] std::vector<std::shared_ptr<const endpoint>> endpoints() const;

  /// Answers a request. Never throws: every failure is a response.
  [[nodiscard]] response handle(const request& r) noexcept;

  /// For a transport: regular expressions (ECMAScript, bounded) of all paths that are answered.
  [[nodiscard]] std::vector<std::string> patterns() const;
  /// For a transport: the paths whose bodies may be of any length: no limit of the transport's holds for them, they are read
  /// as fast as they are worked on, and not to their end when they are refused.
  [[nodiscard]] static std::span<const std::string_view> long_bodies() noexcept;
  /// For a transport: a refusal of its own, in the form that the protocol at `path` gives its refusals.
  [[nodiscard]] response refusal(std::string_view path, int status, std::string_view code, std::string_view detail) const;
  /// For a transport: a request is under way until what this returns goes, which is when its answer is sent.
  [[nodiscard]] std::shared_ptr<void> begin_request();
  /// Before a server stops: endpoints refuse requests from now on, with 503, and so does readiness; jobs at work stop, to be
  /// gone on with by the next process, and streams of events end; waits until those under way are answered, `seconds` at
  /// most. Returns whether all were. Not for a thread that is answering a request.
  bool drain(double seconds);

  /// As they were given, with what was left to choose filled in.
  [[nodiscard]] const service_options& options() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace SLUICE_ABI
}  // namespace sluice

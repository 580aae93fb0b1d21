/// @file
/// Durable jobs on the server's files, added to a service.
///
///     sluice::service service;
///     sluice::add_jobs(service, {.folder = "jobs", .data_directories = {{"files", "/srv/files"}}});
///     sluice::mount(server, service);
///
/// POST /v1/jobs {"operation": "rowsum", "input": "files/a.npy"} is answered at once, with 202 and the job's address in
/// Location, for an .npy or a raw file ("columns", "dtype", "offset") below the data directory of that name.
/// "column_totals": true sums the columns as well; "matmul" takes an "operand", the .npy that the rows are multiplied by,
/// and a "precision", strict unless given. GET /v1/jobs lists the jobs, GET /v1/jobs/ID reports one's progress, .../events
/// sends the same as it changes (server-sent events), .../result and .../column_totals are an .npy, or ranges of it; DELETE
/// cancels a job, or removes one that has ended. A job survives the end of the process, a kill included: the next process on
/// the same folder resumes it.
#pragma once

#include <map>
#include <string>

#include "sluice/service.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Jobs on files. One process at a time may use a folder.
struct job_options {
  /// For jobs' states and results, created when missing; empty: no jobs, and /v1/jobs answers 501. What is created is the
  /// owner's alone: 0700, and 0600 for the files.
  std::string folder{};
  int running = 1;  ///< at once; each has a thread of service_options::compute_nice, and the process's helpers
  int queued = 64;  ///< that may wait; beyond, the answer is 429
  int kept = 1000;  ///< that have ended; beyond, the oldest are removed, with their results
  /// Streams of events at once; beyond, 429: GET /v1/jobs/ID is always possible. Each occupies a thread of the transport: a
  /// hardened server replaces it, a tuned one lets a quarter of its threads have none, and another one must have more of
  /// them.
  int event_streams = 16;
  double heartbeat_seconds = 15;  ///< between comments on a stream without events: they detect disconnected clients
  double sync_seconds = 1;        ///< between syncs: the work that a kill costs at most
  /// Whose files jobs may read: as NAME/path, the regular files below the directory at `NAME`. A path that leads out of it,
  /// or through a symbolic link, is refused.
  std::map<std::string, std::string> data_directories{};
};

/// Adds jobs to a service, before it is mounted. ~service() stops them; service::drain() first lets their work be kept.
/// Throws invalid_argument for a number below its minimum, io when the folder or a data directory cannot be used,
/// unavailable while another process uses the folder.
SLUICE_API void add_jobs(service& to, job_options options);

}  // namespace SLUICE_ABI
}  // namespace sluice

#include "describe.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view job_schema = R"({"type":"object",
"required":["id","state","operation","input","columns","dtype","offset","column_totals","bytes","bytes_total","rows",
"rows_total","resumed_bytes","bytes_per_second","seconds","seconds_left","created","ended","error"],
"properties":{"id":{"type":"string"},"state":{"enum":["queued","running","done","failed","cancelled"]},
"operation":{"enum":["rowsum","matmul"]},"input":{"type":"string"},"operand":{"type":"string"},
"precision":{"type":"string","description":"of matmul"},
"columns":{"type":"integer"},"dtype":{"type":"string"},"offset":{"type":"integer"},"column_totals":{"type":"boolean"},
"bytes":{"type":"integer","description":"of the input, processed"},"bytes_total":{"type":["integer","null"]},
"rows":{"type":"integer","description":"processed"},"rows_total":{"type":["integer","null"]},
"resumed_bytes":{"type":"integer","description":"processed before the last interruption"},
"bytes_per_second":{"type":"number","description":"at present"},
"seconds":{"type":"number","description":"of computing, since the last interruption"},"seconds_left":{"type":["number","null"]},
"created":{"type":"number","description":"seconds since 1970"},"ended":{"type":["number","null"]},
"error":{"oneOf":[{"type":"null"},{"type":"object","required":["code","detail"],
"properties":{"code":{"type":"string"},"detail":{"type":"string"}}}]}}})";

constexpr std::string_view order_schema = R"({"type":"object","additionalProperties":false,"required":["operation","input"],
"properties":{"operation":{"enum":["rowsum","matmul"]},
"input":{"type":"string","description":"NAME/path: an .npy or a raw file below the data directory NAME"},
"operand":{"type":"string","description":"of matmul: the .npy that the rows are multiplied by"},
"columns":{"type":"integer","minimum":1,"description":"required for a raw file"},
"dtype":{"type":"string","description":"of a raw file: f32 unless given","examples":["f32"]},
"offset":{"type":"integer","minimum":0,"description":"of a raw file's first row, in bytes"},
"column_totals":{"type":"boolean","description":"of rowsum: compute the sums of the columns as well"},
"precision":{"enum":["strict","fast","tensor_core"],"default":"strict","description":"of matmul"}}})";

constexpr std::string_view job_example = R"({"id":"5f0c9a7be2d14c3e8a6b7c8d9e0f1a2b","state":"running","operation":"rowsum",
"input":"data/a.npy","columns":1024,"dtype":"f32","offset":0,"column_totals":false,"bytes":268435456,"bytes_total":1073741824,
"rows":65536,"rows_total":262144,"resumed_bytes":0,"bytes_per_second":9000000000,"seconds":0.031,"seconds_left":0.089,
"created":1764000000.125,"ended":null,"error":null})";

const parameter id{.name = "id",
                   .summary = "The last part of the job's Location",
                   .in = "path",
                   .schema = R"({"type":"string","pattern":"^[A-Za-z0-9_-]{1,64}$"})"};

content job() { return {.schema = schema_ref("Job"), .example = std::string(job_example)}; }

void describe_result(document& d, const std::string& part, const std::string& summary) {
  const content npy{.type = "application/x-npy"};
  const std::vector<std::string> headers{"ETag", "Accept-Ranges"};
  d.add({.method = "GET",
         .path = "/v1/jobs/{id}/" + part,
         .tag = "jobs",
         .summary = summary,
         .parameters = {id,
                        {.name = "Range", .summary = "One range of bytes; several are answered with the whole"},
                        {.name = "If-Range", .summary = "The ETag of the part that the client has"},
                        {.name = "If-Match", .summary = "ETags of which the answer must have one"},
                        {.name = "If-None-Match", .summary = "ETags that the client has"}},
         .gives = {{200, "The whole .npy", {npy}, headers},
                   {206, "The range", {npy}, {"ETag", "Accept-Ranges", "Content-Range"}},
                   {304, "The client has it", {}, headers}},
         .refusals = {404, 409, 412, 416, 501}});
}

}  // namespace

void describe_jobs(document& d) {
  d.tag("jobs", "Durable work on the server's files");
  d.schema("Job", std::string(job_schema));
  d.schema("Order", std::string(order_schema));
  d.add({.method = "POST",
         .path = "/v1/jobs",
         .tag = "jobs",
         .summary = "Submits a job",
         .takes = {{.schema = schema_ref("Order"), .example = R"({"operation":"rowsum","input":"data/a.npy"})"}},
         .gives = {{202, "The job, queued", {job()}, {"Location"}}},
         .refusals = {403, 404, 413, 415, 422, 429, 501}});
  d.add({.method = "GET",
         .path = "/v1/jobs",
         .tag = "jobs",
         .summary = "The jobs, the latest first",
         .parameters = {{.name = "limit",
                         .summary = "At most so many: 100 unless given",
                         .in = "query",
                         .schema = R"({"type":"integer","minimum":1,"maximum":1000})"}},
         .gives = {{200,
                    "The jobs",
                    {{.schema = R"({"type":"object","required":["jobs"],"properties":{"jobs":{"type":"array","items":)" +
                                schema_ref("Job") + "}}}"}}}},
         .refusals = {422, 501}});
  d.add({.method = "GET",
         .path = "/v1/jobs/{id}",
         .tag = "jobs",
         .summary = "The progress of a job",
         .parameters = {id},
         .gives = {{200, "The job as it is now", {job()}}},
         .refusals = {404, 501}});
  d.add({.method = "DELETE",
         .path = "/v1/jobs/{id}",
         .tag = "jobs",
         .summary = "Cancels a job, or removes one that has ended, with its results",
         .parameters = {id},
         .gives = {{200, "It was queued, and is cancelled", {job()}},
                   {202, "It is running, and will soon be cancelled", {job()}},
                   {204, "It had ended, and is removed"}},
         .refusals = {404, 501}});
  d.add({.method = "GET",
         .path = "/v1/jobs/{id}/events",
         .tag = "jobs",
         .summary = "The progress of a job as it changes, until it ends",
         .description = "Server-sent events. Each is the whole job, so after a reconnection only the latest missed event is "
                        "sent: `Last-Event-ID` names the last one seen. The number of streams is limited; GET of the job "
                        "itself is always possible.",
         .parameters = {id, {.name = "Last-Event-ID", .summary = "The id of the last event seen"}},
         .gives = {{200,
                    "Events until the job has ended",
                    {{.type = "text/event-stream", .schema = R"({"type":"string"})"}},
                    {"Cache-Control", "X-Accel-Buffering"}},
                   {204, "Its last event was seen: no other follows"}},
         .refusals = {404, 429, 501}});
  describe_result(d, "result", "The result of a job");
  describe_result(d, "column_totals", "The sums of the columns, if the order asked for them");
}

}  // namespace sluice::serving

#include "describe.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view job_schema = R"({"type":"object",
"required":["id","state","operation","input","columns","dtype","offset","column_totals","bytes","bytes_total","rows",
"rows_total","resumed_bytes","bytes_per_second","seconds","seconds_left","created","ended","error"],
"properties":{"id":{"type":"string"},"state":{"enum":["queued","running","done","failed","cancelled"]},
"operation":{"enum":["rowsum","matmul"]},"input":{"type":"string"},"operand":{"type":"string"},
"columns":{"type":"integer"},"dtype":{"type":"string"},"offset":{"type":"integer"},"column_totals":{"type":"boolean"},
"bytes":{"type":"integer","description":"of the input that are done"},"bytes_total":{"type":["integer","null"]},
"rows":{"type":"integer","description":"that are done"},"rows_total":{"type":["integer","null"]},
"resumed_bytes":{"type":"integer","description":"done before the last interruption"},
"bytes_per_second":{"type":"number","description":"lately"},
"seconds":{"type":"number","description":"at work, since the last interruption"},"seconds_left":{"type":["number","null"]},
"created":{"type":"number","description":"seconds since 1970"},"ended":{"type":["number","null"]},
"error":{"oneOf":[{"type":"null"},{"type":"object","required":["code","detail"],
"properties":{"code":{"type":"string"},"detail":{"type":"string"}}}]}}})";

constexpr std::string_view order_schema = R"({"type":"object","additionalProperties":false,"required":["operation","input"],
"properties":{"operation":{"enum":["rowsum","matmul"]},
"input":{"type":"string","description":"NAME/path: an .npy or a raw file below the data directory NAME"},
"operand":{"type":"string","description":"of matmul: the .npy that the rows are multiplied by"},
"columns":{"type":"integer","minimum":1,"description":"a raw file needs them"},
"dtype":{"type":"string","description":"of a raw file: f32 unless given","examples":["f32"]},
"offset":{"type":"integer","minimum":0,"description":"where a raw file's rows begin"},
"column_totals":{"type":"boolean","description":"of rowsum: the sums of the columns as well"}}})";

constexpr std::string_view job_example = R"({"id":"5f0c9a7be2d14c3e8a6b7c8d9e0f1a2b","state":"running","operation":"rowsum",
"input":"data/a.npy","columns":1024,"dtype":"f32","offset":0,"column_totals":false,"bytes":268435456,"bytes_total":1073741824,
"rows":65536,"rows_total":262144,"resumed_bytes":0,"bytes_per_second":9000000000,"seconds":0.031,"seconds_left":0.089,
"created":1764000000.125,"ended":null,"error":null})";

const parameter id{.name = "id",
                   .summary = "As the job's Location ends",
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
                        {.name = "Range", .summary = "Of bytes, one; several are not served apart"},
                        {.name = "If-Range", .summary = "The ETag of which a part is there already"},
                        {.name = "If-None-Match", .summary = "ETags of what is there already"}},
         .gives = {{200, "The whole .npy", {npy}, headers},
                   {206, "The range", {npy}, {"ETag", "Accept-Ranges", "Content-Range"}},
                   {304, "It is there already", {}, headers}},
         .refusals = {404, 409, 416, 501}});
}

}  // namespace

void describe_jobs(document& d) {
  d.tag("jobs", "Work on files of the server's, which outlives the process");
  d.schema("Job", std::string(job_schema));
  d.schema("Order", std::string(order_schema));
  d.add({.method = "POST",
         .path = "/v1/jobs",
         .tag = "jobs",
         .summary = "Begins a job",
         .takes = {{.schema = schema_ref("Order"), .example = R"({"operation":"rowsum","input":"data/a.npy"})"}},
         .gives = {{202, "The job, which waits for its turn", {job()}, {"Location"}}},
         .refusals = {403, 404, 413, 415, 422, 429, 501}});
  d.add({.method = "GET",
         .path = "/v1/jobs",
         .tag = "jobs",
         .summary = "The jobs that are kept, the latest first",
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
         .summary = "How far a job is",
         .parameters = {id},
         .gives = {{200, "The job as it is now", {job()}}},
         .refusals = {404, 501}});
  d.add({.method = "DELETE",
         .path = "/v1/jobs/{id}",
         .tag = "jobs",
         .summary = "Cancels a job, or removes one that has ended, with its results",
         .parameters = {id},
         .gives = {{200, "It waited, and is cancelled", {job()}},
                   {202, "It is at work, and will soon be cancelled", {job()}},
                   {204, "It had ended, and is removed"}},
         .refusals = {404, 501}});
  d.add({.method = "GET",
         .path = "/v1/jobs/{id}/events",
         .tag = "jobs",
         .summary = "How far a job is, told as it changes, to its end",
         .description = "Server-sent events. Each is the whole job, so that of those that were missed only the latest is "
                        "sent: `Last-Event-ID` says which was seen. Streams are bounded in number; to ask for the job is "
                        "always possible.",
         .parameters = {id, {.name = "Last-Event-ID", .summary = "The id of the last event that was seen"}},
         .gives = {{200,
                    "Events until the job has ended",
                    {{.type = "text/event-stream", .schema = R"({"type":"string"})"}},
                    {"Cache-Control"}},
                   {204, "Its last event was seen: there will be no other"}},
         .refusals = {404, 429, 501}});
  describe_result(d, "result", "What a job has computed");
  describe_result(d, "column_totals", "The sums of the columns, where the job was asked for them");
}

}  // namespace sluice::serving

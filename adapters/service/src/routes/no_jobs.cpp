// /v1/jobs of a service that sluice::add_jobs was not called for: 501, so that a client need not guess.
#include "http/http_error.hpp"
#include "http/protocol.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view root = "/v1/jobs";

class no_jobs_protocol final : public protocol {
 public:
  std::vector<std::string> patterns() const override {
    return {std::string(root), std::string(root) + "/[A-Za-z0-9_-]{1,64}",
            std::string(root) + "/[A-Za-z0-9_-]{1,64}/(events|result|column_totals)"};
  }
  bool owns(std::string_view path) const override {
    return path == root || (path.starts_with(root) && path[root.size()] == '/');
  }
  response answer(const request&, request_context& record) override {
    record.route = "jobs";
    throw http_error{501, "unsupported", "[jobs] this server has no folder for jobs, so it has no jobs"};
  }
  void describe(document&) const override {}
};

}  // namespace

std::unique_ptr<protocol> no_jobs() { return std::make_unique<no_jobs_protocol>(); }

}  // namespace sluice::serving

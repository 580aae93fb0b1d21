#include "sluice/models.hpp"

#include "http/protocol.hpp"
#include "repository.hpp"

namespace sluice {
namespace serving {
namespace {

// Has no paths: it ends the loading before the service ends.
class models_end final : public protocol {
 public:
  explicit models_end(std::shared_ptr<models::repository> all) : all_(std::move(all)) {}
  ~models_end() override { all_->stop(); }

  std::vector<std::string> patterns() const override { return {}; }
  bool owns(std::string_view) const override { return false; }
  response answer(const request& r, request_context&) override { fail_not_found(r); }
  void drain() noexcept override { all_->begin_stop(); }
  void describe(document&) const override {}

 private:
  const std::shared_ptr<models::repository> all_;
};

}  // namespace
}  // namespace serving

inline namespace SLUICE_ABI {

std::shared_ptr<model_repository> add_models(service& to, models_options options) {
  auto all = std::make_shared<serving::models::repository>(to, std::move(options));
  to.set_model_repository(all);
  to.add_protocol(std::make_unique<serving::models_end>(all));
  all->start();
  return all;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/models.hpp"

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "repository.hpp"

namespace sluice {
namespace serving {
namespace {

// What clients reach of a repository.
class clients_repository final : public model_repository {
 public:
  clients_repository(std::shared_ptr<models::repository> all, bool allowed) : all_(std::move(all)), allowed_(allowed) {}

  void load(std::string_view name) override {
    check();
    all_->load(name);
  }
  void unload(std::string_view name) override {
    check();
    all_->unload(name);
  }
  std::vector<state> index() const override { return all_->index(); }
  engine engine_info() const override { return all_->engine_info(); }

 private:
  void check() const {
    if (!allowed_)
      throw http_error{403, "forbidden",
                       "[models] clients may not load and unload models here: models_options::allow_control is off"};
  }

  const std::shared_ptr<models::repository> all_;
  const bool allowed_;
};

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
  const bool allowed = options.allow_control;
  auto all = std::make_shared<serving::models::repository>(to, std::move(options));
  to.set_model_repository(std::make_shared<serving::clients_repository>(all, allowed));
  to.add_protocol(std::make_unique<serving::models_end>(all));
  all->start();
  return all;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

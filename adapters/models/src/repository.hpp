// Loads versions of models into a service, and takes them out.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "folder.hpp"
#include "sluice/models.hpp"

namespace sluice::serving::models {

class repository final : public model_repository {
 public:
  // Throws invalid_argument, io: as add_models.
  repository(service& to, models_options o);
  ~repository() override;

  // Loads what is wanted, here or in a thread of its own.
  void start();
  // No further load begins, and the service is not used any more. Waits for the load under way.
  void stop() noexcept;
  // No further load begins.
  void begin_stop() noexcept { stopping_ = true; }

  void load(std::string_view name) override;
  void unload(std::string_view name) override;
  [[nodiscard]] std::vector<state> index() const override;
  [[nodiscard]] engine engine_info() const override;
  [[nodiscard]] bool explicit_control() const override { return options_.allow_control; }

 private:
  struct version_state {
    std::string state, reason;
    std::vector<std::string> rows{};  // in the service; empty: it is not served
  };
  struct model_state {
    bool wanted = false;
    bool tried = false;
    std::string reason{};  // where there is no version
    std::map<std::int64_t, version_state> versions{};
  };

  void load_all();
  [[nodiscard]] bool is_wanted(const std::string& name) const;
  void load_now(const std::string& name);
  // Whether the version is served now; else `why` is set.
  bool load_version(const found_model& m, const found_version& v, std::exception_ptr& why);
  std::vector<endpoint> made(const found_model& m, const found_version& v, std::string& told) const;
  void check_names(const std::string& model, const std::vector<endpoint>& rows) const;
  void remove_others(const found_model& m, const std::set<std::int64_t>& kept);
  void remove_rows(const std::vector<std::string>& rows, std::int64_t version);
  void set(const std::string& name, std::int64_t version, const char* now, std::string reason);
  void tell(const std::string& name, const std::string& version, const char* now, const std::string& reason) const;
  void tell_ignored(const std::vector<ignored_entry>& all) const;
  [[nodiscard]] std::vector<device> devices() const;
  service& usable() const;

  service* service_;  // null once it has ended
  const models_options options_;
  std::atomic<bool> stopping_{false};
  std::mutex loading_;        // one load or unload at a time
  mutable std::mutex mutex_;  // of what follows
  std::map<std::string, model_state, std::less<>> models_;
  std::thread thread_;
};

}  // namespace sluice::serving::models

#include "kserve/repository.hpp"

#include <algorithm>
#include <tuple>

#include "codec/json_writer.hpp"
#include "http/http_error.hpp"
#include "kserve/json_fields.hpp"
#include "kserve/models.hpp"

namespace sluice::serving {
namespace {

using model_state = model_repository::state;

// Every version of every model: those that are served answer as the devices do, and the repository knows of others.
std::vector<model_state> all_states(executor& e) {
  const auto devices = e.look();
  const auto repository = e.repository();
  auto others = repository ? repository->index() : std::vector<model_state>{};
  std::vector<model_state> all;
  for (const auto& m : all_models(e.endpoints)) {
    model_state now{.name = m.name(), .version = m.row->version, .state = devices.computes ? "READY" : "UNAVAILABLE"};
    if (!devices.computes) now.reason = devices.degraded ? "a device is not healthy" : "the server is shutting down";
    const auto known = std::find_if(others.begin(), others.end(),
                                    [&](const auto& o) { return o.name == now.name && o.version == now.version; });
    if (known != others.end()) {
      if (devices.computes) now.reason = known->reason;
      others.erase(known);
    }
    all.push_back(std::move(now));
  }
  for (auto& m : others) {
    if (m.state == "READY") m.state = "UNAVAILABLE";  // it comes or goes just now
    all.push_back(std::move(m));
  }
  return all;
}

// read(key, value) for the members of the body, which may be empty; others are passed over.
template <class F>
void read_body(const body_buffer& body, F read) {
  if (body.size() == 0) return;
  od::parser parser;
  od::document document;
  od::object root;
  auto error = parser.iterate(body.data(), body.size(), body.padded_size()).get(document);
  if (!error) error = document.get_object().get(root);
  if (error) fail_no_json("the request", error);
  each_member(root, "the request", [&](std::string_view key, od::value v) {
    if (!read(key, v)) ignore(v, "the request");
  });
  if (const char* at = nullptr; document.current_location().get(at) == simdjson::SUCCESS)
    fail_v2("there is more after the request", error_code::malformed);
}

// Models come from the repository alone.
void check_load(const body_buffer& body) {
  read_body(body, [](std::string_view key, od::value v) {
    if (key != "parameters") return false;
    each_parameter(v, "parameters", [](std::string_view name, od::value) {
      if (name == "config" || name.starts_with("file:"))
        fail_v2(fmt::format("parameters has {}: a model is loaded as the repository has it", json_string(shown(name))));
      return false;
    });
    return true;
  });
}

bool is_known(const model_repository& repository, std::string_view name) {
  const auto all = repository.index();
  return std::any_of(all.begin(), all.end(), [&](const auto& m) { return m.name == name; });
}

// What a model has that cannot be loaded is not the server's error.
int status_of_change(error_code code) {
  switch (code) {
    case error_code::malformed:
    case error_code::invalid_argument:
    case error_code::unsupported:
    case error_code::limit_exceeded:
    case error_code::io: return 400;
    default: return status_of(code);
  }
}

}  // namespace

std::string model_list_json(executor& e) {
  const auto states = all_states(e);
  std::vector<json_value> all;
  for (auto first = states.begin(); first != states.end(); ++first) {
    const auto same = [&](const model_state& m) { return m.name == first->name; };
    if (std::any_of(states.begin(), first, same)) continue;
    std::vector<std::string> versions;
    const model_state* highest = nullptr;  // of those that are served, where there are some
    for (auto m = first; m != states.end(); ++m) {
      if (!same(*m)) continue;
      versions.push_back(m->version);
      const auto rank = [](const model_state& s) { return std::tuple(s.state == "READY", s.version.size(), s.version); };
      if (highest == nullptr || rank(*m) > rank(*highest)) highest = &*m;
    }
    std::erase(versions, "");
    all.push_back(json_object({{"name", first->name},
                               {"versions", json_array(versions)},
                               {"state", highest->state},
                               {"reason", highest->reason}}));
  }
  return json_object({{"models", json_array(all)}});
}

std::string model_index_json(executor& e, const body_buffer& body) {
  bool ready_alone = false;
  read_body(body, [&](std::string_view key, od::value v) {
    if (key != "ready" || is_null(v)) return false;
    ready_alone = bool_at(v, "ready");
    return true;
  });
  std::vector<json_value> all;
  for (const auto& m : all_states(e))
    if (!ready_alone || m.state == "READY")
      all.push_back(json_object({{"name", m.name}, {"version", m.version}, {"state", m.state}, {"reason", m.reason}}));
  return json_array(all);
}

std::string change_model(executor& e, std::string_view name, bool loads, const body_buffer& body) {
  const std::string what = loads ? "load" : "unload";
  const auto repository = e.repository();
  if (!repository) throw http_error{501, "unsupported", fmt::format("[v2] models are not to be {}ed by a client", what)};
  if (!repository->explicit_control())
    throw http_error{403, "forbidden",
                     fmt::format("[v2] no client may {} models here: only where the repository of the application has "
                                 "explicit_control",
                                 what)};
  if (e.draining) throw shutting_down();
  if (loads) check_load(body);
  try {
    loads ? repository->load(name) : repository->unload(name);
  } catch (const error& failed) {
    const int status = status_of_change(failed.code());
    const bool unknown = status == 400 && !is_known(*repository, name);
    throw http_error{unknown ? 404 : status, unknown ? "not_found" : name_of(failed.code()), failed.what()};
  }
  return json_object({{"name", name}, {what, true}});
}

}  // namespace sluice::serving

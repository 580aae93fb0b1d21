// A model repository: what clients load and unload, and what readiness says of models that are wanted.
#include "v2_testing.hpp"

#include <map>

using namespace testing;
using state = sluice::model_repository::state;

namespace {

// Models that double their input, loaded by name.
class doubling final : public sluice::model_repository {
 public:
  explicit doubling(sluice::service& s) : service_(s) {}

  void load(std::string_view name) override {
    if (name == "corrupt") throw sluice::error(sluice::error_code::malformed, "[models] corrupt: no ONNX");
    if (name == "odd") throw sluice::error(sluice::error_code::unsupported, "[models] odd: the op Odd is not known");
    if (name == "engine") throw sluice::error(sluice::error_code::unavailable, "[models] there is no engine");
    if (name != "twice") throw sluice::error(sluice::error_code::invalid_argument, "[models] there is no such model");
    auto row = echo({sluice::dtype::f32});
    row.name = name;
    row.platform = "onnxruntime_onnx";
    service_.replace(std::move(row));
    set({.name = "twice", .version = "1", .state = "READY", .reason = "", .wanted = true});
  }
  void unload(std::string_view name) override {
    if (!service_.remove(name)) throw sluice::error(sluice::error_code::invalid_argument, "[models] it is not loaded");
    set({.name = std::string(name), .version = "1", .reason = "unloaded"});
  }
  std::vector<state> index() const override {
    const std::lock_guard lock(mutex_);
    return states_;
  }
  engine engine_info() const override {
    return {.name = "onnxruntime", .version = "1.31.1", .path = "/opt/libonnxruntime.so.1", .refused = ""};
  }
  bool explicit_control() const override { return control; }

  void set(const state& s) {
    const std::lock_guard lock(mutex_);
    for (auto& old : states_)
      if (old.name == s.name && old.version == s.version) {
        old = s;
        return;
      }
    states_.push_back(s);
  }

  bool control = true;

 private:
  sluice::service& service_;
  mutable std::mutex mutex_;
  std::vector<state> states_;
};

struct repository_service : sluice::service {
  repository_service() {
    models->set({.name = "corrupt", .version = "1", .reason = "no ONNX"});
    models->set({.name = "twice", .version = "1", .reason = "not loaded yet"});
    models->set({.name = "odd", .version = "1", .reason = "not loaded yet"});
    set_model_repository(models);
  }
  std::shared_ptr<doubling> models = std::make_shared<doubling>(*this);
};

sluice::response change(sluice::service& s, const char* name, const char* what, std::string_view body = "{}") {
  return send(s, "POST", cat("/v2/repository/models/", name, "/", what), body);
}

bool says(const sluice::response& r, std::string_view words) { return r.text().find(words) != std::string::npos; }

}  // namespace

TEST_CASE("clients load and unload models of the repository") {
  repository_service s;
  CHECK(says(send(s, "GET", "/v2"), R"("statistics","model_repository"])"));
  check_error(send(s, "GET", "/v2/models/twice"), 404, "not loaded yet");
  CHECK(change(s, "twice", "load", "").text() == R"({"name":"twice","load":true})");
  CHECK(says(send(s, "GET", "/v2/models/twice"), R"("platform":"onnxruntime_onnx")"));
  CHECK(change(s, "twice", "load", R"({"parameters":{"own":[1,{"a":null}]}})").status == 200);  // once more
  CHECK(infer(s, "twice", request(input("a", "FP32", "[1]", R"("data":[1])"))).status == 200);
  CHECK(change(s, "twice", "unload", R"({"parameters":{"unload_dependents":false}})").text() ==
        R"({"name":"twice","unload":true})");
  check_error(send(s, "GET", "/v2/models/twice"), 404, "unloaded");
  check_error(change(s, "twice", "unload"), 400, "it is not loaded");
}

TEST_CASE("a load that fails is the client's error, with the repository's words") {
  repository_service s;
  check_error(change(s, "corrupt", "load"), 400, "[models] corrupt: no ONNX");
  check_error(change(s, "odd", "load"), 400, "the op Odd");
  check_error(change(s, "nothing", "load"), 404, "there is no such model");
  check_error(change(s, "matmul", "load"), 404, "there is no such model");
  check_error(change(s, "engine", "load"), 503, "there is no engine");
  for (const char* key : {"config", "file:1/model.onnx"})
    check_error(change(s, "twice", "load", cat(R"({"parameters":{")", key, R"(":"x"}})")), 400, key);
  for (const char* body : {"[]", "{", "{} {}", R"({"parameters":7})"}) CHECK(change(s, "twice", "load", body).status == 400);
  CHECK(send(s, "GET", "/v2/repository/models/twice/load").status == 405);
  CHECK(change(s, "twice", "reload").status == 404);
  s.models->control = false;
  check_error(change(s, "twice", "load"), 403, "explicit_control");
  check_error(change(s, "twice", "unload"), 403, "explicit_control");
  s.models->control = true;
  s.begin_drain();
  check_error(change(s, "twice", "load"), 503, "shutting down");
}

TEST_CASE("the index has what the repository knows, and those that are ready alone where it is asked to") {
  repository_service s;
  const auto index = [&](std::string_view body) { return send(s, "POST", "/v2/repository/index", body); };
  const std::string corrupt = R"({"name":"corrupt","version":"1","state":"UNAVAILABLE","reason":"no ONNX"})";
  CHECK(says(index(""), corrupt));
  CHECK(says(index("{}"), R"({"name":"matmul","version":"1","state":"READY","reason":""})"));
  CHECK(says(index(R"({"ready":false})"), corrupt));
  CHECK_FALSE(says(index(R"({"ready":true})"), "UNAVAILABLE"));
  CHECK(says(index(R"({"ready":true})"), R"("name":"matmul")"));
  check_error(index(R"({"ready":1})"), 400, "ready is 1");
  check_error(index("["), 400, "JSON");
  change(s, "twice", "load");
  CHECK(says(index(R"({"ready":true})"), R"({"name":"twice","version":"1","state":"READY","reason":""})"));
  // It is served on, while a newer copy of it cannot be.
  s.models->set({.name = "twice", .version = "1", .state = "READY", .reason = "reload: no ONNX", .wanted = true});
  CHECK(says(index(""), R"({"name":"twice","version":"1","state":"READY","reason":"reload: no ONNX"})"));
  s.models->set({.name = "twice", .version = "2", .state = "LOADING", .reason = "", .wanted = false});
  CHECK(says(send(s, "GET", "/v2/models"),
             R"({"name":"twice","versions":["1","2"],"state":"READY","reason":"reload: no ONNX"})"));
  CHECK(
      says(send(s, "GET", "/v2/models"), R"({"name":"corrupt","versions":["1"],"state":"UNAVAILABLE","reason":"no ONNX"})"));
}

TEST_CASE("readiness waits for the models that are wanted, and names them") {
  repository_service s;
  for (const char* path : {"/health/ready", "/v2/health/ready"}) CHECK(send(s, "GET", path).status == 200);
  s.models->set({.name = "missing", .version = "", .reason = "there is no folder", .wanted = true});
  s.models->set({.name = "twice", .version = "1", .state = "LOADING", .reason = "", .wanted = true});

  const auto look = send(s, "GET", "/health/ready");
  CHECK(look.status == 503);
  CHECK(look.text().starts_with(R"({"ready":false,"degraded":false,)"));
  CHECK(says(look, R"("models":[{"name":"twice","version":"1","state":"LOADING","reason":""},)"
                   R"({"name":"missing","version":"","state":"UNAVAILABLE","reason":"there is no folder"}])"));
  CHECK(send(s, "GET", "/v2/health/ready").text() ==
        R"({"ready":false,"reason":"twice is LOADING; missing is UNAVAILABLE: there is no folder"})");
  CHECK(send(s, "GET", "/v2/health/ready").status == 503);
  CHECK(says(send(s, "GET", "/metrics"), "\nsluice_ready 0\n"));
  CHECK(says(send(s, "GET", "/metrics"), "\nsluice_degraded 0\n"));

  for (const char* path : {"/v2/models/missing/ready", "/v2/models/missing/versions/1/ready"}) {
    const auto r = send(s, "GET", path);
    CHECK(r.status == 503);
    CHECK(r.text() ==
          R"({"name":"missing","ready":false,"reason":"[missing] the model is not loaded: there is no folder"})");
  }
  check_error(send(s, "GET", "/v2/models/missing"), 503, "there is no folder");
  check_error(send(s, "GET", "/v2/models/twice/config"), 503, "being loaded");
  check_error(infer(s, "twice", "{}"), 503, "being loaded");
  CHECK(infer(s, "twice", "{}").header("Retry-After") == "1");
  check_problem(post(s, "missing", "{}"), 503, "there is no folder");
  check_error(send(s, "GET", "/v2/models/twice/versions/2/ready"), 404, "no model");
  check_error(send(s, "GET", "/v2/models/corrupt/ready"), 404, "no ONNX");
  check_error(send(s, "GET", "/v2/models/nothing/ready"), 404, "no model");
  check_problem(post(s, "corrupt", "{}"), 404, "no ONNX");
  // Those that are there answer all the same.
  CHECK(send(s, "GET", "/v2/models/matmul/ready").status == 200);
  CHECK(says(send(s, "POST", "/v2/repository/index"), R"({"name":"matmul","version":"1","state":"READY","reason":""})"));

  change(s, "twice", "load");
  s.models->set({.name = "missing", .version = "", .reason = "", .wanted = false});
  for (const char* path : {"/health/ready", "/v2/health/ready", "/v2/models/twice/ready"})
    CHECK(send(s, "GET", path).status == 200);
}

TEST_CASE("the engine is shown beside the devices, and without a repository nothing is") {
  repository_service s;
  CHECK(send(s, "GET", "/v1/devices")
            .text()
            .ends_with(
                R"("engines":[{"name":"onnxruntime","version":"1.31.1","path":"/opt/libonnxruntime.so.1","refused":""}]})"));
  CHECK(says(send(s, "GET", "/openapi.json"), "Loads a model"));
  s.set_model_repository(nullptr);
  CHECK(send(s, "GET", "/v1/devices").text().ends_with(R"("engines":[]})"));
  CHECK_FALSE(says(send(s, "GET", "/openapi.json"), "Loads a model"));
  CHECK_FALSE(says(send(s, "GET", "/v2"), "model_repository"));
  check_error(change(s, "twice", "load"), 501, "not to be loaded by a client");
}

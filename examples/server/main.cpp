// An application that keeps notes, multiplies matrices in a route of its own, and has sluice's routes mounted beside them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "../common/platform.hpp"
#include "access_log.hpp"
#include "models.hpp"
#include "routes.hpp"
#if defined(__linux__)
#include "sluice/hardened_server.hpp"
#endif
#include "sluice/httplib.hpp"
#if SLUICE_SERVER_JOBS
#include "sluice/jobs.hpp"
#endif
#include "sluice/sluice.hpp"

namespace {

struct settings {
  std::string host = "127.0.0.1";
  int port = 8080;
  int threads = 64;
  std::string data_dir = "sluice-data";
  std::string device = "automatic";
  std::string ready = "all";
  bool exit_on_device_lost = false;
  bool calibrate = false;
  bool probe = false;
  std::int64_t result_bytes = sluice::service_limits{}.result_bytes;
  std::int64_t pixels = sluice::service_limits{}.pixels;
  std::string access_log{}, token_file{}, cert{}, key{};
  std::vector<std::string> origins{}, hosts{};
  model_settings models{};
#if SLUICE_SERVER_JOBS
  std::vector<std::string> data{};  // NAME=DIR
  sluice::job_options jobs{};
#endif
};

// EX_TEMPFAIL of sysexits.h: start me again. Only a new process brings a lost device back.
constexpr int device_lost_status = 75;

// Stops the server on Ctrl-C, SIGTERM, or when it is told to: readiness goes first, then what is under way is answered, the
// application's own routes too.
class stopper {
 public:
  template <class Server>
  stopper(Server& server, sluice::service& service)
      : interrupted_([this, &server, &service] {
          while (!over_ && !server.is_running())
            std::this_thread::sleep_for(std::chrono::milliseconds(5));  // stop() would do nothing
          if (!over_) sluice::shut_down(server, service, 20);
        }) {}
  ~stopper() { over_ = true; }

  void stop() noexcept { interrupted_.stop(); }

 private:
  std::atomic<bool> over_{false};
  interrupt interrupted_;
};

// An address of IPv6 is in brackets there.
std::string host_in_url(const std::string& host) { return host.find(':') == std::string::npos ? host : '[' + host + ']'; }

void print_start(const settings& s, const sluice::service& service, int port) {
  const char* const scheme = s.cert.empty() ? "http" : "https";
  const std::string host = host_in_url(s.host);
  std::printf("sluice-server %s on %s://%s:%d\n", SLUICE_VERSION_STRING, scheme, host.c_str(), port);
  for (const auto& d : sluice::devices()) std::printf("  %s: %s\n", d.where.str().c_str(), d.description.c_str());
  for (const auto& r : sluice::refusals()) std::printf("  %s\n", r.str().c_str());
  for (const auto& o : service.not_offered()) std::printf("  not offered: %s\n", o.c_str());
  print_model_engine(s.models);
  for (const auto& p : sluice::profiles())
    std::printf("  placement on %s goes by %s\n", p.where.str().c_str(),
                p.measured ? p.source.c_str() : ("defaults; " + p.source).c_str());
  std::printf(
      "try:\n  curl -s %s://%s:%d/v1/matmul -H 'Content-Type: application/json' -d '{\"a\": [[1, 2], [3, 4]], \"b\": [[1, "
      "1], [1, 1]]}'\n",
      scheme, host.c_str(), port);
  std::printf("or, in a browser: %s://%s:%d/docs\n", scheme, host.c_str(), port);
  std::fflush(stdout);
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  if (path.empty()) return lines;
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " cannot be read");
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) lines.push_back(line);
  if (lines.empty()) throw std::runtime_error(path + " has no token in it");
  return lines;
}

#if SLUICE_SERVER_JOBS
std::map<std::string, std::string> named_directories(const std::vector<std::string>& all) {
  std::map<std::string, std::string> named;
  for (const auto& one : all) {
    const auto equals = one.find('=');
    if (equals == std::string::npos) throw std::runtime_error("--data " + one + " is not NAME=DIR");
    const auto name = one.substr(0, equals), directory = one.substr(equals + 1);
    if (const auto [before, first] = named.emplace(name, directory); !first)
      throw std::runtime_error("--data names " + name + " twice: " + before->second + " and " + directory);
  }
  return named;
}

void add_jobs(sluice::service& service, const settings& s) {
  auto jobs = s.jobs;
  jobs.data_directories = named_directories(s.data);
  sluice::add_jobs(service, std::move(jobs));
}

void add_job_options(CLI::App& app, settings& s) {
  auto* const data =
      app.add_option("--data", s.data, "NAME=DIR: files below DIR may be read by jobs, as NAME/path; may be repeated");
  auto* const jobs =
      app.add_option("--jobs", s.jobs.folder, "folder for jobs on files, created when missing; without it there are none");
  auto* const sync = app.add_option("--jobs-sync", s.jobs.sync_seconds, "seconds of a job's work that a kill may cost")
                         ->capture_default_str();
  data->needs(jobs);
  sync->needs(jobs);
}
#else  // a build without sluice::jobs
void add_jobs(sluice::service&, const settings&) {}
void add_job_options(CLI::App&, settings&) {}
#endif

sluice::service_options service_of(const settings& s, const access_log& log) {
  sluice::service_options o;
  const sluice::device wanted(s.device);
  if (!wanted.is_automatic())
    static_cast<void>(sluice::memory_statistics(wanted));  // throws, with the reasons, when not there
  o.device = wanted;
  o.ready = s.ready == "any" ? sluice::ready_when::any_device : sluice::ready_when::all_devices;
  o.on_request = [&log](const sluice::access_record& r) { log.write(r); };
  o.tokens = lines_of(s.token_file);
  o.origins = s.origins;
  o.stream.spool_directory = s.data_dir;
  o.limits.pixels = s.pixels;
  o.limits.elements = std::max(o.limits.elements, s.pixels);  // of its edges
  o.limits.result_bytes = s.result_bytes;
  o.limits.all_answers_bytes = std::max(o.limits.all_answers_bytes, 4 * s.result_bytes);
  return o;
}

template <class Server>
int serve(const settings& s, Server& server) {
  keep_files_private();  // notes, results and logs are what clients sent
  const access_log log(s.access_log);
  if (s.calibrate) sluice::calibrate_in_background();
  std::filesystem::create_directories(s.data_dir);
  sluice::service_options options = service_of(s, log);
  std::atomic<int> status{0};
  std::function<void()> end;
  options.on_device_lost = [&](const sluice::device_info& d) {
    std::fprintf(stderr, "sluice-server: %s is lost: %s\n", d.where.str().c_str(), d.state.c_str());
    if (!s.exit_on_device_lost) return;
    status = device_lost_status;
    end();
  };
  sluice::service service(std::move(options));
  add_jobs(service, s);
  add_models(service, s.models);
  stopper stopping(server, service);
  end = [&] { stopping.stop(); };
  note_store notes((std::filesystem::path(s.data_dir) / "notes.db").string());

  sluice::mount(server, service);
  add_note_routes(server, notes);
  add_multiply_route(server, service);
  add_other_routes(server);
  log.watch(server);

  const int port = s.port != 0 ? (server.bind_to_port(s.host, s.port) ? s.port : -1) : server.bind_to_any_port(s.host);
  if (port < 0) {
    const std::string why = unknown_host(s.host);
    if (!why.empty())
      std::fprintf(stderr, "sluice-server: --host %s is no address of this machine's: %s\n", s.host.c_str(), why.c_str());
    else
      std::fprintf(stderr, "sluice-server: %s:%d cannot be listened on: is it in use?\n", host_in_url(s.host).c_str(),
                   s.port);
    return 1;
  }
  print_start(s, service, port);
  return server.listen_after_bind() ? status.load() : 1;
}

// The names that Host may have. One that listens on every address cannot know its names: any is taken, unless some are
// listed.
std::vector<std::string> names_of(const settings& s) {
  auto names = s.hosts;
  if (names.empty() && (s.host == "0.0.0.0" || s.host == "::")) return {};
  names.insert(names.end(), {"localhost", s.host});
  return names;
}

#if defined(__linux__)
int serve(const settings& s) {
  raise_descriptors();
  const sluice::hardened_options options{
      .threads = static_cast<std::size_t>(s.threads), .hosts = names_of(s), .origins = s.origins};
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
  if (!s.cert.empty()) {
    sluice::hardened_tls_server server(options, s.cert.c_str(), s.key.c_str());
    if (!server.is_valid()) throw std::runtime_error(s.cert + " and " + s.key + " are no certificate and its key");
    return serve(s, server);
  }
#endif
  sluice::hardened_server server(options);
  return serve(s, server);
}
#else
// The hardened servers are Linux's.
int serve(const settings& s) {
  const auto threads = static_cast<std::size_t>(s.threads);
  const auto serve_by = [&](auto& server) {
    sluice::tune(server, threads);
    return serve(s, server);
  };
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
  if (!s.cert.empty()) {
    httplib::SSLServer server(s.cert.c_str(), s.key.c_str());
    if (!server.is_valid()) throw std::runtime_error(s.cert + " and " + s.key + " are no certificate and its key");
    return serve_by(server);
  }
#endif
  httplib::Server server;
  return serve_by(server);
}
#endif

// For what can check a health by a command alone, as a container can. The certificate is no matter here.
int probe(const settings& s) {
  const std::string host = host_in_url(s.host == "0.0.0.0" ? "127.0.0.1" : s.host == "::" ? "::1" : s.host);
  httplib::Client client((s.cert.empty() ? "http://" : "https://") + host + ":" + std::to_string(s.port));
  client.set_connection_timeout(4);
  client.set_read_timeout(4);
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
  client.enable_server_certificate_verification(false);
#endif
  const auto answer = client.Get("/health/live");
  if (answer && answer->status == 200) return 0;
  std::fprintf(stderr, "sluice-server: nothing lives on %s:%d: %s\n", host.c_str(), s.port,
               answer ? std::to_string(answer->status).c_str() : httplib::to_string(answer.error()).c_str());
  return 1;
}

void add_access_options(CLI::App& app, settings& s) {
  app.add_option("--access-log", s.access_log, "a file to which each request adds a JSON line; - is the output");
  app.add_option("--token-file", s.token_file,
                 "a file of bearer tokens, one a line: sluice's routes, but for health, need one");
  app.add_option("--origin", s.origins, "an origin whose web pages may ask from browsers, as https://example.org; * is any");
  app.add_option(
      "--allow-host", s.hosts,
      "a name that clients use for this server, beside localhost and --host; with 0.0.0.0 and none, any. May be repeated");
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
  auto* const cert = app.add_option("--cert", s.cert, "certificate chain for TLS, as PEM")->check(CLI::ExistingFile);
  auto* const key = app.add_option("--key", s.key, "its private key, as PEM")->check(CLI::ExistingFile);
  cert->needs(key);
  key->needs(cert);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_streams();
  settings s;
  CLI::App app("An example application: notes, matrices, and sluice's routes beside them.", "sluice-server");
  app.set_version_flag("--version", SLUICE_VERSION_STRING);
  app.add_option("--host", s.host, "address to listen on")->capture_default_str();
  app.add_option("--port", s.port, "port to listen on; 0 takes a free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  app.add_option("--threads", s.threads, "threads that answer requests; computing and idle connections have none of them")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  app.add_option("--data-dir", s.data_dir, "folder for notes.db and for the sums of uploads, made when missing")
      ->capture_default_str();
  app.add_option("--device", s.device, "cpu, cuda, cuda:1, ... or automatic")->capture_default_str();
  app.add_option("--ready", s.ready, "/health/ready answers 200 while all devices are healthy, or any is")
      ->capture_default_str()
      ->check(CLI::IsMember({"all", "any"}));
  app.add_option("--pixels", s.pixels, "pixels of the largest picture, by its header")->capture_default_str();
  app.add_option("--result-bytes", s.result_bytes,
                 "largest result of a call, as 67108864 or 64mb; all answers under way hold 1gb "
                 "together, or 4 such results where that is more")
      ->capture_default_str()
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 50));
  app.add_flag("--calibrate", s.calibrate,
               "measure the devices in the background, unless this machine's file has the figures");
  app.add_flag("--exit-on-device-lost", s.exit_on_device_lost,
               "when a device is lost, answer the requests under way and end with 75, for a supervisor to restart it");
  app.add_flag("--probe", s.probe,
               "ask the server that runs on this host and port (and --cert, --key) whether it lives; end with 0 if it does");
  add_access_options(app, s);
  add_job_options(app, s);
  add_model_options(app, s.models);
  CLI11_PARSE(app, argc, argv);
  try {
    return s.probe ? probe(s) : serve(s);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "sluice-server: %s\n", e.what());
    return 1;
  }
}

#include "engine.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "sluice/impl/base/environment.hpp"
#include "sluice/impl/base/library.hpp"
#include "sluice/model.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

constexpr const char* variable = "SLUICE_ONNXRUNTIME";

#if defined(_WIN32)
constexpr std::string_view plain_name = "onnxruntime.dll";
constexpr std::string_view versioned_name = "onnxruntime.dll";
#elif defined(__APPLE__)
constexpr std::string_view plain_name = "libonnxruntime.dylib";
constexpr std::string_view versioned_name = "libonnxruntime.1.dylib";
#else
constexpr std::string_view plain_name = "libonnxruntime.so";
constexpr std::string_view versioned_name = "libonnxruntime.so.1";
#endif

// The numbers of "libonnxruntime.so.1.32.0" after its common part, or of "libonnxruntime.1.32.0.dylib"; none in another
// name.
std::vector<int> version_in(std::string_view name) {
  std::string_view rest = name;
  std::vector<int> numbers;
  const std::string_view stem = plain_name.substr(0, plain_name.rfind('.'));
  const std::string_view suffix = plain_name.substr(stem.size());
  if (!rest.starts_with(stem)) return numbers;
  rest.remove_prefix(stem.size());
  if (rest.starts_with(suffix)) rest.remove_prefix(suffix.size());
  if (rest.ends_with(suffix)) rest.remove_suffix(suffix.size());
  while (rest.starts_with('.')) {
    int number = 0;
    const auto read = std::from_chars(rest.data() + 1, rest.data() + rest.size(), number);
    if (read.ec != std::errc()) return {};
    numbers.push_back(number);
    rest.remove_prefix(static_cast<std::size_t>(read.ptr - rest.data()));
  }
  return rest.empty() ? numbers : std::vector<int>{};
}

// The library in a folder: by its plain or its versioned name, of versions the newest. "" where there is none.
std::string library_in(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto name : {versioned_name, plain_name})
    if (std::filesystem::is_regular_file(folder / name, error)) return (folder / name).string();
  std::vector<int> newest;
  std::string found;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    auto version = version_in(it->path().filename().string());
    if (version.empty() || version.front() != 1 || version <= newest) continue;
    newest = std::move(version);
    found = it->path().string();
  }
  return found;
}

// What to load; "" with the reason where the variable names nothing.
std::string library_to_load(std::string& path, std::string& refused) {
  path = base::environment(variable);
  if (path.empty()) {
    path = versioned_name;
    return path;  // the loader's places: a name without a separator
  }
  if (!std::filesystem::path(path).is_absolute()) {  // it would mean the working directory, where anyone may have put a file
    refused =
        fmt::format("{}=\"{}\" is relative: it takes an absolute path of the library or of its folder", variable, path);
    return {};
  }
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return path;
  auto library = library_in(path);
  if (library.empty())
    refused = fmt::format("{}=\"{}\": the folder holds no {} and no other version 1 of it", variable, path, versioned_name);
  return library;
}

struct loaded {
  model_engine about;
  std::unique_ptr<const engine> used;
};

std::vector<std::string> providers_of(const engine& used) {
  char** names = nullptr;
  int count = 0;
  used(available_providers, &names, &count);
  std::vector<std::string> providers(names, names + count);
  used(release_providers, names, count);
  return providers;
}

void load(loaded& result) {
  model_engine& about = result.about;
  const std::string library = library_to_load(about.path, about.refused);
  if (library.empty()) return;
  about.path = library;
  void* const module = base::open_module(library, about.refused);
  if (module == nullptr) return;
  auto* const entry = reinterpret_cast<api_base_function*>(base::find_symbol(module, "OrtGetApiBase"));
  const api_base* const base = entry != nullptr ? entry() : nullptr;
  if (base == nullptr) {
    about.refused = fmt::format("{} is not ONNX Runtime: it {}", library,
                                entry == nullptr ? "has no symbol OrtGetApiBase" : "gives no API");
    return;
  }
  about.path = base::path_of(reinterpret_cast<const void*>(entry), library);
  const char* const version = base->version();
  about.version = version != nullptr ? version : "";
  const void* const table = base->table(api_version);
  if (table == nullptr) {
    about.refused = fmt::format("{} is ONNX Runtime {}, which has no API of version {}: 1.{} or newer is needed", about.path,
                                about.version.empty() ? "of unknown version" : about.version, api_version, api_version);
    return;
  }
  try {
    environment* made = nullptr;
    engine(table, nullptr)(create_environment, logging::fatal, "sluice", &made);
    result.used = std::make_unique<const engine>(table, made);
    (*result.used)(disable_telemetry, made);
    about.providers = providers_of(*result.used);
    about.found = true;
  } catch (const std::exception& e) {
    result.used.reset();
    about.refused = fmt::format("{} does not start: {}", about.path, e.what());
  }
}

const loaded& the_engine() {
  static const loaded* const once = [] {  // never destroyed: models may outlive every static
    auto* made = new loaded;
    load(*made);
    return made;
  }();
  return *once;
}

error_code code_of(error_kind kind) noexcept {
  switch (kind) {
    case error_kind::invalid_argument: return error_code::invalid_argument;
    case error_kind::no_such_file: return error_code::io;
    case error_kind::no_model:
    case error_kind::invalid_protobuf:
    case error_kind::invalid_graph: return error_code::malformed;
    case error_kind::not_implemented: return error_code::unsupported;
    default: return error_code::internal;
  }
}

}  // namespace

void engine::fail(std::string_view doing, status* failed) const {
  const error_code code = code_of(api_(error_kind_of, failed));
  std::string sentence = fmt::format("{}: {}", doing, api_(message_of, failed));
  api_(release_status, failed);
  throw error(code, sentence);
}

const engine& find_engine() {
  const loaded& found = the_engine();
  if (found.used == nullptr)
    throw error(error_code::unavailable, "[model] there is no ONNX Runtime: " + found.about.refused);
  return *found.used;
}

}  // namespace ort

model_engine find_model_engine() { return ort::the_engine().about; }

}  // namespace SLUICE_ABI
}  // namespace sluice

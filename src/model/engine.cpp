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
    path = versioned_name;  // the loader's places: a name without a separator
    return path;
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
  if (module == nullptr) {
    if (base::environment(variable).empty())
      about.refused += fmt::format(" ({} may name the library or its folder)", variable);
    return;
  }
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

// Where the text at `at` is a place in the engine's source and the function there, "a/b.cc:256 void f(int) const ", the end
// of that; else `at`.
std::size_t skip_place(std::string_view text, std::size_t at) {
  const auto end = std::min(text.find(' ', at), text.size());
  const auto token = text.substr(at, end - at);
  const auto colon = token.rfind(':');
  if (token.find('/') == token.npos || colon == token.npos || colon + 1 == token.size()) return at;
  if (token.find_first_not_of("0123456789", colon + 1) != token.npos) return at;
  if (!token.substr(0, colon).ends_with(".cc") && !token.substr(0, colon).ends_with(".h")) return at;
  auto next = text.find('(', end);
  if (next == text.npos) return at;
  for (int depth = 0; next < text.size(); ++next) {
    depth += text[next] == '(' ? 1 : text[next] == ')' ? -1 : 0;
    if (depth == 0) break;
  }
  ++next;
  if (text.substr(std::min(next, text.size())).starts_with(" const ")) next += 6;
  return std::min(next + 1, text.size());
}

// The engine's sentence on one line, without places in its source.
std::string readable(std::string_view text) {
  std::string sentence;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 0 || text[i - 1] == ' ') i = skip_place(text, i);
    if (i < text.size()) sentence += text[i] == '\n' ? ' ' : text[i];
  }
  while (sentence.ends_with(' ')) sentence.pop_back();
  return sentence;
}

}  // namespace

failure engine::taken(status* failed) const {
  failure what{api_(error_kind_of, failed), readable(api_(message_of, failed))};
  api_(release_status, failed);
  return what;
}

void engine::throw_failure(const failure& what) { throw error(error_code::internal, "[model] " + what.text); }

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

#include "folder.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "sluice/error.hpp"

namespace sluice::serving::models {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_name = 64;

bool is_name(std::string_view name) noexcept {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return !name.empty() && name.size() <= longest_name && name.front() != '.' && name.find_first_not_of(letters) == name.npos;
}

// Of "3"; nothing for "0", "03" and "v3".
std::optional<std::int64_t> version_of(std::string_view name) noexcept {
  std::int64_t number = 0;
  const auto [end, e] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (e != std::errc{} || end != name.data() + name.size() || name.front() < '1' || name.front() > '9') return std::nullopt;
  return number;
}

// One look at a folder of models.
class scanner {
 public:
  scanner(const fs::path& directory, std::vector<ignored_entry>& ignored) : ignored_(ignored) {
    std::error_code why;
    root_ = fs::canonical(directory, why);
    if (!why && !fs::is_directory(root_, why) && !why) why = std::make_error_code(std::errc::not_a_directory);
    if (why) throw error(error_code::io, fmt::format("[models] {} cannot be read: {}", directory.string(), why.message()));
  }

  std::vector<found_model> all() {
    std::vector<found_model> models;
    for (const auto& name : entries(root_))
      if (auto one = model(name)) models.push_back(std::move(*one));
    return models;
  }

  std::optional<found_model> model(const std::string& name) {
    const auto folder = root_ / name;
    if (!has(folder, fs::file_type::directory, "a folder with versions in it")) return std::nullopt;
    if (!is_name(name))
      return ignore(folder, fmt::format("a model's name has 1 to {} letters, digits, '_' and '-'", longest_name));
    found_model found{.name = name, .versions = {}};
    const auto image_json = optional_file(folder, "image.json"), labels = optional_file(folder, "labels.txt");
    for (const auto& entry : entries(folder)) {
      if (entry == "image.json" || entry == "labels.txt") continue;
      if (auto v = version(folder / entry, entry)) {
        if (!v->image_json) v->image_json = image_json;
        if (!v->labels) v->labels = labels;
        found.versions.push_back(std::move(*v));
      }
    }
    std::sort(found.versions.begin(), found.versions.end(), [](auto& a, auto& b) { return a.number < b.number; });
    return found;
  }

 private:
  std::nullopt_t ignore(const fs::path& path, std::string reason) {
    ignored_.push_back({path.lexically_relative(root_).string(), std::move(reason)});
    return std::nullopt;
  }

  std::vector<std::string> entries(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code why;
    for (fs::directory_iterator it(folder, why), end; !why && it != end; it.increment(why))
      if (auto name = it->path().filename().string(); !name.starts_with('.')) names.push_back(std::move(name));
    if (why && folder == root_)
      throw error(error_code::io, fmt::format("[models] {} cannot be read: {}", folder.string(), why.message()));
    if (why) ignore(folder, why.message());
    std::sort(names.begin(), names.end());
    return names;
  }

  // Whether `path` is of that type and, without links, within the folder; else it is ignored, with the reason.
  bool has(const fs::path& path, fs::file_type type, const char* wanted) {
    std::error_code why;
    const auto place = fs::canonical(path, why);
    if (why) return ignore(path, why.message()), false;
    const auto relative = place.lexically_relative(root_);
    if (relative.empty() || *relative.begin() == "..")
      return ignore(path, "it is a link that leads out of the folder of models"), false;
    if (fs::status(place, why).type() != type) return ignore(path, fmt::format("it is not {}", wanted)), false;
    return true;
  }

  std::optional<fs::path> optional_file(const fs::path& folder, const char* name) {
    const auto path = folder / name;
    std::error_code why;
    if (!fs::exists(fs::symlink_status(path, why)) || !has(path, fs::file_type::regular, "a file")) return std::nullopt;
    return path;
  }

  std::optional<found_version> version(const fs::path& folder, const std::string& name) {
    const auto number = version_of(name);
    if (!number) return ignore(folder, "it is neither a version, a positive integer, nor image.json nor labels.txt");
    if (!has(folder, fs::file_type::directory, "a folder with a model.onnx in it")) return std::nullopt;
    const auto file = optional_file(folder, "model.onnx");
    if (!file) return ignore(folder, "there is no model.onnx in it");
    return found_version{*number, *file, optional_file(folder, "image.json"), optional_file(folder, "labels.txt")};
  }

  fs::path root_;
  std::vector<ignored_entry>& ignored_;
};

}  // namespace

listing list_models(const fs::path& directory) {
  listing all;
  all.models = scanner(directory, all.ignored).all();
  return all;
}

std::optional<found_model> find_model(const fs::path& directory, std::string_view name,
                                      std::vector<ignored_entry>& ignored) {
  std::error_code why;
  if (!is_name(name) || !fs::exists(directory / name, why)) return std::nullopt;
  return scanner(directory, ignored).model(std::string(name));
}

}  // namespace sluice::serving::models

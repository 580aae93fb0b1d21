#include "images.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>

#include "../common/platform.hpp"

namespace {

namespace fs = std::filesystem;
namespace image = sluice::image;

constexpr std::size_t most_bytes = std::size_t{1} << 30;  // of an encoded image

std::optional<image::format> format_of(const std::string& name) {
  auto ending = fs::path(name).extension().string();
  for (auto& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (ending == ".png") return image::format::png;
  if (ending == ".jpg" || ending == ".jpeg") return image::format::jpeg;
  return std::nullopt;
}

std::string name_in(const std::string& folder, const std::string& in, image::format format) {
  auto name = in == "-" ? fs::path("stdin") : fs::path(in).filename();
  return (fs::path(folder) / name.replace_extension(format == image::format::png ? ".png" : ".jpg")).string();
}

std::vector<std::byte> bytes_of(const std::string& path) {
  std::error_code why;
  if (path != "-" && fs::is_directory(path, why)) throw std::runtime_error(path + " is a folder");
  const auto read = open_stream(path == "-" ? "/dev/stdin" : path);
  std::vector<std::byte> bytes(1 << 16);
  std::size_t size = 0;
  for (;;) {
    if (size == bytes.size()) bytes.resize(2 * size);
    const auto count = read(std::span(bytes).subspan(size));
    size += count;
    if (size > most_bytes) throw std::runtime_error(fmt::format("{} has more than {} bytes", path, most_bytes));
    if (count == 0) break;
  }
  bytes.resize(size);
  return bytes;
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  const auto partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  const auto refused = [&](const std::error_code& why) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw std::runtime_error(fmt::format("{} cannot be written: {}", path, why.message()));
  };
  if (!file) refused({errno, std::generic_category()});
  std::error_code why;
  fs::rename(partial, path, why);
  if (why) refused(why);
}

void write_output(std::span<const std::byte> bytes) {
  std::size_t written = 0;
  auto why = write_to_output(bytes, written);
  if (!why) why = close_output();
  if (why)
    throw std::runtime_error(fmt::format("standard output: {} at byte {}: the image is cut short", why.message(), written));
}

void check_names(const std::vector<canny_file>& files) {
  std::map<std::string, std::string> in_of;
  for (const auto& file : files) {
    const auto [other, is_new] = in_of.emplace(file.out, file.in);
    if (!is_new) throw std::runtime_error(fmt::format("{} and {} would both be {}", other->second, file.in, file.out));
  }
  std::multimap<fs::path, std::string> named;  // inputs, by their names without folders
  for (const auto& file : files) named.emplace(fs::path(file.in).filename(), file.in);
  std::error_code ignored;
  for (const auto& file : files) {
    const auto [first, last] = named.equal_range(fs::path(file.out).filename());
    for (auto it = first; it != last; ++it)
      if (fs::equivalent(it->second, file.out, ignored))
        throw std::runtime_error(fmt::format("{} is an input: it would be overwritten", file.out));
  }
}

}  // namespace

std::vector<canny_file> plan_files(const std::vector<std::string>& ins, const std::string& out,
                                   std::optional<image::format> format) {
  std::error_code ignored;
  std::vector<canny_file> files;
  if (fs::is_directory(out, ignored)) {
    const auto chosen = format.value_or(image::format::png);
    for (const auto& in : ins) files.push_back({in, name_in(out, in, chosen), chosen});
  } else if (ins.size() > 1) {
    throw std::runtime_error(fmt::format("{} is no folder: {} images need one", out, ins.size()));
  } else {
    if (!format) format = out == "-" ? image::format::png : format_of(out);
    if (!format) throw std::runtime_error(out + " ends neither in .png nor in .jpg: say --format");
    files.push_back({ins[0], out, *format});
  }
  check_names(files);
  return files;
}

std::int64_t find_edges(const canny_file& file, const canny_job& job) {
  const auto pixels = image::decode(bytes_of(file.in), {.channels = job.colour ? 3 : 1, .most_pixels = job.most_pixels});
  const auto edges = sluice::canny(pixels, job.low, job.high, job.canny, sluice::device(job.device));
  const auto bytes =
      image::encode(edges, file.format, {.quality = job.quality, .bilevel = file.format == image::format::png});
  if (file.out == "-")
    write_output(bytes);
  else
    write_file(file.out, bytes);
  return pixels.extent(0) * pixels.extent(1);
}

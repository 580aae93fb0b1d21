// Opening files as streams of rows, and reading them chunk by chunk.
#pragma once

#include <algorithm>

#include <fmt/format.h>

#include "sluice/file_stream.hpp"
#include "sluice/impl/files/converted_source.hpp"
#include "sluice/impl/files/npy_header.hpp"
#include "sluice/impl/files/source.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// Of chunks(), where the options do not say.
inline constexpr std::int64_t usual_chunk_bytes = 16 << 20;

[[noreturn]] inline void stream_fail(error_code code, const std::string& what) {
  throw error(code, "[file_stream] " + what);
}

inline void check_stream_options(const file_stream_options& options) {
  if (options.columns < 0)
    stream_fail(error_code::invalid_argument, fmt::format("columns is {}: a row has at least 1", options.columns));
  if (options.byte_offset < 0)
    stream_fail(error_code::invalid_argument, fmt::format("byte_offset is {}: it is at least 0", options.byte_offset));
  if (options.chunk_bytes < 0)
    stream_fail(error_code::invalid_argument, fmt::format("chunk_bytes is {}: it is at least 1, or 0", options.chunk_bytes));
  if (options.readers < 0)
    stream_fail(error_code::invalid_argument, fmt::format("readers is {}: it is at least 1, or 0", options.readers));
}

inline npy_header check_streamable(const npy_header& h, const std::string& path, const file_stream_options& options) {
  if (h.shape.rank() == 0) stream_fail(error_code::unsupported, fmt::format("{} has shape (): it has no rows", path));
  const auto wide = std::count_if(h.shape.begin(), h.shape.end(), [](auto extent) { return extent != 1; });
  if (h.fortran_order && wide > 1)
    stream_fail(error_code::unsupported,
                fmt::format("{} has shape {} in Fortran order: its rows are scattered; save it in C order, "
                            "or read_npy it whole",
                            path, h.shape.str()));
  if (options.columns != 0 && options.columns != h.shape.back())
    stream_fail(error_code::invalid_argument,
                fmt::format("{} is an .npy of shape {}: columns is {} and must be {} or left out", path, h.shape.str(),
                            options.columns, h.shape.back()));
  if (options.dtype && *options.dtype != h.dtype)
    stream_fail(error_code::invalid_argument, fmt::format("{} is an .npy of {}: dtype is {} and must be that or left out",
                                                          path, name_of(h.dtype), name_of(*options.dtype)));
  return h;
}

inline std::int64_t raw_row_bytes(const std::string& path, const file_stream_options& options) {
  if (options.columns == 0 && path.ends_with(".npz"))
    stream_fail(error_code::invalid_argument,
                fmt::format("{} is no .npy and no raw file with columns: read_npz reads the members of an .npz", path));
  if (options.columns == 0)
    stream_fail(error_code::invalid_argument,
                fmt::format("{} does not begin with the magic of .npy: a raw file needs columns", path));
  return checked_product(options.columns, static_cast<std::int64_t>(size_of(options.dtype.value_or(dtype::f32))));
}

// What an .npy's header would say of a raw file that begins at byte `begin`.
inline npy_header raw_header(const files::file& in, std::int64_t begin, const file_stream_options& options) {
  const auto& path = in.path();
  const std::int64_t size = in.size() - begin;
  if (size == 0) stream_fail(error_code::malformed, fmt::format("{} has 0 bytes", path));
  const std::int64_t row = raw_row_bytes(path, options);
  const std::int64_t bytes = size - options.byte_offset;
  if (bytes <= 0)
    stream_fail(error_code::malformed,
                fmt::format("{} has {} bytes: none at byte_offset {}", path, size, options.byte_offset));
  if (bytes % row != 0)
    stream_fail(error_code::malformed,
                fmt::format("{} has {} bytes{}: not a multiple of a row's {} ({} columns of {}), {} are left over", path,
                            bytes, options.byte_offset > 0 ? fmt::format(" after byte {}", options.byte_offset) : "", row,
                            options.columns, name_of(options.dtype.value_or(dtype::f32)), bytes % row));
  return {options.dtype.value_or(dtype::f32), {bytes / row, options.columns}, false, options.byte_offset};
}

// Bytes before `begin` are not looked at: standard input may have been read up to there.
inline npy_header header_of(const files::file& in, std::int64_t begin, const file_stream_options& options, bool& npy) {
  std::byte prefix[6];
  npy = options.byte_offset == 0 && files::has_npy_magic(std::span(prefix).first(in.read_some(begin, prefix)));
  return npy ? check_streamable(files::read_npy_header(in, begin), in.path(), options) : raw_header(in, begin, options);
}

inline std::int64_t rows_of(const npy_header& h) { return h.shape.first(h.shape.rank() - 1).count(); }

// Takes one file after another.
struct joined_files {
  void add(const std::shared_ptr<const files::file>& in, std::int64_t begin, const file_stream_options& options) {
    bool npy = false;
    const npy_header h = header_of(*in, begin, options, npy);
    if (parts.empty()) {
      all = h;
      all_npy = npy;
    } else {
      check_same(h, npy, in->path());
      std::int64_t rows = 0;
      if (__builtin_add_overflow(rows_of(all), rows_of(h), &rows))
        stream_fail(error_code::malformed,
                    fmt::format("{} and those before it have more rows than fit in 63 bits", in->path()));
      all = {h.dtype, {rows, h.shape.back()}, false, 0, h.element, h.swapped};
    }
    parts.push_back({in, begin + h.data_offset, h.data_bytes()});
  }

  void check_same(const npy_header& h, bool npy, const std::string& path) const {
    const std::string& first = parts.front().in->path();
    if (npy != all_npy)
      stream_fail(error_code::invalid_argument,
                  fmt::format("{} is {}, and {} is {}: files that are read as one are all .npy or all raw", first,
                              all_npy ? "an .npy" : "raw", path, npy ? "an .npy" : "raw"));
    if (h.dtype != all.dtype || h.element != all.element || h.swapped != all.swapped || h.shape.back() != all.shape.back())
      stream_fail(error_code::invalid_argument,
                  fmt::format("{} has {} columns of {}, and {} has {} of {}: files that are read as one agree", first,
                              all.shape.back(), npy_name_of(all), path, h.shape.back(), npy_name_of(h)));
  }

  std::vector<files::file_part> parts;
  npy_header all;
  bool all_npy = false;
};

// The rows of what comes once.
inline npy_header begun(files::callback_source& in, const file_stream_options& options) {
  const auto peek = [&](std::size_t count) { return in.peek(count); };
  if (options.byte_offset == 0 && files::has_npy_magic(in.peek(6))) {
    const npy_header h = check_streamable(files::read_npy_header(peek, in.name()), in.name(), options);
    in.rows_begin(h.data_offset, h.shape.back() * static_cast<std::int64_t>(h.element_bytes()), h.data_bytes());
    return h;
  }
  in.rows_begin(options.byte_offset, raw_row_bytes(in.name(), options), -1);
  return {options.dtype.value_or(dtype::f32), {-1, options.columns}, false, options.byte_offset};
}

}  // namespace files

SLUICE_FUNC file_stream::file_stream(std::shared_ptr<files::source> source, const npy_header& header,
                                     const file_stream_options& options)
    : source_(files::converted(std::move(source), header)),
      shape_(header.shape),
      rows_(shape_[0] < 0 ? -1 : files::rows_of(header)),
      dtype_(header.dtype),
      byte_offset_(header.data_offset),
      stored_row_bytes_(header.shape.back() * static_cast<std::int64_t>(header.element_bytes())),
      chunk_bytes_(options.chunk_bytes),
      readers_(options.readers) {}

SLUICE_FUNC file_stream::file_stream(const std::string& path, const file_stream_options& options)
    : file_stream(std::vector<std::string>{path}, options) {}

SLUICE_FUNC file_stream::file_stream(const std::vector<std::string>& paths, const file_stream_options& options) {
  files::check_stream_options(options);
  if (paths.empty()) files::stream_fail(error_code::invalid_argument, "0 paths: there is at least 1 file");
  files::joined_files files;
  for (const auto& path : paths) files.add(std::make_shared<const files::file>(path, "file_stream"), 0, options);
  *this = file_stream(std::make_shared<files::file_source>(std::move(files.parts), options.map), files.all, options);
}

SLUICE_FUNC file_stream file_stream::opened(int descriptor, const file_stream_options& options, std::string name) {
  files::check_stream_options(options);
  files::joined_files files;
  files.add(files::open_duplicate(descriptor, std::move(name), "file_stream"), 0, options);
  return file_stream(std::make_shared<files::file_source>(std::move(files.parts), options.map), files.all, options);
}

SLUICE_FUNC file_stream file_stream::from(read_callback read, const file_stream_options& options, std::string name) {
  files::check_stream_options(options);
  if (!read) files::stream_fail(error_code::invalid_argument, fmt::format("{}: there is no function to read it", name));
  const auto in = std::make_shared<files::callback_source>(std::move(read), std::move(name));
  const npy_header h = files::begun(*in, options);
  return file_stream(in, h, options);
}

SLUICE_FUNC file_stream file_stream::standard_input(const file_stream_options& options) {
  files::check_stream_options(options);
  const auto found = files::open_standard_input("file_stream");
  if (!found.in) return from(files::read_standard_input, options, "standard input");
  files::joined_files files;
  files.add(found.in, found.begin, options);
  files.all.data_offset += found.begin;
  return file_stream(std::make_shared<files::file_source>(std::move(files.parts), options.map), files.all, options);
}

SLUICE_FUNC bool file_stream::seekable() const noexcept { return source_->seekable(); }

SLUICE_FUNC const std::string& file_stream::path() const noexcept { return source_->name(); }

SLUICE_FUNC void file_stream::check_unchanged() const { source_->check_unchanged(); }

SLUICE_FUNC void file_stream::read_rows(std::int64_t first_row, tensor& out) const {
  if (out.rank() != 2 || out.extent(1) != columns() || out.dtype() != dtype_ || !out.is_contiguous() ||
      !out.device().is_cpu())
    files::stream_fail(error_code::invalid_argument,
                       fmt::format("read_rows into {} of {}: it must be a row-major (rows, {}) of {} on the CPU",
                                   out.shape().str(), name_of(out.dtype()), columns(), name_of(dtype_)));
  if (!seekable())
    files::stream_fail(error_code::invalid_argument,
                       fmt::format("read_rows from row {}: {} can be read once only, in order", first_row, path()));
  if (first_row < 0 || first_row > rows_ - out.extent(0))
    files::stream_fail(error_code::invalid_argument, fmt::format("read_rows of {} rows from row {}: {} has {} rows",
                                                                 out.extent(0), first_row, path(), rows_));
  files::read_parallel(*source_, first_row * row_bytes(), {static_cast<std::byte*>(out.data()), out.bytes()});
}

SLUICE_FUNC row_chunks::row_chunks(file_stream file, std::int64_t first_row) : file_(std::move(file)), next_row_(first_row) {
  if (!file_.seekable() && first_row != 0)
    files::stream_fail(error_code::invalid_argument,
                       fmt::format("chunks from row {}: {} can be read once only, in order", first_row, file_.path()));
  if (first_row < 0 || (file_.seekable() && first_row > file_.rows()))
    files::stream_fail(error_code::invalid_argument,
                       fmt::format("chunks from row {}: {} has {} rows", first_row, file_.path(), file_.rows()));
  files::source_of(file_).begin();
}

SLUICE_FUNC void row_chunks::next() {
  chunk_ = {};  // back to the pool before the next one is taken from it
  if (next_row_ == file_.rows()) return;
  const std::int64_t chunk = file_.chunk_bytes() > 0 ? file_.chunk_bytes() : files::usual_chunk_bytes;
  const std::int64_t wanted = std::max<std::int64_t>(1, chunk / std::max<std::int64_t>(1, file_.row_bytes()));
  std::int64_t rows = file_.rows() < 0 ? wanted : std::min(wanted, file_.rows() - next_row_);
  tensor read({rows, file_.columns()}, file_.dtype());
  if (file_.seekable()) {
    file_.read_rows(next_row_, read);
  } else if (read.bytes() > 0) {
    const std::size_t got = files::source_of(file_).next({static_cast<std::byte*>(read.data()), read.bytes()});
    if (got == 0) return;
    rows = static_cast<std::int64_t>(got) / file_.row_bytes();
    read = read.slice(0, 0, rows);
  }
  chunk_ = {std::move(read), next_row_, file_.byte_offset_of(next_row_)};
  next_row_ += rows;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

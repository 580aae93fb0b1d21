#include "sluice/file_stream.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "npy_file.hpp"

namespace sluice {
inline namespace v0 {
namespace {

[[noreturn]] void fail(error_code code, const std::string& what) { throw error(code, "[file_stream] " + what); }

void check_options(const file_stream_options& options) {
  if (options.columns < 0)
    fail(error_code::invalid_argument, fmt::format("columns is {}: a row has at least 1", options.columns));
  if (options.byte_offset < 0)
    fail(error_code::invalid_argument, fmt::format("byte_offset is {}: it is at least 0", options.byte_offset));
  if (options.chunk_bytes <= 0)
    fail(error_code::invalid_argument, fmt::format("chunk_bytes is {}: it is at least 1", options.chunk_bytes));
}

bool is_npy(const stream::file& in) {
  std::byte prefix[6];
  return stream::has_npy_magic(std::span(prefix).first(in.read_some(0, prefix)));
}

npy_header streamable_header(const stream::file& in, const file_stream_options& options) {
  const npy_header h = stream::read_npy_header(in);
  const auto& path = in.path();
  if (h.shape.rank() == 0) fail(error_code::unsupported, fmt::format("{} has shape (): it has no rows", path));
  const auto wide = std::count_if(h.shape.begin(), h.shape.end(), [](auto extent) { return extent != 1; });
  if (h.fortran_order && wide > 1)
    fail(error_code::unsupported,
         fmt::format("{} has shape {} in Fortran order: its rows are scattered; save it in C order, "
                     "or read_npy it whole",
                     path, h.shape.str()));
  if (options.columns != 0 && options.columns != h.shape.back())
    fail(error_code::invalid_argument, fmt::format("{} is an .npy of shape {}: columns is {} and must be {} or left out",
                                                   path, h.shape.str(), options.columns, h.shape.back()));
  if (options.dtype && *options.dtype != h.dtype)
    fail(error_code::invalid_argument, fmt::format("{} is an .npy of {}: dtype is {} and must be that or left out", path,
                                                   name_of(h.dtype), name_of(*options.dtype)));
  return h;
}

// What an .npy's header would say of a raw file.
npy_header raw_header(const stream::file& in, const file_stream_options& options) {
  const auto& path = in.path();
  if (in.size() == 0) fail(error_code::malformed, fmt::format("{} has 0 bytes", path));
  if (options.columns == 0)
    fail(error_code::invalid_argument,
         fmt::format("{} does not begin with the magic of .npy: a raw file needs columns", path));
  const dtype type = options.dtype.value_or(dtype::f32);
  const std::int64_t row = checked_product(options.columns, static_cast<std::int64_t>(size_of(type)));
  const std::int64_t bytes = in.size() - options.byte_offset;
  if (bytes <= 0)
    fail(error_code::malformed,
         fmt::format("{} has {} bytes: none at byte_offset {}", path, in.size(), options.byte_offset));
  if (bytes % row != 0)
    fail(error_code::malformed,
         fmt::format("{} has {} bytes{}: not a multiple of a row's {} ({} columns of {}), {} are left over", path, bytes,
                     options.byte_offset > 0 ? fmt::format(" after byte {}", options.byte_offset) : "", row, options.columns,
                     name_of(type), bytes % row));
  return {type, {bytes / row, options.columns}, false, options.byte_offset};
}

}  // namespace

file_stream::file_stream(const std::string& path, const file_stream_options& options) : chunk_bytes_(options.chunk_bytes) {
  check_options(options);
  const auto in = std::make_shared<const stream::file>(path, "file_stream");
  const bool npy = options.byte_offset == 0 && is_npy(*in);
  const npy_header h = npy ? streamable_header(*in, options) : raw_header(*in, options);
  file_ = in;
  shape_ = h.shape;
  rows_ = h.shape.first(h.shape.rank() - 1).count();
  dtype_ = h.dtype;
  byte_offset_ = h.data_offset;
}

const std::string& file_stream::path() const noexcept { return file_->path(); }

void file_stream::check_unchanged() const { file_->check_size(); }

void file_stream::read_rows(std::int64_t first_row, tensor& out) const {
  if (out.rank() != 2 || out.extent(1) != columns() || out.dtype() != dtype_ || !out.is_contiguous() ||
      !out.device().is_cpu())
    fail(error_code::invalid_argument,
         fmt::format("read_rows into {} of {}: it must be a row-major (rows, {}) of {} on the CPU", out.shape().str(),
                     name_of(out.dtype()), columns(), name_of(dtype_)));
  if (first_row < 0 || first_row > rows_ - out.extent(0))
    fail(error_code::invalid_argument,
         fmt::format("read_rows of {} rows from row {}: {} has {} rows", out.extent(0), first_row, path(), rows_));
  file_->read_parallel(byte_offset_ + first_row * row_bytes(), {static_cast<std::byte*>(out.data()), out.bytes()});
}

row_chunks::row_chunks(file_stream file, std::int64_t first_row) : file_(std::move(file)), next_row_(first_row) {
  if (first_row < 0 || first_row > file_.rows())
    fail(error_code::invalid_argument,
         fmt::format("chunks from row {}: {} has {} rows", first_row, file_.path(), file_.rows()));
}

void row_chunks::next() {
  chunk_ = {};  // back to the pool before the next one is taken from it
  if (next_row_ == file_.rows()) return;
  const std::int64_t wanted = file_.chunk_bytes() / std::max<std::int64_t>(1, file_.row_bytes());
  const std::int64_t rows = std::clamp<std::int64_t>(wanted, 1, file_.rows() - next_row_);
  tensor read({rows, file_.columns()}, file_.dtype());
  file_.read_rows(next_row_, read);
  chunk_ = {std::move(read), next_row_, file_.byte_offset() + next_row_ * file_.row_bytes()};
  next_row_ += rows;
}

}  // namespace v0
}  // namespace sluice

/// @file
/// Rows that need not fit in memory, as a range of chunks: raw row-major elements, or .npy in C order, from a file, from
/// several as one, from standard input or from a function of the caller's. Memory holds one chunk at a time.
///
///     sluice::file_stream in("data.bin", {.dtype = sluice::dtype::f32, .columns = 1024});
///     for (const auto& chunk : in.chunks())
///       use(chunk.first_row, sluice::rowsum(chunk.rows));        // chunk.rows is (rows, 1024), on the CPU
///     sluice::rowsum_file(in, "sums.npy");                       // pipeline.hpp does that at the file's speed
///
/// The dtype of an .npy is the one that npy.hpp tells: rows of other types, or big-endian, are converted as they are read.
///
/// Files are read with pread, and mapped only where that is asked for: a file that is cut short while it is read is an
/// error, not a crash.
#pragma once

#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include "sluice/npy.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

namespace files {
class source;
struct stream_access;  // what the library itself sees of a file_stream
}  // namespace files

/// How a file is read.
struct file_stream_options {
  /// Of a raw file, whose element type is f32 unless given. An .npy knows both: given all the same, they must agree.
  std::optional<sluice::dtype> dtype{};
  /// Elements of a row of a raw file, which has no other way to tell; 0: taken from the .npy.
  std::int64_t columns = 0;
  /// Where a raw file's rows begin. Above 0, the file is taken as raw even when it begins like an .npy.
  std::int64_t byte_offset = 0;
  /// Bytes of a chunk: rounded down to whole rows, at least one row. 0: chosen from the machine and the device.
  std::int64_t chunk_bytes = 0;
  /// Threads that read at once, at most those of the pool. 0: chosen.
  int readers = 0;
  /// Map files instead of reading them, where that is faster. The first such stream installs a handler of SIGBUS for the
  /// whole process, which passes on what is not its own: a file that is cut short while it is mapped is an error, not a
  /// crash.
  bool map = false;
};

/// Reads the next bytes into `out`, at least one byte; returns how many, and 0 at the end. What it throws ends the run.
using read_callback = std::function<std::size_t(std::span<std::byte> out)>;

/// Some rows of a file. The tensor's memory comes from the pool, and is returned to it with the last handle.
struct row_chunk {
  tensor rows;                   ///< (rows, columns), on the CPU
  std::int64_t first_row = 0;    ///< number of its first row
  std::int64_t byte_offset = 0;  ///< of its first row, in the file
};

class row_chunks;

/// Rows of one dtype and length. Copies share the open file. Every member may be called from any thread.
class file_stream {
 public:
  /// Opens a regular file; one that begins with the magic of .npy is one. Throws
  /// - invalid_argument for something other than a regular file, columns missing or <= 0 in a raw file, a negative offset,
  ///   chunk_bytes or readers < 0, options that contradict the .npy's header;
  /// - malformed when a raw file is empty or no multiple of a row, or an .npy's size is not what its header says;
  /// - unsupported for an .npy in Fortran order or of rank 0, or an element type that npy.hpp does not list;
  /// - io when the operating system refuses.
  SLUICE_API explicit file_stream(const std::string& path, const file_stream_options& options = {});
  /// Several files as one, in the order given: all .npy or all raw, of one dtype and one number of columns, rows never
  /// across two files. An .npy with more dimensions is its rows. Throws the same, and invalid_argument when they disagree or
  /// none is given.
  SLUICE_API explicit file_stream(const std::vector<std::string>& paths, const file_stream_options& options = {});
  /// Likewise, and throws the same.
  explicit file_stream(std::initializer_list<std::string> paths, const file_stream_options& options = {})
      : file_stream(std::vector<std::string>(paths), options) {}
  /// The regular file that is open for reading as `descriptor`, of which a duplicate is kept: what was opened is read,
  /// wherever its path leads by now. `name` stands for it in errors. Throws as the constructor does.
  SLUICE_API static file_stream opened(int descriptor, const file_stream_options& options = {}, std::string name = "input");
  /// A source that can be read once only, in order: raw rows or an .npy, told apart as in a file (a raw one needs columns;
  /// byte_offset bytes are skipped). `name` stands for it in errors. A raw stream that ends inside a row, or an .npy that
  /// ends early or has bytes after its last row, is malformed, which is found on reaching the end. Throws as the constructor
  /// does.
  SLUICE_API static file_stream from(read_callback read, const file_stream_options& options = {},
                                     std::string name = "input");
  /// A regular file is read as one, from its current position; anything else once, in order. Throws as the constructor and
  /// from() do.
  SLUICE_API static file_stream standard_input(const file_stream_options& options = {});

  /// Whether rows can be read at any place, and again. If not, the stream can be used once.
  [[nodiscard]] SLUICE_API bool seekable() const noexcept;

  /// An .npy of more than two dimensions is a list of rows all the same: (a, b, c) has a * b rows of c columns; (c) is one
  /// row. -1, in shape() too: not known before the end of raw bytes that come once.
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::int64_t columns() const noexcept { return shape_.back(); }  ///< elements of a row
  /// That of the .npy; (rows, columns) of a raw file and of several files.
  [[nodiscard]] const sluice::shape& shape() const noexcept { return shape_; }
  [[nodiscard]] sluice::dtype dtype() const noexcept { return dtype_; }  ///< of the elements
  /// Bytes of one row, in memory.
  [[nodiscard]] std::int64_t row_bytes() const noexcept { return columns() * static_cast<std::int64_t>(size_of(dtype_)); }
  [[nodiscard]] std::int64_t bytes() const noexcept { return rows_ < 0 ? -1 : rows_ * row_bytes(); }  ///< of all rows
  [[nodiscard]] std::int64_t byte_offset() const noexcept { return byte_offset_; }  ///< of row 0; 0 of several files
  /// Of any row, in the file: an .npy's rows may have other sizes there than in memory.
  [[nodiscard]] std::int64_t byte_offset_of(std::int64_t row) const noexcept {
    return byte_offset_ + row * stored_row_bytes_;
  }
  [[nodiscard]] std::int64_t chunk_bytes() const noexcept { return chunk_bytes_; }  ///< as in the options
  [[nodiscard]] int readers() const noexcept { return readers_; }                   ///< as in the options
  [[nodiscard]] SLUICE_API const std::string& path() const noexcept;                ///< or the name

  /// All rows, or those from `first_row` on, chunk after chunk. Throws invalid_argument when first_row is beyond rows(), and
  /// where the source can be read once only, when it is not 0 or the source is read already.
  [[nodiscard]] inline row_chunks chunks(std::int64_t first_row = 0) const;

  /// Fills `out`, a row-major (n, columns) tensor of the file's dtype on the CPU, with n rows from `first_row` on. Throws
  /// invalid_argument when `out` is something else, rows() is less than first_row + n or the source can be read once only;
  /// io when reading fails or the file has become shorter.
  SLUICE_API void read_rows(std::int64_t first_row, tensor& out) const;

  /// Throws io, with both sizes, when a file is no longer what it was when it was opened: by its size, its time of writing,
  /// or a change of its status (ctime) that no chmod, rename, link or removal explains.
  SLUICE_API void check_unchanged() const;

 private:
  friend struct files::stream_access;
  file_stream(std::shared_ptr<files::source> source, const npy_header& header, const file_stream_options& options);

  std::shared_ptr<files::source> source_;
  sluice::shape shape_;
  std::int64_t rows_ = 0;
  sluice::dtype dtype_ = dtype::f32;
  std::int64_t byte_offset_ = 0;
  std::int64_t stored_row_bytes_ = 0;
  std::int64_t chunk_bytes_ = 0;
  int readers_ = 0;
};

/// An input range of row_chunk: each is read when the iterator comes to it, and its memory reused for the next one.
class row_chunks {
 public:
  /// A position in the range, which its copies share.
  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;  ///< one pass
    using difference_type = std::ptrdiff_t;            ///< as ranges call it
    using value_type = row_chunk;                      ///< as ranges call it

    explicit iterator(row_chunks& range) : range_(&range) {}                  ///< at the chunk that was read last
    const row_chunk& operator*() const noexcept { return range_->chunk_; }    ///< good until the next step
    const row_chunk* operator->() const noexcept { return &range_->chunk_; }  ///< likewise
    /// Reads the next chunk. Throws as file_stream::read_rows does, and malformed where a source that can be read once only
    /// does not hold whole rows.
    iterator& operator++() {
      range_->next();
      return *this;
    }
    /// Likewise.
    void operator++(int) { range_->next(); }
    /// Whether the rows are at their end.
    bool operator==(std::default_sentinel_t) const noexcept { return range_->chunk_.rows.extent(0) == 0; }

   private:
    row_chunks* range_;
  };

  /// As file_stream::chunks, which makes it.
  SLUICE_API row_chunks(file_stream file, std::int64_t first_row);
  /// Reads the first chunk, and throws as the next ones do. Once a range.
  iterator begin() {
    next();
    return iterator(*this);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }  ///< of the rows

 private:
  SLUICE_API void next();

  file_stream file_;
  std::int64_t next_row_;
  row_chunk chunk_;
};

row_chunks file_stream::chunks(std::int64_t first_row) const { return {*this, first_row}; }

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/files/file_stream.hpp"
#endif

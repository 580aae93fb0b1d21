// Matrix products: cut into tiles that are run one BLAS call each, on one thread each, over the process's pool.
//
// How a product is cut depends on its extents and strides alone, never on how many threads there are or which of them help:
// the same operands give the same bits with any SLUICE_THREADS, for one BLAS on one kind of processor.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "blas.hpp"
#include "cpu.hpp"
#include "gemv.hpp"
#include "system.hpp"

namespace sluice::cpu {
namespace {

using std::int64_t;

// Multiply-adds. Up to `tiny` in all (7 us for f32), taking a turn in the pool costs more than it orders.
constexpr int64_t tiny = int64_t{1} << 18;
constexpr int64_t least_tile = int64_t{1} << 22;       // 100 us, about what it takes to wake a helper
constexpr int64_t least_gemv_tile = int64_t{1} << 18;  // 20 us, from the L3 cache
constexpr int64_t enough_tiles = 16;                   // or more, as long as they are large
constexpr int64_t many_tiles = 64;
constexpr int64_t large_tile = int64_t{1} << 26;  // 1.5 ms
constexpr int64_t panel_depth = 256;              // of operands that are widened or gathered
constexpr int64_t panel_rows = 256;
constexpr int64_t panel_columns = 128;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
struct operand {
  const T* data;
  int64_t batch_stride;
  int64_t row_stride;
  int64_t column_stride;
  bool settled;  // the BLAS takes it as it lies

  const T* at(int64_t batch, int64_t row, int64_t column) const {
    return data + batch * batch_stride + row * row_stride + column * column_stride;
  }
};

template <class T>
operand<T> operand_of(const sluice_array& x) {
  operand<T> o{static_cast<const T*>(x.data), x.strides[0], x.strides[1], x.strides[2], false};
  o.settled = blas::settle(x.extents[1], x.extents[2], o.row_stride, o.column_stride) && std::is_same_v<T, sum_of<T>>;
  return o;
}

// Tiles of rows x columns x depth; the last of each is what remains.
struct cut {
  int64_t rows;
  int64_t columns;
  int64_t depth;
  int64_t row_tiles;
  int64_t column_tiles;
  int64_t slices;  // of the depth: their sums are added up in order
  int64_t tiles;   // in the whole batch
  int64_t group;   // tiles handed out together
};

cut finish(cut c, int64_t batch, int64_t m, int64_t n, int64_t k, int64_t least) {
  c.row_tiles = divide_up(m, c.rows);
  c.column_tiles = divide_up(n, c.columns);
  c.depth = divide_up(k, c.slices);
  c.slices = divide_up(k, c.depth);
  c.tiles = batch * c.row_tiles * c.column_tiles * c.slices;
  c.group = std::max<int64_t>(1, least / (c.rows * c.columns * c.depth));
  return c;
}

// Halves the tiles, keeping them about four times as tall as wide, until there are enough or they are small: each halving
// costs a few percent, as less is done with each packed piece of b.
cut cut_product(int64_t batch, int64_t m, int64_t n, int64_t k, bool panels) {
  const auto even = [](int64_t extent, int64_t most) { return divide_up(extent, divide_up(extent, most)); };
  const auto vectors = [](int64_t columns) { return divide_up(columns, 16) * 16; };
  cut c{even(m, panels ? panel_rows : blas::tile_rows),
        even(n, panels ? panel_columns : blas::tile_columns),
        k,
        0,
        0,
        1,
        0,
        1};
  c.columns = std::min(n, vectors(c.columns));
  for (;;) {
    const cut now = finish(c, batch, m, n, k, least_tile);
    const int64_t work = now.rows * now.columns * now.depth;
    if (now.tiles >= many_tiles || work < 2 * (now.tiles < enough_tiles ? least_tile : large_tile)) return now;
    if (c.rows >= 128 && (c.rows >= 4 * c.columns || c.columns < 32))
      c.rows = divide_up(c.rows, 2);
    else if (c.columns >= 32)
      c.columns = vectors(c.columns / 2);
    else if (now.tiles < enough_tiles && now.depth >= 4096)
      c.slices *= 2;
    else
      return now;
  }
}

// For one row or one column: lines are the extent that is not 1.
cut cut_gemv(int64_t batch, int64_t m, int64_t n, int64_t k) {
  int64_t lines = std::min(std::max(m, n), gemv_lines);
  int64_t slices = 1;
  for (;;) {
    const cut now = finish({std::min(m, lines), std::min(n, lines), k, 0, 0, slices, 0, 1}, batch, m, n, k, least_gemv_tile);
    if (now.tiles >= many_tiles || lines * now.depth < 2 * least_gemv_tile) return now;
    if (lines >= 128)
      lines = divide_up(lines, 2);
    else if (now.tiles < enough_tiles && now.depth >= 4 * gemv_depth)
      slices *= 2;
    else
      return now;
  }
}

// Memory for the panels of this thread, kept from call to call: at most a few hundred KiB. Null when there is none.
template <class S>
S* panel_memory(int64_t count) {
  constexpr std::size_t page = 4096;
  struct block {
    ~block() {
      if (data != nullptr) system_free(data, size, page);
    }
    void* data = nullptr;
    std::size_t size = 0;
  };
  thread_local block memory;
  const auto bytes = static_cast<std::size_t>(count) * sizeof(S);
  if (bytes > memory.size) {
    if (memory.data != nullptr) system_free(memory.data, memory.size, page);
    memory.data = system_allocate(bytes, page);
    memory.size = memory.data != nullptr ? bytes : 0;
  }
  return static_cast<S*>(memory.data);
}

template <class T>
class product {
 public:
  using sum = sum_of<T>;

  product(const sluice_array& a, const sluice_array& b, const sluice_array& out)
      : a_(operand_of<T>(a)),
        b_(operand_of<T>(b)),
        out_(static_cast<T*>(out.data)),
        batch_(out.extents[0]),
        m_(out.extents[1]),
        n_(out.extents[2]),
        k_(a.extents[2]) {
    fold_batch(a);
    direct_ = std::is_same_v<T, sum> && n_ <= blas::most;
    gemv_ = m_ == 1 || n_ == 1;
    const bool panels = !a_.settled || !b_.settled || !direct_;
    cut_ = gemv_ ? cut_gemv(batch_, m_, n_, k_) : cut_product(batch_, m_, n_, k_, panels);
  }

  bool run() {
    std::unique_ptr<sum[]> partial;
    if (cut_.slices > 1) {
      partial.reset(new (std::nothrow) sum[static_cast<std::size_t>(cut_.slices * batch_ * m_ * n_)]);
      if (!partial) return false;
    }
    partial_ = partial.get();
    if (batch_ * m_ * n_ <= tiny / k_) {
      for (int64_t i = 0; i < cut_.tiles; ++i) tile(i);
    } else {
      parallel_for(divide_up(cut_.tiles, cut_.group), [this](int64_t group) {
        const int64_t end = std::min(cut_.tiles, (group + 1) * cut_.group);
        for (int64_t i = group * cut_.group; i < end; ++i) tile(i);
      });
    }
    if (partial_ != nullptr) join();
    return !out_of_memory_.load();
  }

 private:
  // A batch of a that lies as one tall matrix, times one b for all, is one product.
  void fold_batch(const sluice_array& a) {
    if (batch_ <= 1 || b_.batch_stride != 0) return;
    if (m_ != 1 && a.strides[0] != m_ * a.strides[1]) return;
    sluice_array tall = a;
    tall.extents[0] = 1;
    tall.extents[1] = batch_ * m_;
    tall.strides[1] = m_ == 1 ? a.strides[0] : a.strides[1];
    a_ = operand_of<T>(tall);
    m_ *= batch_;
    batch_ = 1;
  }

  void tile(int64_t index) {
    const int64_t slice = index % cut_.slices;
    index /= cut_.slices;
    const int64_t column = index % cut_.column_tiles * cut_.columns;
    index /= cut_.column_tiles;
    const int64_t row = index % cut_.row_tiles * cut_.rows;
    const int64_t batch = index / cut_.row_tiles;
    const int64_t rows = std::min(cut_.rows, m_ - row);
    const int64_t columns = std::min(cut_.columns, n_ - column);
    const int64_t depth = std::min(cut_.depth, k_ - slice * cut_.depth);
    const T* a = a_.at(batch, row, slice * cut_.depth);
    const T* b = b_.at(batch, slice * cut_.depth, column);
    const int64_t place = (batch * m_ + row) * n_ + column;
    if (partial_ != nullptr) {
      multiply(a, b, rows, columns, depth, partial_ + slice * batch_ * m_ * n_ + place, n_);
      return;
    }
    if constexpr (std::is_same_v<T, sum>) {
      if (direct_ || gemv_) return multiply(a, b, rows, columns, depth, out_ + place, n_);
    }
    sum* c = panel_memory<sum>(panel_size());
    if (c == nullptr) return out_of_memory_.store(true);
    c += panel_size() - cut_.rows * cut_.columns;
    multiply(a, b, rows, columns, depth, c, columns);
    for (int64_t r = 0; r < rows; ++r) narrow(c + r * columns, columns, out_ + place + r * n_);
  }

  void multiply(const T* a, const T* b, int64_t rows, int64_t columns, int64_t depth, sum* c, int64_t c_stride) {
    if (gemv_) return multiply_gemv(a, b, rows, columns, depth, c);
    if constexpr (std::is_same_v<T, sum>) {
      if (a_.settled && b_.settled) return multiply_settled(a, b, rows, columns, depth, c, c_stride);
    }
    multiply_panels(a, b, rows, columns, depth, c, c_stride);
  }

  void multiply_gemv(const T* a, const T* b, int64_t rows, int64_t columns, int64_t depth, sum* y) {
    if (n_ == 1)
      gemv<T>({a, a_.row_stride, a_.column_stride, b, b_.row_stride}, rows, depth, y);
    else
      gemv<T>({b, b_.column_stride, b_.row_stride, a, a_.column_stride}, columns, depth, y);
  }

  void multiply_settled(const T* a, const T* b, int64_t rows, int64_t columns, int64_t depth, sum* c, int64_t c_stride) {
    for (int64_t d = 0; d < depth; d += blas::most)
      blas::gemm(rows, columns, std::min(blas::most, depth - d), {a + d * a_.column_stride, a_.row_stride, a_.column_stride},
                 {b + d * b_.row_stride, b_.row_stride, b_.column_stride}, d > 0, c, c_stride);
  }

  // Operands of 16 bits, and those whose strides no BLAS takes: copied a panel at a time into memory that stays in the
  // cache.
  void multiply_panels(const T* a, const T* b, int64_t rows, int64_t columns, int64_t depth, sum* c, int64_t c_stride) {
    sum* memory = panel_memory<sum>(panel_size());
    if (memory == nullptr) return out_of_memory_.store(true);
    for (int64_t d = 0; d < depth; d += panel_depth) {
      const int64_t step = std::min(panel_depth, depth - d);
      const auto x = panel(a_, a + d * a_.column_stride, rows, step, memory);
      const auto y = panel(b_, b + d * b_.row_stride, step, columns, memory + cut_.rows * panel_depth);
      blas::gemm(rows, columns, step, x, y, d > 0, c, c_stride);
    }
  }

  int64_t panel_size() const { return (gemv_ ? 0 : (cut_.rows + cut_.columns) * panel_depth) + cut_.rows * cut_.columns; }

  static blas::block<sum> panel(const operand<T>& o, const T* from, int64_t rows, int64_t columns, sum* memory) {
    if constexpr (std::is_same_v<T, sum>) {
      if (o.settled) return {from, o.row_stride, o.column_stride};
    }
    if (o.column_stride <= o.row_stride || rows == 1) {
      for (int64_t r = 0; r < rows; ++r) widen(from + r * o.row_stride, o.column_stride, columns, memory + r * columns);
      return {memory, columns, 1};
    }
    for (int64_t j = 0; j < columns; ++j) widen(from + j * o.column_stride, o.row_stride, rows, memory + j * rows);
    return {memory, 1, rows};
  }

  // Adds up the slices, in order.
  void join() {
    const int64_t size = batch_ * m_ * n_;
    for (int64_t s = 1; s < cut_.slices; ++s)
      for (int64_t i = 0; i < size; ++i) partial_[i] += partial_[s * size + i];
    narrow(partial_, size, out_);
  }

  operand<T> a_;
  operand<T> b_;
  T* out_;
  int64_t batch_;
  int64_t m_;
  int64_t n_;
  int64_t k_;
  bool direct_ = false;  // tiles are written where they belong
  bool gemv_ = false;
  cut cut_{};
  sum* partial_ = nullptr;
  std::atomic<bool> out_of_memory_{false};
};

template <class T>
sluice_status multiply(const sluice_array& a, const sluice_array& b, const sluice_array& out, sluice_message* message) {
  const int64_t size = out.extents[0] * out.extents[1] * out.extents[2];
  if (size == 0) return SLUICE_OK;
  if (a.extents[2] == 0) {
    std::memset(out.data, 0, static_cast<std::size_t>(size) * sizeof(T));
    return SLUICE_OK;
  }
  if (product<T>(a, b, out).run()) return SLUICE_OK;
  return fail(SLUICE_OUT_OF_MEMORY, message,
              "[matmul] no memory on cpu for the panels of a (%lld,%lld) x (%lld,%lld) product",
              static_cast<long long>(a.extents[1]), static_cast<long long>(a.extents[2]),
              static_cast<long long>(b.extents[1]), static_cast<long long>(b.extents[2]));
}

}  // namespace

const char* blas_description() {
  static const std::string text = blas::describe();
  return text.c_str();
}

sluice_status cpu_matmul(std::int32_t, sluice_queue*, const sluice_array* a, const sluice_array* b, const sluice_array* out,
                         std::int32_t, sluice_message* message) {
  switch (out->dtype) {
    case SLUICE_F64: return multiply<double>(*a, *b, *out, message);
    case SLUICE_F32: return multiply<float>(*a, *b, *out, message);
    case SLUICE_F16: return multiply<f16>(*a, *b, *out, message);
    case SLUICE_BF16: return multiply<bf16>(*a, *b, *out, message);
    default: return fail(SLUICE_UNSUPPORTED, message, "[matmul] dtype %d has no product on cpu", out->dtype);
  }
}

}  // namespace sluice::cpu

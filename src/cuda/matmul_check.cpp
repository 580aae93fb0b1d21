// cuBLASLt's algorithms beside our kernel.
#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "matmul_strict.hpp"

namespace sluice::cuda {
namespace {

constexpr std::size_t alignment = 16;
constexpr int most_candidates = 6;
constexpr std::size_t least_share = 16;  // of a device's memory a check takes at most this part

struct configuration {
  int id;
  cublasLtMatmulTile_t tile;
  cublasLtMatmulStages_t stages;
};

// f32's tiles that cuBLASLt's heuristic proposes late (bench/cuda_products on an H200: 4% at 1024 and 2048, 3% at 4096). A
// multiprocessor computes one at a time, so that they are tried where its last turn is a nearly full one on all. Where our b
// alone, cuBLASLt's a, is transposed, the heuristic's first is as good.
std::vector<configuration> preferred(const blas_shape& s, int multiprocessors) {
  if (s.dtype != SLUICE_F32) return {};
  const auto turns = [&](std::int64_t rows, std::int64_t columns) {
    return static_cast<double>((s.m + rows - 1) / rows * ((s.n + columns - 1) / columns)) / multiprocessors;
  };
  const auto full = [](double t) { return t > 0.9 * std::ceil(t); };
  if (s.a_operation == CUBLAS_OP_N) {
    if (full(turns(256, 128))) return {{55, CUBLASLT_MATMUL_TILE_256x128, CUBLASLT_MATMUL_STAGES_8x3}};
    if (const double t = turns(128, 64); full(t) && t <= 1)
      return {{55, CUBLASLT_MATMUL_TILE_128x64, CUBLASLT_MATMUL_STAGES_8x3}};
  } else if (s.b_operation == CUBLAS_OP_T && full(turns(128, 256))) {
    return {{55, CUBLASLT_MATMUL_TILE_128x256, CUBLASLT_MATMUL_STAGES_8x3}};
  }
  return {};
}

std::size_t element_of(const blas_shape& s) { return s.dtype == SLUICE_F64 ? 8 : 4; }
cudaDataType type_of(const blas_shape& s) { return s.dtype == SLUICE_F64 ? CUDA_R_64F : CUDA_R_32F; }

std::uint64_t hash_of(const blas_shape& s) {
  std::uint64_t h = static_cast<std::uint64_t>(s.dtype * 4 + s.a_operation * 2 + s.b_operation) + 1;
  for (const std::int64_t x : {s.m, s.n, s.k, s.a_leading, s.b_leading}) {
    h = (h ^ static_cast<std::uint64_t>(x)) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  }
  return h;
}

// Elements from the first to the last of a stored matrix.
std::int64_t span_of(cublasOperation_t operation, std::int64_t rows, std::int64_t columns, std::int64_t leading) {
  return operation == CUBLAS_OP_N ? (columns - 1) * leading + rows : (rows - 1) * leading + columns;
}

std::size_t on_256(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

}  // namespace

struct checked_products::entry {
  enum class stage { waiting, checking, good, bad };

  blas_shape of{};
  std::atomic<stage> at{stage::waiting};
  cublasLtMatmulDescOpaque_t operation{};
  cublasLtMatrixLayoutOpaque_t a{}, b{}, a_rest{}, b_rest{}, out{};
  cublasLtMatmulAlgo_t candidates[most_candidates] = {};
  int count = 0;
  int current = 0;
  std::mutex mutex;             // of the stage's changes
  unsigned* verdict = nullptr;  // written by the device

  cublasStatus_t describe(cublasLtHandle_t handle, int multiprocessors);
  void add(cublasLtHandle_t handle, const configuration& c);
  cublasStatus_t enqueue(cublasLtHandle_t handle, const void* a_data, const void* b_data, void* out_data,
                         cudaStream_t stream);
  bool look();
  void try_next() { at.store(++current < count ? stage::waiting : stage::bad, std::memory_order_release); }
};

// Blocks of k of 1,024, and a shorter last one; algorithms that neither split k nor need a workspace.
cublasStatus_t checked_products::entry::describe(cublasLtHandle_t handle, int multiprocessors) {
  const cudaDataType type = type_of(of);
  cublasStatus_t status =
      cublasLtMatmulDescInit(&operation, of.dtype == SLUICE_F64 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, type);
  cublasLtMatmulPreferenceOpaque_t wish;
  const auto then = [&](auto&& f) {
    if (status == CUBLAS_STATUS_SUCCESS) status = f();
  };
  const auto lay_out = [&](cublasLtMatrixLayoutOpaque_t& l, cublasOperation_t operation_of, std::int64_t rows,
                           std::int64_t columns, std::int64_t leading) {
    if (operation_of != CUBLAS_OP_N) std::swap(rows, columns);
    then([&] {
      return cublasLtMatrixLayoutInit(&l, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                      leading);
    });
  };
  const auto set = [&](cublasLtMatmulDescAttributes_t what, const auto& value) {
    then([&] { return cublasLtMatmulDescSetAttribute(&operation, what, &value, sizeof value); });
  };
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
    then([&] { return cublasLtMatmulPreferenceSetAttribute(&wish, what, &value, sizeof value); });
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, of.a_operation);
  set(CUBLASLT_MATMUL_DESC_TRANSB, of.b_operation);
  const std::int64_t block = std::min(of.k, chain_block);
  const std::int64_t rest = of.k % chain_block != 0 ? of.k % chain_block : block;
  lay_out(a, of.a_operation, of.m, block, of.a_leading);
  lay_out(b, of.b_operation, block, of.n, of.b_leading);
  lay_out(a_rest, of.a_operation, of.m, rest, of.a_leading);
  lay_out(b_rest, of.b_operation, rest, of.n, of.b_leading);
  lay_out(out, CUBLAS_OP_N, of.m, of.n, of.m);
  if (status == CUBLAS_STATUS_SUCCESS)
    for (const configuration& c : preferred(of, multiprocessors)) add(handle, c);
  then([&] { return cublasLtMatmulPreferenceInit(&wish); });
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{0});
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE));
  for (const auto what : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    prefer(what, static_cast<std::uint32_t>(alignment));
  cublasLtMatmulHeuristicResult_t found[most_candidates] = {};
  int returned = 0;
  then([&] {
    return cublasLtMatmulAlgoGetHeuristic(handle, &operation, &a, &b, &out, &out, &wish, most_candidates, found, &returned);
  });
  for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < returned && count < most_candidates; ++i) {
    std::int32_t splits = 0;
    std::size_t written = 0;
    if (found[i].state == CUBLAS_STATUS_SUCCESS && found[i].workspaceSize == 0 &&
        cublasLtMatmulAlgoConfigGetAttribute(&found[i].algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits,
                                             &written) == CUBLAS_STATUS_SUCCESS &&
        splits <= 1)
      candidates[count++] = found[i].algo;
  }
  return status;
}

// A configuration that this version of cuBLASLt has for the shape.
void checked_products::entry::add(cublasLtHandle_t handle, const configuration& c) {
  const bool wide = of.dtype == SLUICE_F64;
  const cudaDataType type = type_of(of);
  cublasLtMatmulAlgo_t& algorithm = candidates[count];
  cublasLtMatmulHeuristicResult_t result{};
  const auto set = [&](cublasLtMatmulAlgoConfigAttributes_t what, std::uint32_t value) {
    return cublasLtMatmulAlgoConfigSetAttribute(&algorithm, what, &value, sizeof value) == CUBLAS_STATUS_SUCCESS;
  };
  if (cublasLtMatmulAlgoInit(handle, wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, type, type, type, type, type, c.id,
                             &algorithm) == CUBLAS_STATUS_SUCCESS &&
      set(CUBLASLT_ALGO_CONFIG_TILE_ID, c.tile) && set(CUBLASLT_ALGO_CONFIG_STAGES_ID, c.stages) &&
      cublasLtMatmulAlgoCheck(handle, &operation, &a, &b, &out, &out, &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
      result.workspaceSize == 0)
    ++count;
}

cublasStatus_t checked_products::entry::enqueue(cublasLtHandle_t handle, const void* a_data, const void* b_data,
                                                void* out_data, cudaStream_t stream) {
  const float f32[] = {0, 1};
  const double f64[] = {0, 1};
  const auto number = [&](int i) { return of.dtype == SLUICE_F64 ? static_cast<const void*>(f64 + i) : f32 + i; };
  const auto element = static_cast<std::int64_t>(element_of(of));
  const std::int64_t a_step = (of.a_operation == CUBLAS_OP_N ? of.a_leading : 1) * element;
  const std::int64_t b_step = (of.b_operation == CUBLAS_OP_N ? 1 : of.b_leading) * element;
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  for (std::int64_t p = 0; p < of.k && status == CUBLAS_STATUS_SUCCESS; p += chain_block) {
    const bool rest = of.k - p < chain_block;
    status =
        cublasLtMatmul(handle, &operation, number(1), static_cast<const char*>(a_data) + p * a_step, rest ? &a_rest : &a,
                       static_cast<const char*>(b_data) + p * b_step, rest ? &b_rest : &b, number(p == 0 ? 0 : 1), out_data,
                       &out, out_data, &out, &candidates[current], nullptr, 0, stream);
  }
  return status;
}

// True once the algorithm is known to be the chain. The next one's turn comes when it is not.
bool checked_products::entry::look() {
  const auto now = at.load(std::memory_order_acquire);
  if (now != stage::checking) return now == stage::good;
  const auto read = [this] {
    return static_cast<bits>(std::atomic_ref<unsigned>(*verdict).load(std::memory_order_acquire));
  };
  if (read() == bits::unknown) return false;
  const std::lock_guard lock(mutex);
  if (at.load(std::memory_order_relaxed) != stage::checking) return at.load(std::memory_order_relaxed) == stage::good;
  const bits is = read();  // again: another thread may have begun the next one's check
  if (is == bits::same)
    at.store(stage::good, std::memory_order_release);
  else if (is == bits::different)
    try_next();
  return is == bits::same;
}

checked_products::~checked_products() {
  for (auto& e : entries_) delete e.load();
}

bool checked_products::run(const blas_shape& shape, const void* a, const void* b, void* out, cudaStream_t stream,
                           cublasStatus_t* status) {
  entry* const e = find(shape, hash_of(shape));
  if (e == nullptr || !e->look()) return false;
  *status = e->enqueue(handle_, a, b, out, stream);
  return true;
}

void checked_products::check(device& d, sluice_queue& q, const blas_shape& shape) {
  const std::uint64_t hash = hash_of(shape);
  entry* e = find(shape, hash);
  if (e == nullptr) {
    if (!came_back(hash)) return;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !prepare()) return;
    e = find(shape, hash);
    if (e == nullptr) e = add(shape, hash, d.multiprocessors);
    if (e == nullptr) return;
  }
  if (e->at.load(std::memory_order_acquire) != entry::stage::waiting) return;
  const std::unique_lock lock(e->mutex, std::try_to_lock);
  if (lock.owns_lock() && e->at.load(std::memory_order_relaxed) == entry::stage::waiting) enqueue_check(d, q, *e);
}

checked_products::entry* checked_products::find(const blas_shape& shape, std::uint64_t hash) const {
  for (std::size_t i = 0; i < slots; ++i) {
    entry* const e = entries_[(hash + i) % slots].load(std::memory_order_acquire);
    if (e == nullptr || e->of == shape) return e;
  }
  return nullptr;
}

checked_products::entry* checked_products::add(const blas_shape& shape, std::uint64_t hash, int multiprocessors) {
  if (count_ == most) return nullptr;
  auto fresh = std::unique_ptr<entry>(new (std::nothrow) entry);
  if (fresh == nullptr) return nullptr;
  fresh->of = shape;
  fresh->verdict = verdicts_ + count_++;
  if (fresh->describe(handle_, multiprocessors) != CUBLAS_STATUS_SUCCESS || fresh->count == 0) fresh->at = entry::stage::bad;
  std::size_t i = hash % slots;
  while (entries_[i].load(std::memory_order_relaxed) != nullptr) i = (i + 1) % slots;
  entries_[i].store(fresh.get(), std::memory_order_release);
  return fresh.release();
}

// A shape's second time among recent shapes: those that come once are not worth a check.
bool checked_products::came_back(std::uint64_t hash) {
  return seen_[hash % std::size(seen_)].exchange(hash, std::memory_order_relaxed) == hash;
}

bool checked_products::prepare() {
  if (handle_ == nullptr && cublasLtCreate(&handle_) != CUBLAS_STATUS_SUCCESS) handle_ = nullptr;
  if (verdicts_ == nullptr && cudaHostAlloc(reinterpret_cast<void**>(&verdicts_), most * sizeof(unsigned),
                                            cudaHostAllocPortable | cudaHostAllocMapped) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    verdicts_ = nullptr;
  }
  if (verdicts_ != nullptr && count_ == 0) std::fill_n(verdicts_, most, static_cast<unsigned>(bits::unknown));
  return handle_ != nullptr && verdicts_ != nullptr;
}

// Random operands, the product by both, and a comparison.
void checked_products::enqueue_check(device& d, sluice_queue& q, entry& e) {
  const blas_shape& s = e.of;
  const std::size_t element = element_of(s);
  const std::int64_t a_count = span_of(s.a_operation, s.m, s.k, s.a_leading);
  const std::int64_t b_count = span_of(s.b_operation, s.k, s.n, s.b_leading);
  const std::size_t out_bytes = static_cast<std::size_t>(s.m * s.n) * element;
  const std::size_t a_bytes = on_256(static_cast<std::size_t>(a_count) * element);
  const std::size_t b_bytes = on_256(static_cast<std::size_t>(b_count) * element);
  const std::size_t bytes = a_bytes + b_bytes + 2 * on_256(out_bytes) + 256;
  scratch memory(d, *d.memory, &q);
  e.at.store(entry::stage::bad, std::memory_order_release);
  if (bytes > d.memory_total / least_share || memory.allocate(bytes, nullptr) != SLUICE_OK) return;
  char* const a = static_cast<char*>(memory.data());
  char* const b = a + a_bytes;
  char* const mine = b + b_bytes;
  char* const theirs = mine + on_256(out_bytes);
  auto* const work = reinterpret_cast<unsigned*>(theirs + on_256(out_bytes));
  q.add_work(6e-6 + 4.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) / 20e12);
  // As rows come first for us: out' = b' x a'.
  chain_product p{s.dtype, 1, s.n, s.m, s.k, {}, {}, {}};
  p.a = {b, 0, s.b_operation == CUBLAS_OP_N ? s.b_leading : 1, s.b_operation == CUBLAS_OP_N ? 1 : s.b_leading};
  p.b = {a, 0, s.a_operation == CUBLAS_OP_N ? s.a_leading : 1, s.a_operation == CUBLAS_OP_N ? 1 : s.a_leading};
  p.out = {mine, 0, s.m, 1};
  std::atomic_ref<unsigned>(*e.verdict).store(static_cast<unsigned>(bits::unknown), std::memory_order_relaxed);
  cudaError_t error = cudaMemsetAsync(work, 0, 2 * sizeof(unsigned), q.stream);
  const bool a_along_k = s.a_operation != CUBLAS_OP_N;
  const bool b_along_k = s.b_operation == CUBLAS_OP_N;
  if (error == cudaSuccess)
    error = write_random(s.dtype, {a, a_count, a_along_k ? s.k : s.m, s.a_leading, a_along_k}, 1, q.stream);
  if (error == cudaSuccess)
    error = write_random(s.dtype, {b, b_count, b_along_k ? s.k : s.n, s.b_leading, b_along_k}, 2, q.stream);
  if (error == cudaSuccess) error = run_chain(p, choose_cut(p, d.multiprocessors, 0), nullptr, nullptr, q.stream);
  if (error != cudaSuccess) return;
  if (e.enqueue(handle_, a, b, theirs, q.stream) != CUBLAS_STATUS_SUCCESS) return e.try_next();
  if (make_canonical(s.dtype, theirs, s.m * s.n, q.stream) == cudaSuccess &&
      compare_bits(mine, theirs, out_bytes, work, e.verdict, q.stream) == cudaSuccess)
    e.at.store(entry::stage::checking, std::memory_order_release);
}

}  // namespace sluice::cuda

// Every way to make a product on a GPU beside cuBLAS's default: each tile of src/cuda/matmul_chain.cu, and each of
// cuBLASLt's algorithms with whether it keeps the order of additions of precision::strict. What src/cuda chooses by is read
// from here.
//
// Times are microseconds of the device: medians of graphs of launches, one behind the other, operands in the cache where
// they fit.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "../src/cuda/matmul_strict.hpp"

using namespace sluice::cuda;

namespace {

cudaStream_t stream;
cublasHandle_t blas;
cublasLtHandle_t lt;
void* workspace;
constexpr std::size_t workspace_bytes = 32u << 20;
unsigned* counters;
unsigned* comparison;  // on the device
unsigned* verdict;     // in pinned memory
int processors = 0;

void must(cudaError_t e, const char* what, int line) {
  if (e == cudaSuccess) return;
  std::printf("line %d: %s: %s\n", line, what, cudaGetErrorString(e));
  std::exit(1);
}
#define MUST(x) must(x, #x, __LINE__)

std::size_t size_of(int dtype) { return dtype == 0 ? 8 : dtype == 1 ? 4 : 2; }
const char* const names[] = {"f64", "f32", "f16", "bf16"};

bool same(const void* x, const void* y, std::size_t bytes) {
  MUST(cudaMemsetAsync(comparison, 0, 2 * sizeof(unsigned), stream));
  MUST(compare_bits(x, y, (bytes + 3) / 4 * 4, comparison, verdict, stream));
  MUST(cudaStreamSynchronize(stream));
  return *verdict == static_cast<unsigned>(bits::same);
}

struct buffer {
  void* data = nullptr;
  explicit buffer(std::size_t bytes) { MUST(cudaMalloc(&data, bytes + 256)); }
  ~buffer() { cudaFree(data); }
  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;
};

// Median microseconds of one `f`, in a graph of `launches`; negative where it cannot be captured.
double time_of(const std::function<bool()>& f, int launches, int rounds = 7) {
  if (!f()) return -1;
  MUST(cudaStreamSynchronize(stream));
  cudaGraph_t graph;
  cudaGraphExec_t whole;
  MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  bool good = true;
  for (int i = 0; i < launches; ++i) good = f() && good;
  if (cudaStreamEndCapture(stream, &graph) != cudaSuccess || !good) {
    static_cast<void>(cudaGetLastError());
    return -2;
  }
  MUST(cudaGraphInstantiate(&whole, graph, 0));
  cudaEvent_t begin, end;
  MUST(cudaEventCreate(&begin));
  MUST(cudaEventCreate(&end));
  std::vector<double> times;
  for (int round = -1; round < rounds; ++round) {
    MUST(cudaEventRecord(begin, stream));
    MUST(cudaGraphLaunch(whole, stream));
    MUST(cudaEventRecord(end, stream));
    MUST(cudaEventSynchronize(end));
    float milliseconds = 0;
    MUST(cudaEventElapsedTime(&milliseconds, begin, end));
    if (round >= 0) times.push_back(milliseconds * 1e3 / launches);
  }
  std::sort(times.begin(), times.end());
  cudaGraphExecDestroy(whole);
  cudaGraphDestroy(graph);
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return times[times.size() / 2];
}

chain_matrix matrix(const void* data, std::int64_t rows, std::int64_t columns, bool transposed) {
  chain_matrix made;
  made.data = data;
  made.row = transposed ? 1 : columns;
  made.column = transposed ? rows : 1;
  return made;
}

struct problem {
  int dtype;
  std::int64_t m, k, n;
  bool a_transposed = false, b_transposed = false;
  buffer a, b, c, expected;

  problem(int type, std::int64_t m_, std::int64_t k_, std::int64_t n_, bool ta = false, bool tb = false)
      : dtype(type),
        m(m_),
        k(k_),
        n(n_),
        a_transposed(ta),
        b_transposed(tb),
        a(m_ * k_ * size_of(type)),
        b(k_ * n_ * size_of(type)),
        c(m_ * n_ * size_of(type)),
        expected(m_ * n_ * size_of(type)) {
    MUST(write_random(dtype, a.data, m * k, 1, stream));
    MUST(write_random(dtype, b.data, k * n, 2, stream));
    MUST(cudaMemsetAsync(expected.data, 0xff, m * n * size_of(dtype) + 4, stream));
    const chain_product made = product(expected.data);
    MUST(run_chain(made, choose_cut(made, processors, workspace_bytes), workspace, counters, stream));
  }
  [[nodiscard]] chain_product product(void* out) const {
    chain_product made{dtype, 1, m, n, k, {}, {}, {}};
    made.a = matrix(a.data, m, k, a_transposed);
    made.b = matrix(b.data, k, n, b_transposed);
    made.out = matrix(out, m, n, false);
    return made;
  }
  [[nodiscard]] int launches() const {
    const double flops = 2.0 * m * n * k;
    return flops < 5e8 ? 20 : flops < 2e10 ? 5 : 2;
  }
  [[nodiscard]] bool chain() const { return same(c.data, expected.data, m * n * size_of(dtype)); }
  void wipe() const { MUST(cudaMemsetAsync(c.data, 0xff, m * n * size_of(dtype) + 4, stream)); }
  [[nodiscard]] std::string str() const {
    char text[80];
    std::snprintf(text, sizeof text, "%s %lldx%lldx%lld%s%s", names[dtype], (long long)m, (long long)k, (long long)n,
                  a_transposed ? " aT" : "", b_transposed ? " bT" : "");
    return text;
  }
};

cudaDataType cuda_type(int dtype) {
  return dtype == 0 ? CUDA_R_64F : dtype == 1 ? CUDA_R_32F : dtype == 2 ? CUDA_R_16F : CUDA_R_16BF;
}

bool default_blas(const problem& p) {
  const float one = 1, zero = 0;
  const double one64 = 1, zero64 = 0;
  const bool wide = p.dtype == 0;
  const auto type = cuda_type(p.dtype);
  return cublasGemmEx(blas, p.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, p.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p.n,
                      (int)p.m, (int)p.k, wide ? (const void*)&one64 : &one, p.b.data, type,
                      (int)(p.b_transposed ? p.k : p.n), p.a.data, type, (int)(p.a_transposed ? p.m : p.k),
                      wide ? (const void*)&zero64 : &zero, p.c.data, type, (int)p.n,
                      wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS;
}

// cuBLASLt, blocks of k one after the other.
struct lt_product {
  mutable cublasLtMatmulDescOpaque_t operation;
  mutable cublasLtMatrixLayoutOpaque_t a, b, c, a_rest, b_rest;
  std::vector<cublasLtMatmulAlgo_t> found;  // first what its heuristic proposes
  const problem& p;
  const bool wide;

  explicit lt_product(const problem& of) : p(of), wide(of.dtype == 0) {
    const std::int64_t first = std::min<std::int64_t>(p.k, 1024), rest = p.k % 1024 != 0 ? p.k % 1024 : first;
    cublasLtMatmulDescInit(&operation, compute(), cuda_type(p.dtype));
    const cublasOperation_t x = p.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, y = p.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtMatmulDescSetAttribute(&operation, CUBLASLT_MATMUL_DESC_TRANSA, &x, sizeof x);
    cublasLtMatmulDescSetAttribute(&operation, CUBLASLT_MATMUL_DESC_TRANSB, &y, sizeof y);
    const auto layout = [&](cublasLtMatrixLayoutOpaque_t& l, bool t, std::int64_t rows, std::int64_t columns,
                            std::int64_t leading) {
      cublasLtMatrixLayoutInit(&l, cuda_type(p.dtype), t ? columns : rows, t ? rows : columns, leading);
    };
    const std::int64_t leading_b = p.b_transposed ? p.k : p.n, leading_a = p.a_transposed ? p.m : p.k;
    layout(a, p.b_transposed, p.n, first, leading_b);
    layout(b, p.a_transposed, first, p.m, leading_a);
    layout(a_rest, p.b_transposed, p.n, rest, leading_b);
    layout(b_rest, p.a_transposed, rest, p.m, leading_a);
    layout(c, false, p.n, p.m, p.n);
    propose();
    enumerate();
  }
  [[nodiscard]] cublasComputeType_t compute() const { return wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F; }
  void propose() {
    cublasLtMatmulPreferenceOpaque_t wish;
    cublasLtMatmulPreferenceInit(&wish);
    const std::uint32_t none = CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasLtMatmulPreferenceSetAttribute(&wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &none, sizeof none);
    cublasLtMatmulHeuristicResult_t results[8];
    int count = 0;
    cublasLtMatmulAlgoGetHeuristic(lt, &operation, &a, &b, &c, &c, &wish, 8, results, &count);
    for (int i = 0; i < count; ++i)
      if (results[i].state == CUBLAS_STATUS_SUCCESS && results[i].workspaceSize == 0) found.push_back(results[i].algo);
  }
  // Every tile and number of stages that the library has for the shape, k unsplit.
  void enumerate() {
    const auto type = cuda_type(p.dtype);
    int ids[64], count = 0;
    cublasLtMatmulAlgoGetIds(lt, compute(), type, type, type, type, type, 64, ids, &count);
    for (int i = 0; i < count; ++i) {
      cublasLtMatmulAlgo_t algorithm;
      if (cublasLtMatmulAlgoInit(lt, compute(), type, type, type, type, type, ids[i], &algorithm) != CUBLAS_STATUS_SUCCESS)
        continue;
      const auto choices = [&](cublasLtMatmulAlgoCapAttributes_t what) {
        std::vector<std::uint32_t> list(1024);
        std::size_t written = 0;
        if (cublasLtMatmulAlgoCapGetAttribute(&algorithm, what, list.data(), list.size() * 4, &written) !=
            CUBLAS_STATUS_SUCCESS)
          written = 0;
        list.resize(written / 4);
        if (list.empty()) list.push_back(0);
        return list;
      };
      const auto tiles = choices(CUBLASLT_ALGO_CAP_TILE_IDS), stages = choices(CUBLASLT_ALGO_CAP_STAGES_IDS);
      if (tiles.size() * stages.size() > 2000) continue;
      for (const std::uint32_t tile : tiles)
        for (const std::uint32_t stage : stages) {
          cublasLtMatmulHeuristicResult_t result{};
          cublasLtMatmulAlgoConfigSetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID, &tile, 4);
          cublasLtMatmulAlgoConfigSetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID, &stage, 4);
          if (cublasLtMatmulAlgoCheck(lt, &operation, &a, &b, &c, &c, &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
              result.workspaceSize == 0)
            found.push_back(algorithm);
        }
    }
  }
  bool run(const cublasLtMatmulAlgo_t& algorithm) const {
    const float f32[] = {0, 1};
    const double f64[] = {0, 1};
    const auto number = [&](int i) { return wide ? static_cast<const void*>(f64 + i) : f32 + i; };
    const std::size_t element = size_of(p.dtype);
    for (std::int64_t at = 0; at < p.k; at += 1024) {
      const bool last = p.k - at < 1024;
      const char* x = static_cast<const char*>(p.b.data) + at * (p.b_transposed ? 1 : p.n) * element;
      const char* y = static_cast<const char*>(p.a.data) + at * (p.a_transposed ? p.m : 1) * element;
      if (cublasLtMatmul(lt, &operation, number(1), x, last ? &a_rest : &a, y, last ? &b_rest : &b, number(at > 0), p.c.data,
                         &c, p.c.data, &c, &algorithm, workspace, workspace_bytes, stream) != CUBLAS_STATUS_SUCCESS)
        return false;
    }
    return true;
  }
};

std::string describe(const cublasLtMatmulAlgo_t& algorithm) {
  std::string text;
  for (const auto& [what, name] : {std::pair(CUBLASLT_ALGO_CONFIG_ID, "id"),
                                   {CUBLASLT_ALGO_CONFIG_TILE_ID, ",tile"},
                                   {CUBLASLT_ALGO_CONFIG_STAGES_ID, ",stages"}}) {
    std::uint32_t value = 0;
    std::size_t written = 0;
    cublasLtMatmulAlgoConfigGetAttribute(&algorithm, what, &value, 4, &written);
    text += name + std::to_string(value);
  }
  return text;
}

// The fastest of those that are the chain, the heuristic's first beside them, and the pass for NaN behind.
void try_algorithms(const problem& p) {
  const lt_product all(p);
  std::vector<std::pair<double, std::size_t>> good;
  for (std::size_t i = 0; i < all.found.size(); ++i) {
    p.wipe();
    if (!all.run(all.found[i])) continue;
    const bool chain = p.chain();
    const double t = time_of([&] { return all.run(all.found[i]); }, p.launches(), 3);
    if (chain) good.emplace_back(t, i);
  }
  std::sort(good.begin(), good.end());
  std::printf("\n   lt %zu of %zu are the chain:", good.size(), all.found.size());
  for (std::size_t i = 0; i < good.size() && i < 5; ++i)
    std::printf(" %.2f #%zu %s", good[i].first, good[i].second, describe(all.found[good[i].second]).c_str());
  if (good.empty()) return;
  const double with_pass = time_of(
      [&] {
        return all.run(all.found[good[0].second]) &&
               make_nans_canonical(p.dtype, p.c.data, p.m * p.n, stream) == cudaSuccess;
      },
      p.launches());
  std::printf(" NaN pass %.2f", with_pass);
}

struct timed {
  double time;
  std::string what;
};

// All tiles; the fastest three.
std::vector<timed> try_tiles(const problem& p, unsigned& wrong, timed& chosen) {
  std::vector<timed> all;
  const chain_product product = p.product(p.c.data);
  wrong = 0;
  const chain_cut choice = choose_cut(product, processors, 16u << 20);
  for (int tile = 0; tile < chain_tiles(p.dtype); ++tile)
    for (const bool parallel : {false, true}) {
      if (parallel && p.k <= chain_block) continue;
      const chain_cut cut{tile, parallel};
      if (!chain_tile_suits(product, cut) || chain_workspace(product, cut) > workspace_bytes ||
          chain_counters(product, cut) > most_counters)
        continue;
      int bm = 0, bn = 0;
      std::sscanf(chain_tile_name(p.dtype, tile), "%d, %d", &bm, &bn);
      if ((bm > 2 * p.m && bm > 8) || (bn > 2 * p.n && bn > 8)) continue;
      if (2.0 * p.m * p.n * p.k > 1e10 && bm * bn < 2048) continue;  // seconds
      const auto run = [&] { return run_chain(product, cut, workspace, counters, stream) == cudaSuccess; };
      p.wipe();
      run();
      if (!p.chain()) ++wrong;
      const double t = time_of(run, p.launches(), 5);
      std::string what = chain_tile_name(p.dtype, tile);
      what.erase(std::remove(what.begin(), what.end(), ' '), what.end());
      if (parallel) what += "/k";
      all.push_back({t, what});
      if (tile == choice.tile && parallel == choice.parallel) chosen = all.back();
    }
  std::sort(all.begin(), all.end(), [](auto& x, auto& y) { return x.time < y.time; });
  if (all.size() > 3) all.resize(3);
  return all;
}

void shape(int dtype, std::int64_t m, std::int64_t k, std::int64_t n, bool ta = false, bool tb = false) {
  const problem p(dtype, m, k, n, ta, tb);
  p.wipe();
  default_blas(p);
  const bool chain = p.chain();
  const double theirs = time_of([&] { return default_blas(p); }, p.launches());
  unsigned wrong = 0;
  timed chosen{-1, "not among them"};
  const auto tiles = try_tiles(p, wrong, chosen);
  std::printf("%-22s cuBLAS %.2f%s tiles:", p.str().c_str(), theirs, chain ? " (chain)" : "");
  for (const auto& t : tiles) std::printf(" %.2f %s", t.time, t.what.c_str());
  std::printf(" chosen %.2f %s", chosen.time, chosen.what.c_str());
  if (wrong != 0) std::printf(" %u TILES DIFFER", wrong);
  if (dtype < 2 && std::min(m, n) >= 64) try_algorithms(p);
  std::printf("\n");
}

// Every tile over odd shapes, strides, batches; parallel and not.
void correctness() {
  unsigned cases = 0, bad = 0;
  const std::int64_t sizes[][3] = {{1, 1, 1},    {3, 5, 7},      {17, 33, 65},  {129, 1023, 70}, {70, 1024, 130},
                                   {5, 1025, 9}, {33, 2051, 31}, {1, 3001, 37}, {41, 3001, 1}};
  for (int dtype = 0; dtype < 4; ++dtype)
    for (const auto& s : sizes)
      for (int form = 0; form < 6; ++form) {
        const std::int64_t m = s[0], k = s[1], n = s[2], batch = form == 4 ? 3 : 1, step = form == 5 ? 3 : 1;
        const std::int64_t count = 3 * 3 * std::max({m * k, k * n, m * n});
        const buffer a(count * 8 + 4096), b(count * 8 + 4096), c(count * 8), expected(count * 8);
        MUST(write_random(dtype, a.data, count, 3, stream));
        MUST(write_random(dtype, b.data, count, 4, stream));
        chain_product p{dtype, batch, m, n, k, {}, {}, {}};
        p.a = matrix(a.data, m, k * step, (form & 1) != 0 && form < 4);
        p.b = matrix(b.data, k, n * step, (form & 2) != 0 && form < 4);
        p.out = matrix(expected.data, m, n, false);
        p.a.batch = m * k;
        p.out.batch = m * n;
        if (step > 1) p.a.column = p.b.column = step;
        MUST(cudaMemsetAsync(expected.data, 0xff, count * size_of(dtype), stream));
        MUST(run_chain(p, choose_cut(p, processors, workspace_bytes), workspace, counters, stream));
        p.out.data = c.data;
        for (int tile = 0; tile < chain_tiles(dtype); ++tile)
          for (const bool parallel : {false, true}) {
            const chain_cut cut{tile, parallel};
            if (!chain_tile_suits(p, cut)) continue;
            const buffer space(chain_workspace(p, cut));
            MUST(cudaMemsetAsync(c.data, 0xff, count * size_of(dtype), stream));
            MUST(run_chain(p, cut, space.data, counters, stream));
            ++cases;
            if (!same(c.data, expected.data, batch * m * n * size_of(dtype)) && ++bad < 10)
              std::printf("DIFFERENT %s %lldx%lldx%lld form %d tile %s parallel %d\n", names[dtype], (long long)m,
                          (long long)k, (long long)n, form, chain_tile_name(dtype, tile), parallel);
          }
      }
  std::printf("tiles beside the chosen one, which the tests hold to the slow chain: %u cases, %u different\n", cases, bad);
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  MUST(cudaSetDevice(0));
  cudaDeviceProp device;
  MUST(cudaGetDeviceProperties(&device, 0));
  processors = device.multiProcessorCount;
  MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  if (cublasCreate(&blas) != CUBLAS_STATUS_SUCCESS || cublasLtCreate(&lt) != CUBLAS_STATUS_SUCCESS) return 1;
  MUST(cudaMalloc(&workspace, workspace_bytes));
  MUST(cudaMalloc(&counters, most_counters * 16));
  MUST(cudaMemset(counters, 0, most_counters * 16));
  MUST(cudaMalloc(&comparison, 2 * sizeof(unsigned)));
  MUST(cudaMallocHost(&verdict, sizeof(unsigned)));
  cublasSetStream(blas, stream);
  cublasSetWorkspace(blas, workspace, workspace_bytes);
  std::printf("%s, %d multiprocessors, cuBLAS %zu\n", device.name, processors, cublasLtGetVersion());
  correctness();
  {
    const problem warm(1, 4096, 4096, 4096);
    for (int i = 0; i < 100; ++i) default_blas(warm);
    MUST(cudaStreamSynchronize(stream));
  }
  for (const std::int64_t n : {8, 16, 32, 64, 128, 256, 384, 512, 768, 1000, 1024, 2048, 4096}) shape(1, n, n, n);
  const std::int64_t uneven[][3] = {{1, 1024, 1024},  {1024, 1024, 8},  {64, 4096, 64},    {1024, 1024, 1},
                                    {1, 4096, 4096},  {4096, 4096, 1},  {16, 4096, 4096},  {4096, 4096, 16},
                                    {512, 2048, 512}, {300, 3000, 200}, {4096, 1024, 4096}};
  for (const auto& s : uneven) shape(1, s[0], s[1], s[2]);
  for (const std::int64_t n : {256, 512, 1024, 2048, 4096})
    for (int form = 1; form < (n > 2048 ? 3 : 4); ++form) shape(1, n, n, n, (form & 1) != 0, (form & 2) != 0);
  for (const std::int64_t n : {64, 128, 256, 512, 1024, 2048}) shape(0, n, n, n);
  for (const auto& s : uneven)
    if (s[1] == 1024 && s[0] * s[2] < 10000) shape(0, s[0], s[1], s[2]);
  for (const std::int64_t n : {64, 256, 384}) shape(2, n, n, n);
  return 0;
}

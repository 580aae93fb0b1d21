// Products by kernels of our own, in the order of additions of sluice/ops/matmul.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

namespace sluice::cuda {

constexpr std::int64_t chain_block = 1024;  // elements of k in one chain
constexpr std::int64_t most_counters = 1 << 14;

// One operand or the result: a matrix for every batch, strides in elements.
struct chain_matrix {
  const void* data = nullptr;
  std::int64_t batch = 0;
  std::int64_t row = 0;
  std::int64_t column = 0;
};

// out [batch, m, n] = a [batch, m, k] x b [batch, k, n]; k > 0. The result's type is `dtype` too.
struct chain_product {
  std::int32_t dtype;
  std::int64_t batch, m, n, k;
  chain_matrix a, b, out;
};

// How a product is cut. `parallel`: blocks of k are computed side by side, into a workspace.
struct chain_cut {
  int tile = -1;
  bool parallel = false;
};

// The tiles there are for a dtype, and what a tile is.
int chain_tiles(std::int32_t dtype);
const char* chain_tile_name(std::int32_t dtype, int tile);
bool chain_tile_suits(const chain_product& p, chain_cut cut);
// The cut that is estimated to be fastest on a device with so many multiprocessors, its workspace within the limit.
chain_cut choose_cut(const chain_product& p, int multiprocessors, std::size_t most_workspace);
// Bytes of workspace, and how many counters, which are zero before and after.
std::size_t chain_workspace(const chain_product& p, chain_cut cut);
std::size_t chain_counters(const chain_product& p, chain_cut cut);
cudaError_t run_chain(const chain_product& p, chain_cut cut, void* workspace, unsigned* counters, cudaStream_t stream);

}  // namespace sluice::cuda

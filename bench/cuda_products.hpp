// What cuda_products asks of the device.
#pragma once

#include <cstdint>

#include "../src/cuda/matmul_chain.hpp"

void fill_random(int dtype, void* data, std::int64_t count, int seed, cudaStream_t stream);
void run_slow(const sluice::cuda::chain_product& p, cudaStream_t stream);
void compare(const void* x, const void* y, std::int64_t bytes, unsigned* different, cudaStream_t stream);
void tensor_order(int k, const double* a, const double* b, const double* c, double* out, cudaStream_t stream);
cudaError_t canonical(float* data, std::int64_t count, bool overlapped, cudaStream_t stream);

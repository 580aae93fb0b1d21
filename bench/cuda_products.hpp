// What cuda_products asks of the device.
#pragma once

#include <cstdint>

#include "../src/cuda/matmul_chain.hpp"

void fill_random(int dtype, void* data, std::int64_t count, int seed, cudaStream_t stream);
// The chain, one thread an element.
void run_slow(const sluice::cuda::chain_product& p, cudaStream_t stream);
// Adds the number of pairs of bytes that are not the same.
void compare(const void* x, const void* y, std::int64_t bytes, unsigned* different, cudaStream_t stream);

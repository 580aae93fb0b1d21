// The CUDA backend beside its ceilings and peers, in one run: cuBLAS, CUB and Thrust called directly, copies by hand.
// Answers are compared before anything is timed; the figure is the median of rounds in which the sides take turns. Times are
// wall times over many calls that end with a wait.
//
//     cuda_bench [--json FILE] [--quick] [--products]   products alone
#include "cuda_bench.hpp"

namespace bench {
namespace {

__global__ void randomize(float* p, long long n) {
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < n; i += gridDim.x * 256ll) {
    unsigned long long z = (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    p[i] = static_cast<float>(static_cast<int>((z ^ (z >> 31)) >> 32)) * 0x1p-31f;
  }
}

}  // namespace

tensor random_on_device(const sluice::shape& extents) {
  tensor t(extents, dtype::f32, "cuda");
  randomize<<<4096, 256>>>(raw<float>(t), t.count());
  must(cudaGetLastError());
  device_done();
  return t;
}

namespace {

void write_json(const char* path) {
  std::FILE* f = std::fopen(path, "w");
  must(f != nullptr, std::string("cannot write ") + path);
  cudaDeviceProp properties{};
  must(cudaGetDeviceProperties(&properties, 0));
  std::fprintf(f, "{\"device\": \"%s\", \"cuda\": %d, \"figures\": [\n", properties.name, CUDART_VERSION);
  for (std::size_t i = 0; i < figures.size(); ++i) {
    const auto& x = figures[i];
    std::fprintf(f,
                 "  {\"name\": \"%s\", \"unit\": \"%s\", \"ours\": %.6g, \"peer\": %.6g, \"peer_name\": \"%s\", \"reach\": "
                 "\"%s\", \"other\": %.6g, \"other_name\": \"%s\"}%s\n",
                 x.name.c_str(), x.unit.c_str(), x.ours, x.peer, x.peer_name.c_str(), x.target.c_str(), x.other,
                 x.other_name.c_str(), i + 1 < figures.size() ? "," : "");
  }
  std::fprintf(f, "]}\n");
  std::fclose(f);
}

}  // namespace
}  // namespace bench

using namespace bench;

int main(int argc, char** argv) {
  const char* json = nullptr;
  bool only_products = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0)
      quick = true;
    else if (std::strcmp(argv[i], "--products") == 0)
      only_products = true;
    else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc)
      json = argv[++i];
    else
      must(false, std::string("unknown option ") + argv[i] + "; cuda_bench [--json FILE] [--quick] [--products]");
  }
  for (const auto& d : sluice::devices())
    if (d.where.backend() == "cuda") std::printf("%s: %s\n", d.where.str().c_str(), d.description.c_str());
  std::printf("%-50s %10s %-8s %-33s %-31s %s\n", "", "sluice", "", "      peer", "      peer", "reach");
  try {
    direct_blas blas;
    wrapper_cost(blas);
    if (!only_products) {
      clocks(blas);
      round_trips(blas);
      copies(blas);
      rowsums();
      other_rowsums();
      element_wise();
    }
    matmuls(blas);
    strict_products(blas);
  } catch (const sluice::error& e) {
    must(false, e.what());
  }
  if (json != nullptr) write_json(json);
  return 0;
}

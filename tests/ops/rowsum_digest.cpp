// Writes a digest of the bits of many sums to SLUICE_TEST_DIGEST: CTest runs this with other numbers of threads and other
// instructions, and compares.
#include <fstream>

#include "sluice/ops/rowsum.hpp"
#include "testing.hpp"

using namespace testing;

TEST_CASE("digest of the bits of many sums") {
  std::uint64_t hash = 1469598103934665603u;  // FNV-1a
  const tensor values = rough({350000}, dtype::f32, 77);
  for (const dtype type : every_dtype)
    for (const shape& extents :
         {shape{40000, 3}, shape{9000, 31}, shape{700, 500}, shape{100, 3333}, shape{3, 100000}, shape{1, 300001}}) {
      const tensor a = values.slice(0, 0, extents.count()).reshape(extents).as(type);
      for (const tensor& s : {sluice::rowsum(a), sluice::rowsum_unrounded(a), sluice::rowsum(a.transpose()),
                              sluice::rowsum(a, {}, {.dtype = dtype::f16}), sluice::rowsum(a, {}, {.dtype = dtype::bf16})})
        for (const auto byte : bytes_of(s)) hash = (hash ^ byte) * 1099511628211u;
    }
  const char* path = std::getenv("SLUICE_TEST_DIGEST");
  if (path != nullptr) std::ofstream(path) << std::hex << hash << '\n';
  CHECK(hash != 0);
}

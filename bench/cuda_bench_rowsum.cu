// cuda_bench: row sums beside CUB, and of other layouts and dtypes.
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <cub/cub.cuh>

#include "cuda_bench.hpp"

namespace bench {

namespace {

struct times_width {
  long long width;
  __host__ __device__ long long operator()(long long i) const { return i * width; }
};

}  // namespace

void rowsums() {
  const long long all = quick ? 1ll << 27 : 1ll << 30;  // floats
  const tensor flat = random_on_device({all});
  float* sums = nullptr;
  must(cudaMalloc(&sums, static_cast<std::size_t>(all) * sizeof(float)));
  void* temporary = nullptr;
  std::size_t temporary_bytes = 0;
  must(cub::DeviceReduce::Sum(nullptr, temporary_bytes, raw<float>(flat), sums, all));
  must(cudaMalloc(&temporary, temporary_bytes + (64 << 20)));
  temporary_bytes += 64 << 20;
  const double ceiling = time_turns(
      {[&] { must(cub::DeviceReduce::Sum(temporary, temporary_bytes, raw<float>(flat), sums, all)); }}, 10, device_done)[0];
  report({"device read, sum of 4 GiB", "GB/s", 4e-9 * all / ceiling, 0, "(CUB, the ceiling)", ""});
  for (const long long width : {1ll, 3ll, 16ll, 17ll, 64ll, 100ll, 256ll, 1000ll, 1023ll, 1024ll, 4096ll, 65536ll, all}) {
    const long long rows = all / width;
    const tensor a = flat.slice(0, 0, rows * width).reshape({rows, width});
    const long long some = std::min<long long>(rows, 200);
    const tensor got = sluice::rowsum(a, "cuda");
    if (width < all || quick) {
      must(same_bits(got.slice(0, 0, some), sluice::rowsum(a.slice(0, 0, some).to("cpu"), "cpu")),
           "rowsum differs from the CPU's");
      must(same_bits(got.slice(0, rows - some, rows), sluice::rowsum(a.slice(0, rows - some, rows).to("cpu"), "cpu")),
           "rowsum differs from the CPU's");
    }
    const auto offsets = thrust::make_transform_iterator(thrust::make_counting_iterator(0ll), times_width{width});
    const auto cub_sums = [&] {
      must(cub::DeviceSegmentedReduce::Sum(temporary, temporary_bytes, raw<float>(flat), sums, rows, offsets, offsets + 1));
    };
    const auto t = time_turns({[&] { static_cast<void>(sluice::rowsum(a, "cuda")); }, cub_sums}, 5, device_done, 5);
    const double bytes = 4.0 * static_cast<double>(rows) * static_cast<double>(width) + 4.0 * static_cast<double>(rows);
    const bool wide = width == 16 || width == 64 || width == 256 || width == 1024 || width == 4096 || width == 65536;
    const bool odd = width == 17 || width == 100 || width == 1000 || width == 1023 || width == all;
    report({"rowsum f32, " + std::to_string(width) + " columns", "GB/s", bytes / t[0] * 1e-9, bytes / t[1] * 1e-9,
            "CUB segmented",
            wide  ? ">= 4200"
            : odd ? ">= 3800"
                  : ""});
  }
  must(cudaFree(sums));
  must(cudaFree(temporary));
}

// Layouts and dtypes beside the plain f32 rows: read at the speed of memory all the same.
void other_rowsums() {
  const long long all = quick ? 1ll << 25 : 1ll << 28;  // elements
  const auto line = [](const std::string& name, const tensor& a) {
    const tensor sums = sluice::rowsum(a, "cuda");
    must(same_bits(sums.slice(0, 0, std::min<std::int64_t>(a.extent(0), 64)),
                   sluice::rowsum(a.slice(0, 0, std::min<std::int64_t>(a.extent(0), 64)).contiguous().to("cpu"), "cpu")),
         "rowsum differs from the CPU's: " + name);
    const double t = time_turns({[&] { static_cast<void>(sluice::rowsum(a, "cuda")); }}, 10, device_done, 5)[0];
    const double bytes = static_cast<double>(a.bytes()) + static_cast<double>(sums.bytes());
    report({"rowsum " + name, "GB/s", bytes / t * 1e-9, 0, "", ""});
  };
  const tensor flat = random_on_device({all});
  for (const long long rows : {3ll, 8ll, 100ll, 1024ll, 65536ll, all / 16, all / 100})
    line("column totals, f32, " + std::to_string(rows) + " columns of " + std::to_string(all / rows),
         flat.slice(0, 0, all / rows * rows).reshape({all / rows, rows}).transpose());
  line("f32, 1000 columns of rows of 1024", flat.reshape({all / 1024, 1024}).slice(1, 0, 1000));
  line("f32, 1000 columns of rows of 1024, unaligned", flat.reshape({all / 1024, 1024}).slice(1, 7, 1007));
  line("f32, 20 columns of rows of 24", flat.slice(0, 0, all / 24 * 24).reshape({all / 24, 24}).slice(1, 1, 21));
  for (const long long width : {36ll, 68ll, 96ll, 128ll, 132ll, 160ll, 200ll, 300ll})
    line("f32, " + std::to_string(width) + " columns", flat.slice(0, 0, all / width * width).reshape({all / width, width}));
  for (const auto& [name, type] : {std::pair{"f16", dtype::f16},
                                   {"bf16", dtype::bf16},
                                   {"f64", dtype::f64},
                                   {"i64", dtype::i64},
                                   {"i32", dtype::i32},
                                   {"u8", dtype::u8}}) {
    tensor a({all}, type, "cuda");
    tensor scaled({all}, dtype::f32, "cuda");
    scaled.assign(flat);
    a.assign(scaled);
    for (const long long width : {3ll, 17ll, 100ll, 1024ll, 65536ll})
      line(std::string(name) + ", " + std::to_string(width) + " columns",
           a.slice(0, 0, all / width * width).reshape({all / width, width}));
    line(std::string(name) + ", column totals of 1024", a.reshape({all / 1024, 1024}).transpose());
  }
}

}  // namespace bench

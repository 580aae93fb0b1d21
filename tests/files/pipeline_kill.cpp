// A run to be killed: pipeline_kill rowsum|matmul IN COLUMNS OUT [TOTALS]. It goes on with what the one before left, syncs
// as often as it can, and prints the bytes that it went on from. pipeline_kill_test.py kills it.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "sluice/pipeline.hpp"

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  try {
    const std::int64_t columns = std::atoll(argv[3]);
    sluice::pipeline_options options;
    options.sync_interval = 0;
    options.progress_interval = 0;  // looks up, and may sync, after every few pieces: slowly, so that kills hit all moments
    options.progress = [](const sluice::pipeline_progress&) { std::this_thread::sleep_for(std::chrono::milliseconds(4)); };
    if (argc > 5) options.column_totals = argv[5];
    const bool product = std::string(argv[1]) == "matmul";
    const sluice::file_stream in(argv[2], {.columns = columns, .chunk_bytes = product ? 200'000 : 20'000});
    const auto done = product ? sluice::matmul_file(in, sluice::tensor::full({columns, 5}, 0.3), argv[4], options)
                              : sluice::rowsum_file(in, argv[4], options);
    std::printf("%lld\n", static_cast<long long>(done.resumed_bytes));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

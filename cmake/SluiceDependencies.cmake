# What sluice is built with. Each dependency is looked for by find_package first; where it is not found and fetching is
# allowed, FetchContent brings a pinned version.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
include(SluiceBlas)

if(SLUICE_BENCH)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS "sluice: Google Benchmark was not found: no benchmarks")
  endif()
endif()

# What the core is built with; service, examples and tests look for theirs where they are added, but for what several of them
# use. All by find_package: on Debian cmake/install-deps brings them.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
include(SluiceBlas)

if(SLUICE_SERVICE)
  find_package(dragonbox QUIET)
  if(NOT dragonbox_FOUND)
    message(STATUS "sluice: dragonbox was not found: numbers are printed by fmt, which takes a quarter longer")
  endif()
endif()

if(SLUICE_BENCH)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS "sluice: Google Benchmark was not found: no benchmarks")
  endif()
endif()

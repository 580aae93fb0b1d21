# What the libraries are built with; examples and tests look for theirs where they are added. A target that the project around has
# already wins; then find_package; then, where SLUICE_FETCH allows, pinned sources (SluiceFetch.cmake). On Debian
# cmake/install-deps brings them all.

include(SluiceFetch)

# sluice_find(PACKAGE TARGET DEBIAN-PACKAGE [OPTIONAL]): sets SLUICE_FOUND_PACKAGES to those that a static library's consumer
# has to find again: what was fetched is inside.
macro(sluice_find package target debian)
  if(NOT TARGET ${target} AND NOT SLUICE_FETCH STREQUAL "ON")
    find_package(${package} QUIET)
  endif()
  if(TARGET ${target})
    list(APPEND SLUICE_FOUND_PACKAGES ${package})
  elseif(SLUICE_FETCH STREQUAL "ON" OR (SLUICE_FETCH STREQUAL "auto" AND NOT "${ARGN}" STREQUAL "OPTIONAL"))
    message(STATUS "sluice: ${package} is fetched")
    cmake_language(CALL sluice_fetch_${package})
  endif()
  if(NOT TARGET ${target} AND NOT "${ARGN}" STREQUAL "OPTIONAL")
    message(FATAL_ERROR "sluice: ${package} was not found. Install it (Debian: ${debian}), name its place in CMAKE_PREFIX_PATH, "
                        "or have it fetched with -DSLUICE_FETCH=auto")
  endif()
endmacro()

set(SLUICE_FOUND_PACKAGES "")
find_package(Threads REQUIRED)
sluice_find(fmt fmt::fmt libfmt-dev)

if(SLUICE_SERVICE)
  sluice_find(simdjson simdjson::simdjson libsimdjson-dev)
  sluice_find(dragonbox dragonbox::dragonbox libdragonbox-dev OPTIONAL)
  if(NOT TARGET dragonbox::dragonbox)
    message(STATUS "sluice: dragonbox was not found: numbers are printed by fmt, which takes a quarter longer")
  endif()
  if(SLUICE_JOBS STREQUAL "ON")
    sluice_find(SQLite3 SQLite::SQLite3 libsqlite3-dev)
  elseif(NOT SLUICE_JOBS STREQUAL "OFF")
    sluice_find(SQLite3 SQLite::SQLite3 libsqlite3-dev OPTIONAL)
    if(NOT TARGET SQLite::SQLite3)
      message(STATUS "sluice: SQLite was not found: no sluice::jobs")
    endif()
  endif()
  set(SLUICE_SQLITE OFF)
  if(TARGET SQLite::SQLite3 AND NOT SLUICE_JOBS STREQUAL "OFF")
    set(SLUICE_SQLITE ON)
  endif()
endif()

if(SLUICE_BENCH)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS "sluice: Google Benchmark was not found: no benchmarks")
  endif()
endif()

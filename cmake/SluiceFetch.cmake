# Dependencies whose sources are fetched, for SLUICE_FETCH: pinned to the releases that the suite runs with, by hash. Each becomes
# a target of the name that its own package would give; ours, so that neither its options nor its install rules come along, and
# compiled into the libraries that use it. A project that has declared one of these names with FetchContent keeps its own.
# FETCHCONTENT_SOURCE_DIR_NAME (FMT, SIMDJSON, DRAGONBOX, SQLITE3, HTTPLIB) takes sources that lie there already.

include(FetchContent)

# sluice_fetch(NAME URL SHA256): the sources, in ${NAME}_SOURCE_DIR. No CMakeLists.txt of theirs is run.
macro(sluice_fetch name url sha256)
  FetchContent_Declare(${name} URL "${url}" URL_HASH SHA256=${sha256} SOURCE_SUBDIR sluice-runs-none
                       DOWNLOAD_EXTRACT_TIMESTAMP ON)
  FetchContent_MakeAvailable(${name})
endmacro()

# sluice_compiled_in(TARGET ALIAS INCLUDE SOURCE): objects for whoever links ALIAS, with nothing visible from outside.
function(sluice_compiled_in target alias include source)
  add_library(${target} OBJECT EXCLUDE_FROM_ALL "${source}")
  add_library(${alias} ALIAS ${target})
  target_include_directories(${target} SYSTEM PUBLIC "$<BUILD_INTERFACE:${include}>")
  target_compile_options(${target} PRIVATE -w)
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
                                             POSITION_INDEPENDENT_CODE ON CXX_STANDARD 20 CXX_EXTENSIONS OFF)
endfunction()

macro(sluice_fetch_fmt)
  sluice_fetch(fmt https://github.com/fmtlib/fmt/archive/9.1.0.tar.gz
               5dea48d1fcddc3ec571ce2058e13910a0d4a6bab4cc09a809d8b1dd1c88ae6f2)
  if(NOT TARGET fmt::fmt)
    sluice_compiled_in(sluice_fmt fmt::fmt "${fmt_SOURCE_DIR}/include" "${fmt_SOURCE_DIR}/src/format.cc")
  endif()
  if(NOT TARGET fmt::fmt-header-only)
    add_library(sluice_fmt_header_only INTERFACE)
    add_library(fmt::fmt-header-only ALIAS sluice_fmt_header_only)
    target_include_directories(sluice_fmt_header_only SYSTEM INTERFACE "${fmt_SOURCE_DIR}/include")
    target_compile_definitions(sluice_fmt_header_only INTERFACE FMT_HEADER_ONLY=1)
  endif()
endmacro()

macro(sluice_fetch_simdjson)
  sluice_fetch(simdjson https://github.com/simdjson/simdjson/archive/v3.0.1.tar.gz
               156b1bc5eb0561b2bd166b46d191fd3d95a3e709cc63761477d3b7aec2b6e9ed)
  if(NOT TARGET simdjson::simdjson)
    sluice_compiled_in(sluice_simdjson simdjson::simdjson "${simdjson_SOURCE_DIR}/singleheader"
                       "${simdjson_SOURCE_DIR}/singleheader/simdjson.cpp")
  endif()
endmacro()

macro(sluice_fetch_dragonbox)
  sluice_fetch(dragonbox https://github.com/jk-jeon/dragonbox/archive/refs/tags/1.1.3.tar.gz
               09d63b05e9c594ec423778ab59b7a5aa1d76fdd71d25c7048b0258c4ec9c3384)
  if(NOT TARGET dragonbox::dragonbox)
    add_library(sluice_dragonbox INTERFACE)
    add_library(dragonbox::dragonbox ALIAS sluice_dragonbox)
    target_include_directories(sluice_dragonbox SYSTEM INTERFACE "${dragonbox_SOURCE_DIR}/include")
  endif()
endmacro()

macro(sluice_fetch_SQLite3)
  enable_language(C)
  sluice_fetch(sqlite3 https://www.sqlite.org/2022/sqlite-amalgamation-3400100.zip
               49112cc7328392aa4e3e5dae0b2f6736d0153430143d21f69327788ff4efe734)
  if(NOT TARGET SQLite::SQLite3)
    sluice_compiled_in(sluice_sqlite3 SQLite::SQLite3 "${sqlite3_SOURCE_DIR}" "${sqlite3_SOURCE_DIR}/sqlite3.c")
  endif()
endmacro()

macro(sluice_fetch_httplib)
  sluice_fetch(httplib https://github.com/yhirose/cpp-httplib/archive/refs/tags/v0.18.7.tar.gz
               b7b1e9e4e77565a5a9bc95e761d5df3e7c0e8ca37c90fd78b1b031bc6cb90fc1)
  set(SLUICE_HTTPLIB_INCLUDE "${httplib_SOURCE_DIR}")
endmacro()

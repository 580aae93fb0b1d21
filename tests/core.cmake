# Tests of the core: devices, tensors, operations and the thread pool.

# sluice_test_run(NAME PROGRAM [SUITE name] [ENV NAME=VALUE ...] [FIXTURE name]): one more CTest entry of a test program.
function(sluice_test_run name program)
  cmake_parse_arguments(ARG "" "SUITE;FIXTURE" "ENV" ${ARGN})
  add_test(NAME ${name} COMMAND ${program}_test $<$<BOOL:${ARG_SUITE}>:--test-suite=${ARG_SUITE}>)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77 ENVIRONMENT "${ARG_ENV}")
  if(ARG_FIXTURE)
    set_tests_properties(${name} PROPERTIES FIXTURES_SETUP ${ARG_FIXTURE})
  endif()
endfunction()

# Modules go to folders of their own: only SLUICE_BACKEND_PATH leads there.
set(SLUICE_TEST_MODULES "${PROJECT_BINARY_DIR}/test-modules")

# sluice_test_module(TARGET FILE folder [SOURCES ...] [DEFINITIONS ...]): folder/FILE.so.
function(sluice_test_module target file folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEFINITIONS" ${ARGN})
  add_library(${target} MODULE ${ARG_SOURCES})
  sluice_target_defaults(${target})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include" "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(${target} PRIVATE ${ARG_DEFINITIONS})
  target_link_libraries(${target} PRIVATE Threads::Threads)
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME ${file} LIBRARY_OUTPUT_DIRECTORY
                                             "${SLUICE_TEST_MODULES}/${folder}")
endfunction()

sluice_test_module(sluice_fake libsluice-fake fake SOURCES fake/fake_backend.cpp)
set(fake "SLUICE_BACKEND_PATH=${SLUICE_TEST_MODULES}/fake")

# Parity: every operation on every device ------------------------------------------------------------------------------------

sluice_add_test(parity SOURCES parity_test.cpp parity_matmul.cpp parity_rowsum.cpp)
add_dependencies(parity_test sluice_fake)
set_tests_properties(parity PROPERTIES ENVIRONMENT "${fake};SLUICE_FAKE_DELAY=0")
# The same on CUDA's module, which is built where libraries go; skipped, with the reason, where it finds no device.
sluice_test_run(parity_cuda parity ENV "SLUICE_TEST_DEVICE=cuda" "SLUICE_BACKEND_PATH=${PROJECT_BINARY_DIR}/lib")

# The bits of sums must not depend on threads or instructions: each run leaves a digest, the last entry compares them.
set(digests "")
foreach(run "threads1:SLUICE_THREADS=1" "threads2:SLUICE_THREADS=2" "threads5:SLUICE_THREADS=5" "plain:SLUICE_SIMD=plain"
            "avx2:SLUICE_SIMD=avx2" "plain3:SLUICE_SIMD=plain;SLUICE_THREADS=3")
  string(REPLACE ":" ";" run "${run}")
  list(POP_FRONT run name)
  set(digest "${CMAKE_CURRENT_BINARY_DIR}/rowsum_${name}.digest")
  sluice_test_run(rowsum_digest_${name} rowsum_digest ENV ${run} "SLUICE_TEST_DIGEST=${digest}" FIXTURE rowsum_digests)
  list(APPEND digests "${digest}")
endforeach()
add_executable(rowsum_digest_test rowsum_digest.cpp)
sluice_target_defaults(rowsum_digest_test)
target_link_libraries(rowsum_digest_test PRIVATE sluice_test_main)
add_test(NAME rowsum_digests_agree COMMAND ${CMAKE_COMMAND} -P "${CMAKE_CURRENT_SOURCE_DIR}/same_files.cmake" ${digests})
set_tests_properties(rowsum_digests_agree PROPERTIES FIXTURES_REQUIRED rowsum_digests)

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
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX "${SLUICE_MODULE_SUFFIX}" OUTPUT_NAME ${file} LIBRARY_OUTPUT_DIRECTORY
                                             "${SLUICE_TEST_MODULES}/${folder}")
endfunction()

sluice_test_module(sluice_fake libsluice-fake fake SOURCES fake/fake_backend.cpp)
sluice_test_module(sluice_paced libsluice-paced paced SOURCES fake/paced_backend.cpp)
set(fake "SLUICE_BACKEND_PATH=${SLUICE_TEST_MODULES}/fake")

# Parity: every operation on every device -----------------------------------------------------------------------------------

sluice_add_test(parity SOURCES parity_test.cpp parity_matmul.cpp parity_rowsum.cpp)
add_dependencies(parity_test sluice_fake)
set_tests_properties(parity PROPERTIES ENVIRONMENT "${fake};SLUICE_FAKE_DELAY=0")
if(CMAKE_CROSSCOMPILING)  # an emulator computes floats one by one
  set_tests_properties(parity PROPERTIES TIMEOUT 3000)
endif()
# The same on CUDA's module, which is built where libraries go; skipped, with the reason, where it finds no device.
sluice_test_run(parity_cuda parity ENV "SLUICE_TEST_DEVICE=cuda" "SLUICE_BACKEND_PATH=${PROJECT_BINARY_DIR}/lib")

# The bits of sums must not depend on threads or instructions: each run leaves a digest, the last entry compares them.
set(digests "")
foreach(run "threads1:SLUICE_THREADS=1" "threads2:SLUICE_THREADS=2" "threads5:SLUICE_THREADS=5"
            "plain:SLUICE_SIMD=plain" "avx2:SLUICE_SIMD=avx2" "plain3:SLUICE_SIMD=plain;SLUICE_THREADS=3")
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

# Devices and the loader of their modules -----------------------------------------------------------------------------------

set(broken_modules "")
foreach(kind older newer null empty negative failing tiny short shorter cut slotless eventless second misnamed nameless
             longname mute odd entryless orphan)
  sluice_test_module(sluice_broken_${kind} libsluice-${kind} broken SOURCES fake/broken_backend.cpp
                     DEFINITIONS "BROKEN=\"${kind}\"")
  list(APPEND broken_modules sluice_broken_${kind})
endforeach()
target_compile_definitions(sluice_broken_entryless PRIVATE BROKEN_HAS_NO_ENTRY)
# A module whose own dependency is missing: linked with a library that no search at run time comes upon.
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/absent.cpp" "extern \"C\" int sluice_test_absent() { return 0; }\n")
add_library(sluice_test_absent SHARED "${CMAKE_CURRENT_BINARY_DIR}/absent.cpp")
set_target_properties(sluice_test_absent PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/absent")
target_link_libraries(sluice_broken_orphan PRIVATE sluice_test_absent)
target_compile_definitions(sluice_broken_orphan PRIVATE BROKEN_NEEDS_LIBRARY)
set_target_properties(sluice_broken_orphan PROPERTIES SKIP_BUILD_RPATH ON)
# What is no module, beside them: the first two are opened and refused, the others are not looked at.
file(WRITE "${SLUICE_TEST_MODULES}/broken/libsluice-text.so"
     "This is no ELF file, however long it may be. Its first bytes say so.\n")
file(MAKE_DIRECTORY "${SLUICE_TEST_MODULES}/broken/libsluice-folder.so")
foreach(file libsluice-late.so.1 libsluice-late.txt libother-fake.so sluice-bare.so libsluice-.so libsluice.so
             libsluice-late.SO)
  file(WRITE "${SLUICE_TEST_MODULES}/broken/${file}" "Not taken.\n")
endforeach()

add_executable(device_test device_test.cpp)
sluice_target_defaults(device_test)
target_link_libraries(device_test PRIVATE sluice_test_main)
add_dependencies(device_test sluice_fake ${broken_modules})
sluice_test_run(device_names device SUITE "names")
set(broken "${SLUICE_TEST_MODULES}/broken")
sluice_test_run(device_loading device SUITE "loading" ENV "${fake}:relative::/no/such/folder:${broken}:${broken}")
sluice_test_run(device_working_directory device SUITE "working directory" ENV "SLUICE_BACKEND_PATH=:.:./:../fake:")
set_tests_properties(device_working_directory PROPERTIES WORKING_DIRECTORY "${SLUICE_TEST_MODULES}/fake")
sluice_test_run(device_refusing_to_wake device SUITE "refusing to wake" ENV ${fake} SLUICE_FAKE_WAKE=refuse)
foreach(wanted fake:1 nonsense no!sense)
  sluice_test_run(device_override_${wanted} device SUITE "override ${wanted}" ENV ${fake} SLUICE_DEVICE=${wanted})
endforeach()

# A program with a module beside it, in a folder of their own. (A shared sluice looks beside itself instead.)
if(NOT BUILD_SHARED_LIBS)
  add_executable(quiet_test quiet_test.cpp)
  sluice_target_defaults(quiet_test)
  target_link_libraries(quiet_test PRIVATE sluice_test_main)
  set_target_properties(quiet_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${SLUICE_TEST_MODULES}/beside")
  sluice_test_module(sluice_fake_beside libsluice-fake beside SOURCES fake/fake_backend.cpp)
  add_dependencies(quiet_test sluice_fake_beside)
  sluice_test_run(quiet quiet ENV "SLUICE_FAKE_MARK=${CMAKE_CURRENT_BINARY_DIR}/entered.txt")
endif()

# The parts -----------------------------------------------------------------------------------------------------------------

foreach(part dtype shape view tensor dlpack)
  sluice_add_test(${part})
endforeach()
sluice_add_test(placement)
# One program an op: ops/NAME_test.cpp is CTest's NAME.
file(GLOB op_tests CONFIGURE_DEPENDS ops/*_test.cpp)
foreach(file ${op_tests})
  get_filename_component(name "${file}" NAME_WE)
  string(REGEX REPLACE "_test$" "" name "${name}")
  sluice_add_test(${name} SOURCES "${file}")
  add_dependencies(${name}_test sluice_fake)
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "${fake};SLUICE_FAKE_DELAY=0")
endforeach()
# What core keeps to itself; a shared library shows none of it.
if(NOT BUILD_SHARED_LIBS)
  sluice_add_test(profile)
  add_executable(calibration_test calibration_test.cpp)
  sluice_target_defaults(calibration_test)
  target_link_libraries(calibration_test PRIVATE sluice_test_main)
  add_dependencies(calibration_test sluice_paced)
  foreach(suite "not measured" "measured" "slower" "asleep" "in the background")
    string(REPLACE " " "_" name "${suite}")
    sluice_test_run(placement_${name} calibration SUITE ${suite}
                    ENV "SLUICE_BACKEND_PATH=${SLUICE_TEST_MODULES}/paced" SLUICE_PACED_SLOWDOWN=16
                    "XDG_CACHE_HOME=${CMAKE_CURRENT_BINARY_DIR}/cache/${name}")
  endforeach()
endif()
sluice_add_test(parallel)
foreach(threads 1 2 7)
  sluice_test_run(parallel_${threads} parallel ENV SLUICE_THREADS=${threads})
endforeach()

find_program(SLUICE_TASKSET taskset)
if(SLUICE_TASKSET)
  add_test(NAME parallel_on_one_core COMMAND ${SLUICE_TASKSET} -c 0 $<TARGET_FILE:parallel_test>)
  set_tests_properties(parallel_on_one_core PROPERTIES TIMEOUT 300)
endif()

# Order, ownership and failure of a device's work, on the fake device.
add_executable(order_test order_test.cpp)
sluice_target_defaults(order_test)
target_link_libraries(order_test PRIVATE sluice_test_main)
# A second backend with queues, whose events mean nothing to the first.
sluice_test_module(sluice_fake_other libsluice-other other SOURCES fake/fake_backend.cpp DEFINITIONS "FAKE_NAME=\"other\"")
add_dependencies(order_test sluice_fake sluice_fake_other)
sluice_test_run(order order SUITE "order" ENV "${fake}:${SLUICE_TEST_MODULES}/other")
sluice_test_run(order_without_deallocate_after order SUITE "order" ENV "${fake}:${SLUICE_TEST_MODULES}/other"
                SLUICE_FAKE_FREE=wait)
sluice_test_run(order_after_a_loss order SUITE "loss" ENV ${fake})
sluice_test_run(order_writer_lost order SUITE "writer lost" ENV ${fake})
sluice_test_run(order_at_a_limit order SUITE "limit" ENV ${fake} SLUICE_FAKE_LIMIT=100000)

# Where the operating system's headers may be included.
add_test(NAME platform_headers COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR}
                                       -P "${CMAKE_CURRENT_SOURCE_DIR}/platform_headers.cmake")

# Each public header compiled alone, and the C one as C.
file(GLOB_RECURSE headers RELATIVE "${PROJECT_SOURCE_DIR}/include" CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/*.hpp"
     "${PROJECT_SOURCE_DIR}/include/*.h")
sluice_compile_headers(sluice_headers sluice::sluice ${headers})
include(CheckLanguage)
check_language(C)
if(CMAKE_C_COMPILER)
  enable_language(C)
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/headers/backend_api.c"
       CONTENT "#include \"sluice/backend_api.h\"\nsluice_backend_entry_function entry;\n")
  add_library(sluice_c_header OBJECT "${CMAKE_CURRENT_BINARY_DIR}/headers/backend_api.c")
  target_include_directories(sluice_c_header PRIVATE "${PROJECT_SOURCE_DIR}/include")
  target_compile_options(sluice_c_header PRIVATE -std=c99 -Wall -Wextra -Wpedantic -Wstrict-prototypes
                                                 $<$<BOOL:${SLUICE_WERROR}>:-Werror>)
endif()

# What the rooms' tests share: the test program's main, modules that stand in for a device, and functions.
set(SLUICE_TEST_SUPPORT "${PROJECT_SOURCE_DIR}/tests/support")

# The main of test programs, and the form of the library that they use: SLUICE_TEST_FORM, or header-only in any case.
function(sluice_add_test_main target library)
  add_library(${target} STATIC EXCLUDE_FROM_ALL "${SLUICE_TEST_SUPPORT}/main.cpp")
  sluice_target_defaults(${target})
  target_include_directories(${target} PUBLIC "${SLUICE_TEST_SUPPORT}" "${PROJECT_SOURCE_DIR}/tests/reference")
  target_link_libraries(${target} PUBLIC ${library} doctest::doctest)
endfunction()
set(SLUICE_TEST_LIBRARY sluice::sluice)
if(SLUICE_TEST_FORM STREQUAL "header_only")
  set(SLUICE_TEST_LIBRARY sluice::header_only)
endif()
sluice_add_test_main(sluice_test_main ${SLUICE_TEST_LIBRARY})
sluice_add_test_main(sluice_test_main_header_only sluice::header_only)

# Where there are several Pythons, the system's is the one that packages such as python3-numpy belong to.
find_program(SLUICE_TEST_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(SLUICE_TEST_PYTHON python3)

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
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include" "${SLUICE_TEST_SUPPORT}" "${PROJECT_SOURCE_DIR}/tests/reference")
  target_compile_definitions(${target} PRIVATE ${ARG_DEFINITIONS})
  target_link_libraries(${target} PRIVATE Threads::Threads)
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX "${SLUICE_MODULE_SUFFIX}" OUTPUT_NAME ${file} LIBRARY_OUTPUT_DIRECTORY
                                             "${SLUICE_TEST_MODULES}/${folder}")
endfunction()

sluice_test_module(sluice_fake libsluice-fake fake SOURCES "${SLUICE_TEST_SUPPORT}/fake/fake_backend.cpp")
sluice_test_module(sluice_paced libsluice-paced paced SOURCES "${SLUICE_TEST_SUPPORT}/fake/paced_backend.cpp")
set(fake "SLUICE_BACKEND_PATH=${SLUICE_TEST_MODULES}/fake")


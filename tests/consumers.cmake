# Other people's builds: projects of their own, each configured in a clean folder against what was installed. tests/consumers/full
# has the longer ones.
if(NOT SLUICE_INSTALL OR NOT SLUICE_SERVICE OR CMAKE_CROSSCOMPILING)
  sluice_skip_tests("needs install rules, the service, and a machine of this kind" consumer consumer_service consumer_backends
                    consumer_components consumer_pkg_config consumer_subproject)
  return()
endif()

# Compiler and flags are ours, for the library was built with them; the configuration is an application's own, and here none,
# which compiles fastest.
set(consumer_options "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}" "-DCMAKE_CXX_FLAGS=${CMAKE_CXX_FLAGS}"
                     "-DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}")

set(consumers "${CMAKE_CURRENT_BINARY_DIR}/consumers")
set(installed "-DCMAKE_PREFIX_PATH=${SLUICE_TEST_INSTALLED}")

# sluice_add_consumer(NAME SOURCE OPTIONS ... CHECK WHAT=...): WHAT is for consumers/check.cmake.
function(sluice_add_consumer name source)
  cmake_parse_arguments(ARG "" "" "OPTIONS;CHECK" ${ARGN})
  list(TRANSFORM ARG_CHECK PREPEND "-D")
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} "-DSOURCE=${source}" "-DBUILD=${consumers}/${name}" "-DGENERATOR=${CMAKE_GENERATOR}"
                                "-DOPTIONS=${consumer_options};${ARG_OPTIONS}" ${ARG_CHECK}
                                -P "${CMAKE_CURRENT_SOURCE_DIR}/consumers/check.cmake")
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 FIXTURES_REQUIRED sluice_installed)
endfunction()

set(here "${CMAKE_CURRENT_SOURCE_DIR}/consumers")
sluice_add_consumer(consumer "${PROJECT_SOURCE_DIR}/examples/consumer" OPTIONS "${installed}"
                    CHECK PROGRAM=multiply "EXPECT=^4 5\n10 11\n$")
sluice_add_consumer(
  consumer_service "${here}/service" OPTIONS "${installed}" "-DSLUICE_HTTPLIB_INCLUDE=${SLUICE_HTTPLIB_INCLUDE}"
  CHECK PROGRAM=serve "EXPECT=^200 .*.result.:..3,3.,.7,7... *.*twice 21 is 42, httplib [0-9.]+, sluice ${PROJECT_VERSION}\n$")
sluice_add_consumer(consumer_backends "${here}/backends" OPTIONS "${installed}"
                    CHECK PROGRAM=list_devices "EXPECT=^device cpu\ndevice fake:0\ndevice fake:1\n")
set(other_kind ON)
if(BUILD_SHARED_LIBS)
  set(other_kind OFF)
endif()
sluice_add_consumer(consumer_components "${here}/components" OPTIONS "${installed}" -DOTHER_KIND=${other_kind}
                    CHECK "CONFIGURED=components: all as documented")
sluice_add_consumer(consumer_subproject "${here}/subproject" OPTIONS "-DSLUICE_SOURCE=${PROJECT_SOURCE_DIR}" -DSLUICE_SERVICE=ON
                    CHECK "CONFIGURED=application: nothing was changed")

find_program(SLUICE_PKG_CONFIG pkg-config)
if(SLUICE_PKG_CONFIG)
  set(flags ${CMAKE_CXX_FLAGS})
  separate_arguments(flags)
  add_test(NAME consumer_pkg_config
           COMMAND "${here}/pkg_config" "${SLUICE_TEST_INSTALLED}/${CMAKE_INSTALL_LIBDIR}/pkgconfig" ${SLUICE_KIND}
                   "${consumers}/pkg_config" $<CONFIG> ${CMAKE_CXX_COMPILER} ${flags})
  set_tests_properties(consumer_pkg_config PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED sluice_installed)
else()
  sluice_skip_tests("needs pkg-config" consumer_pkg_config)
endif()

find_program(SLUICE_READELF readelf)
find_program(SLUICE_NM nm)
if(SLUICE_READELF AND SLUICE_NM AND SLUICE_TEST_PYTHON)
  add_test(NAME symbols COMMAND ${SLUICE_TEST_PYTHON} "${CMAKE_CURRENT_SOURCE_DIR}/symbols_test.py" ${SLUICE_NM} ${SLUICE_READELF}
                                $<TARGET_FILE:sluice> $<TARGET_FILE:sluice_service>)
else()
  sluice_skip_tests("needs readelf, nm and python3" symbols)
endif()

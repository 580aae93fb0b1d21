# What `cmake --install` puts where.
if(NOT SLUICE_INSTALL)
  sluice_skip_tests("this build has no install rules" install)
  return()
endif()
set(SLUICE_TEST_INSTALLED "${CMAKE_CURRENT_BINARY_DIR}/installed")
add_executable(list_devices list_devices.cpp)
sluice_target_defaults(list_devices)
target_link_libraries(list_devices PRIVATE sluice::sluice)
# A folder of its own: modules that were built lie beside the other programs.
set_target_properties(list_devices PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/test-modules/alone")
add_dependencies(list_devices sluice_fake)
get_target_property(sluice_type sluice TYPE)
string(COMPARE EQUAL "${sluice_type}" SHARED_LIBRARY shared)
# What it says of environment variables that cannot be read.
if(SLUICE_TEST_PYTHON)
  add_test(NAME environment COMMAND ${SLUICE_TEST_PYTHON} "${PROJECT_SOURCE_DIR}/tests/core/environment_test.py"
                                    $<TARGET_FILE:list_devices> "${SLUICE_TEST_MODULES}/fake")
  set_tests_properties(environment PROPERTIES TIMEOUT 300)
else()
  sluice_skip_tests("needs python3" environment)
endif()
add_test(NAME install
         COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DCONFIG=$<CONFIG> -DLIBDIR=${CMAKE_INSTALL_LIBDIR}
                 -DSOURCE=${PROJECT_SOURCE_DIR} -DPREFIX=${SLUICE_TEST_INSTALLED} -DLIBRARY=$<TARGET_FILE_NAME:sluice> -DSHARED=${shared}
                 -DPROGRAM=$<TARGET_FILE:list_devices> -DSERVER=$<TARGET_EXISTS:sluice-server> -DFAKE=$<TARGET_FILE:sluice_fake> -DCUDA=$<TARGET_EXISTS:sluice_cuda>
                 -P "${CMAKE_CURRENT_SOURCE_DIR}/install_test.cmake")
set_tests_properties(install PROPERTIES TIMEOUT 300 FIXTURES_SETUP sluice_installed)

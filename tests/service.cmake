# The service without a transport, and over sockets by cpp-httplib.
foreach(part access admission json rowsum_stream service v2 v2_refusal)
  sluice_add_test(${part} LIBRARIES sluice::service)
endforeach()
sluice_add_test(openapi LIBRARIES sluice::service simdjson::simdjson $<TARGET_NAME_IF_EXISTS:sluice::jobs>)
target_compile_definitions(openapi_test PRIVATE SLUICE_TEST_JOBS=$<TARGET_EXISTS:sluice::jobs>)
sluice_add_test(number LIBRARIES sluice::sluice fmt::fmt $<TARGET_NAME_IF_EXISTS:dragonbox::dragonbox>)
target_include_directories(number_test PRIVATE "${PROJECT_SOURCE_DIR}/adapters/service/src")
target_compile_definitions(number_test PRIVATE SLUICE_DRAGONBOX=$<TARGET_EXISTS:dragonbox::dragonbox>)
set(service_sources "${PROJECT_SOURCE_DIR}/adapters/service/src")
# These look behind the public headers: they hold the room's own files, which a shared library hides.
sluice_add_test(slots SOURCES slots_test.cpp "${service_sources}/execution/compute_queue.cpp" LIBRARIES sluice::sluice
                                                                                                Threads::Threads)
target_include_directories(slots_test PRIVATE "${service_sources}")
sluice_add_test(files SOURCES files_test.cpp "${PROJECT_SOURCE_DIR}/adapters/jobs/src/data_directories.cpp"
                              "${service_sources}/http/text.cpp" LIBRARIES sluice::sluice fmt::fmt)
target_include_directories(files_test PRIVATE "${PROJECT_SOURCE_DIR}/adapters/jobs/src" "${service_sources}" "${PROJECT_SOURCE_DIR}/adapters/service/include")
if(NOT BUILD_SHARED_LIBS)
  sluice_add_test(scheduler LIBRARIES sluice::service fmt::fmt)
  target_include_directories(scheduler_test PRIVATE "${service_sources}")
endif()
if(SLUICE_SQLITE AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
  sluice_add_test(jobs LIBRARIES sluice::jobs)
  sluice_add_test(jobs_life SOURCES jobs_life_test.cpp fault/fault.cpp LIBRARIES sluice::jobs ${CMAKE_DL_LIBS})
  set_target_properties(jobs_life_test PROPERTIES ENABLE_EXPORTS ON)
  sluice_add_test(jobs_httplib LIBRARIES sluice::httplib sluice::hardened sluice::jobs)
else()
  sluice_skip_tests("needs SQLite and Linux" jobs jobs_life jobs_httplib)
endif()
foreach(part direct httplib v2_httplib hardened hardened_idle stream_http)
  sluice_add_test(${part} LIBRARIES sluice::httplib sluice::hardened)
endforeach()
sluice_add_test(service_loss LIBRARIES sluice::service)
add_dependencies(service_loss_test sluice_fake)
set_tests_properties(service_loss PROPERTIES ENVIRONMENT "${fake}")
if(NOT BUILD_SHARED_LIBS)  # its profiles are written by core's own hand
  sluice_add_test(service_placement LIBRARIES sluice::service)
  add_dependencies(service_placement_test sluice_paced)
  set_tests_properties(service_placement PROPERTIES ENVIRONMENT
                       "SLUICE_BACKEND_PATH=${SLUICE_TEST_MODULES}/paced;XDG_CACHE_HOME=${CMAKE_CURRENT_BINARY_DIR}/cache/service")
endif()
sluice_add_test(pinned LIBRARIES sluice::service)
add_dependencies(pinned_test sluice_fake)
set_tests_properties(pinned PROPERTIES ENVIRONMENT
                     "${fake};SLUICE_FAKE_LIMIT=1000000;SLUICE_FAKE_MARK=${CMAKE_CURRENT_BINARY_DIR}/copies.txt")

# Each public header of the adapters compiled alone.
sluice_compile_headers(sluice_adapter_headers "sluice::httplib;sluice::hardened" sluice/service.hpp sluice/service/endpoint.hpp
                       sluice/service/access.hpp sluice/service/message.hpp sluice/httplib.hpp sluice/httplib/coding.hpp sluice/httplib/server_extensions.hpp
                       sluice/hardened_server.hpp)

# The CUDA module: what it shows, that it loads or says why not, and what it does after a fault or a fork. What needs a GPU is
# skipped where there is none. Parity is in core.cmake.
if(NOT TARGET sluice_cuda)
  sluice_skip_tests("this build has no CUDA module" cuda_module cuda_module_symbols cuda_order cuda_after_a_fault
                    cuda_after_a_fork)
  return()
endif()

sluice_add_test(cuda_module)
add_dependencies(cuda_module_test sluice_cuda)
set(cuda_module "SLUICE_BACKEND_PATH=${PROJECT_BINARY_DIR}/lib")
set_tests_properties(cuda_module PROPERTIES ENVIRONMENT "${cuda_module}")
find_program(SLUICE_READELF readelf)
find_program(SLUICE_NM nm)
if(SLUICE_READELF AND SLUICE_NM)
  add_test(NAME cuda_module_symbols
           COMMAND ${CMAKE_COMMAND} -DMODULE=$<TARGET_FILE:sluice_cuda> -DNM=${SLUICE_NM} -DREADELF=${SLUICE_READELF} -P
                   "${CMAKE_CURRENT_SOURCE_DIR}/cuda_module_symbols.cmake")
endif()

set(cuda "SLUICE_TEST_DEVICE=cuda" "${cuda_module}")
sluice_add_test(cuda_order)
set_tests_properties(cuda_order PROPERTIES ENVIRONMENT "${cuda}" SKIP_RETURN_CODE 77)
add_executable(cuda_fault_test cuda_fault_test.cpp)
sluice_target_defaults(cuda_fault_test)
target_link_libraries(cuda_fault_test PRIVATE sluice_test_main ${CMAKE_DL_LIBS})
sluice_test_run(cuda_after_a_fault cuda_fault SUITE "a fault" ENV ${cuda})
sluice_test_run(cuda_after_a_fork cuda_fault SUITE "a fork" ENV ${cuda})

# Files: .npy, streams, the pipeline, and sluice-rowsum from the shell.
sluice_add_test(npy)
sluice_add_test(file_stream)
# These two look behind the public headers: they hold the room's own files, which a shared library hides.
set(room ${PROJECT_SOURCE_DIR}/src/files)
set(files ${room}/file.cpp ${room}/mapping_${SLUICE_SYSTEM}.cpp ${room}/system_${SLUICE_SYSTEM}.cpp)
sluice_add_test(source SOURCES source_test.cpp ${room}/source.cpp ${files} LIBRARIES fmt::fmt)
sluice_add_test(output SOURCES output_test.cpp ${room}/output.cpp ${files} LIBRARIES fmt::fmt)
# The system's calls are replaced in the program itself, for the shared library too, and by a preloaded one in sluice-rowsum.
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  sluice_add_test(fault SOURCES fault_test.cpp fault/fault.cpp LIBRARIES ${CMAKE_DL_LIBS})
  set_target_properties(fault_test PROPERTIES ENABLE_EXPORTS ON)
  add_library(sluice_fault MODULE fault/fault.cpp)
  sluice_target_defaults(sluice_fault)
  target_link_libraries(sluice_fault PRIVATE ${CMAKE_DL_LIBS})
else()
  sluice_skip_tests("needs Linux" fault)
endif()
foreach(name pipeline pipeline_results pipeline_resume)
  sluice_add_test(${name})
  # The path of a device: copies to it, results from it, all late.
  add_dependencies(${name}_test sluice_fake)
  sluice_test_run(${name}_fake ${name} ENV "SLUICE_TEST_DEVICE=fake" "${fake}")
endforeach()

# Where there are several Pythons, the system's is the one that packages such as python3-numpy belong to.
find_program(SLUICE_TEST_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(SLUICE_TEST_PYTHON python3)
if(SLUICE_TEST_PYTHON)
  add_executable(npy_copy npy_copy.cpp)
  sluice_target_defaults(npy_copy)
  target_link_libraries(npy_copy PRIVATE sluice::sluice)
  add_test(NAME numpy COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/numpy_test.py $<TARGET_FILE:npy_copy>
                              $<$<TARGET_EXISTS:sluice-rowsum>:$<TARGET_FILE:sluice-rowsum>>)
  set_tests_properties(numpy PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
  add_executable(pipeline_kill pipeline_kill.cpp)
  sluice_target_defaults(pipeline_kill)
  target_link_libraries(pipeline_kill PRIVATE sluice::sluice)
  add_test(NAME pipeline_kill COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/pipeline_kill_test.py
                                      $<TARGET_FILE:pipeline_kill>)
  set_tests_properties(pipeline_kill PROPERTIES TIMEOUT 300)
  if(TARGET sluice-rowsum)
    # Sanitizers keep freed memory: there, the limit says nothing.
    string(FIND "${CMAKE_CXX_FLAGS} ${CMAKE_EXE_LINKER_FLAGS}" "-fsanitize" sanitized)
    add_test(NAME rowsum_file
             COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/rowsum_file_test.py $<TARGET_FILE:sluice-rowsum>
                     $<IF:$<EQUAL:${sanitized},-1>,100,0>)
    set_tests_properties(rowsum_file PROPERTIES TIMEOUT 300)
    add_test(NAME rowsum_terminal
             COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/rowsum_terminal_test.py $<TARGET_FILE:sluice-rowsum>)
    set_tests_properties(rowsum_terminal PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
    # A sanitizer's own library must be the first that is loaded.
    if(TARGET sluice_fault AND sanitized EQUAL -1)
      add_test(NAME rowsum_fault COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/rowsum_fault_test.py
                                         $<TARGET_FILE:sluice-rowsum> $<TARGET_FILE:sluice_fault>)
      set_tests_properties(rowsum_fault PROPERTIES TIMEOUT 300)
    else()
      sluice_skip_tests("needs Linux without sanitizers" rowsum_fault)
    endif()
  endif()
else()
  sluice_skip_tests("needs python3" numpy pipeline_kill rowsum_file rowsum_terminal rowsum_fault)
endif()

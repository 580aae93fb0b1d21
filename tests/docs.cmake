# The documents: each code block of README and the guide is compiled, run or read; each public name is in the reference.
set(pages README.md docs/README.md)
file(GLOB guide RELATIVE "${PROJECT_SOURCE_DIR}" CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/guide/*.md")
list(APPEND pages ${guide})

if(TARGET sluice-server AND SLUICE_SQLITE AND SLUICE_TEST_PYTHON AND NOT CMAKE_CROSSCOMPILING)
  list(TRANSFORM pages PREPEND "${PROJECT_SOURCE_DIR}/" OUTPUT_VARIABLE files)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files} docs/blocks.py docs/write_cpp.py)
  execute_process(COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs/write_cpp.py ${PROJECT_SOURCE_DIR}
                          ${CMAKE_CURRENT_BINARY_DIR}/docs_blocks ${pages}
                  OUTPUT_VARIABLE sources OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\n" ";" sources "${sources}")
  add_executable(docs_blocks_test ${sources})
  sluice_target_defaults(docs_blocks_test)
  # What a page shows need not be used; and nothing here has to be fast.
  target_compile_options(docs_blocks_test PRIVATE -O0 -Wno-unused)
  target_link_libraries(docs_blocks_test PRIVATE sluice::httplib sluice::hardened)
  add_test(NAME docs_blocks COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs/run_blocks.py ${PROJECT_SOURCE_DIR}
                                    ${PROJECT_BINARY_DIR} $<TARGET_FILE_DIR:sluice-server> $<TARGET_FILE:docs_blocks_test> ${pages})
  set_tests_properties(docs_blocks PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
  # One environment for both: who comes first makes it.
  set_tests_properties(docs_blocks triton PROPERTIES RESOURCE_LOCK tritonclient)
else()
  sluice_skip_tests("needs python3, sluice-server and SQLite, and no cross compiler" docs_blocks)
endif()

find_package(Doxygen QUIET)
if(DOXYGEN_FOUND AND SLUICE_TEST_PYTHON)
  add_test(NAME docs_reference COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs/reference.py
                                       $<TARGET_FILE:Doxygen::doxygen> "${PROJECT_BINARY_DIR}/docs/Doxyfile" "${PROJECT_BINARY_DIR}/docs/xml")
  set_tests_properties(docs_reference PROPERTIES TIMEOUT 300)
else()
  sluice_skip_tests("needs Doxygen and python3" docs_reference)
endif()

# The examples as their users meet them.
add_test(NAME quickstart COMMAND sluice-quickstart)
set_tests_properties(quickstart PROPERTIES PASS_REGULAR_EXPRESSION "10 +11 +sum 21")
if(TARGET sluice-advise)
  # Without a second device it says so, and measures what there is.
  add_test(NAME advise COMMAND sluice-advise --operation rowsum --sizes 16 64 --price cpu=0.4 --measure)
  set_tests_properties(advise PROPERTIES ENVIRONMENT "XDG_CACHE_HOME=${CMAKE_CURRENT_BINARY_DIR}/cache/advise" PASS_REGULAR_EXPRESSION
                                         "predictions on cpu: median error.*rowsum of f32 runs on the CPU: nothing is known of another device")
endif()
if(SLUICE_TEST_PYTHON)
  add_test(NAME recipes COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/recipes_test.py ${PROJECT_SOURCE_DIR})
else()
  sluice_skip_tests("needs python3" recipes)
endif()
if(TARGET sluice-server AND SLUICE_TEST_PYTHON)
  add_test(NAME server COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/server_test.py $<TARGET_FILE:sluice-server>
                               ${SLUICE_TEST_MODULES}/fake)
  set_tests_properties(server PROPERTIES TIMEOUT 300)
  if("${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize")
    set_tests_properties(server PROPERTIES ENVIRONMENT SLUICE_TEST_SANITIZED=1)
  endif()
  add_test(NAME deploy COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/deploy_test.py $<TARGET_FILE:sluice-server>
                               ${PROJECT_SOURCE_DIR}/examples/server/deploy)
  set_tests_properties(deploy PROPERTIES TIMEOUT 300)
  if(SLUICE_SQLITE)
    # Every route once, as a newcomer would ask: jobs are among them.
    add_test(NAME examples_run COMMAND ${PROJECT_SOURCE_DIR}/examples/run --once)
    set_tests_properties(examples_run PROPERTIES TIMEOUT 300 ENVIRONMENT SLUICE_BIN_DIR=$<TARGET_FILE_DIR:sluice-server>)
    add_test(NAME jobs_kill COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/jobs_kill_test.py $<TARGET_FILE:sluice-server>)
    set_tests_properties(jobs_kill PROPERTIES TIMEOUT 300)
    # Everything in /openapi.json is asked for, by a package from PyPI that goes into the build folder, once.
    add_test(NAME schemathesis COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/openapi_test.py $<TARGET_FILE:sluice-server>
                                       ${CMAKE_BINARY_DIR}/schemathesis)
    # The page is opened in a browser, where there is one: tests/full installs it.
    add_test(NAME docs COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/docs_test.py $<TARGET_FILE:sluice-server>
                               ${CMAKE_BINARY_DIR}/selenium)
    set_tests_properties(schemathesis docs PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
  else()
    sluice_skip_tests("needs jobs, and they SQLite" examples_run jobs_kill schemathesis docs)
  endif()
  # Its client comes from PyPI too.
  add_test(NAME triton COMMAND ${SLUICE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/triton_test.py $<TARGET_FILE:sluice-server>
                               ${CMAKE_BINARY_DIR}/tritonclient)
  set_tests_properties(triton PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
else()
  sluice_skip_tests("needs python3 and sluice-server" server deploy examples_run jobs_kill triton schemathesis docs)
endif()

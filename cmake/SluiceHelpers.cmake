# Build type, warnings, and one function a kind of target.

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo, MinSizeRel" FORCE)
endif()

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
  set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
endif()

include(GNUInstallDirs)
include(SluiceInstall)

# What differs from one system to the next is in files that end so.
set(SLUICE_SYSTEM posix)
set(SLUICE_MODULE_SUFFIX .so)  # as platform::module_suffix() has it, on macOS too
if(WIN32)
  set(SLUICE_SYSTEM windows)
  set(SLUICE_MODULE_SUFFIX .dll)
endif()

# What every target of ours is compiled with.
function(sluice_target_defaults target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
                                             POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wshadow>"
                                           "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${SLUICE_WERROR}>>:-Werror>")
endfunction()

# Version, name and exported symbols of a library. Debug and Release lie side by side by the postfix.
function(sluice_library_properties target)
  set_target_properties(${target} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(NOT DEFINED CMAKE_DEBUG_POSTFIX)
    set_target_properties(${target} PROPERTIES DEBUG_POSTFIX d)
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "SHARED_LIBRARY" AND UNIX AND NOT APPLE)
    set(exports "${PROJECT_SOURCE_DIR}/cmake/library.exports")
    target_link_options(${target} PRIVATE "LINKER:--version-script=${exports}")
    set_target_properties(${target} PROPERTIES LINK_DEPENDS "${exports}")
  endif()
endfunction()

# sluice_add_test(NAME [SOURCES ...] [LIBRARIES ...]): tests/NAME_test.cpp as a doctest program and one CTest entry.
function(sluice_add_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}_test.cpp)
  endif()
  add_executable(${name}_test ${ARG_SOURCES})
  sluice_target_defaults(${name}_test)
  target_link_libraries(${name}_test PRIVATE sluice_test_main ${ARG_LIBRARIES})
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# sluice_add_header_only_test(NAME [SOURCES ...]): NAME_test built of headers alone, as NAME_header_only, where the whole suite is not.
function(sluice_add_header_only_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
  if(SLUICE_TEST_FORM STREQUAL "header_only")
    return()
  endif()
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}_test.cpp)
  endif()
  add_executable(${name}_header_only_test ${ARG_SOURCES})
  sluice_target_defaults(${name}_header_only_test)
  target_link_libraries(${name}_header_only_test PRIVATE sluice_test_main_header_only)
  add_test(NAME ${name}_header_only COMMAND ${name}_header_only_test)
  set_tests_properties(${name}_header_only PROPERTIES TIMEOUT 300)
endfunction()

# sluice_skip_tests(REASON NAME...): CTest lists what this build cannot run, as skipped.
function(sluice_skip_tests reason)
  foreach(name IN LISTS ARGN)
    add_test(NAME ${name} COMMAND sh -c "echo skipped: ${reason}; exit 77")
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
endfunction()

# sluice_compile_headers(TARGET LIBRARY HEADER...): each header compiled alone, and twice, against LIBRARY.
function(sluice_compile_headers target library)
  set(sources "")
  foreach(header IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "${header}" name)
    set(source "${CMAKE_CURRENT_BINARY_DIR}/${target}/${name}.cpp")
    file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"@header@\"\n#include \"@header@\"\n" @ONLY)
    list(APPEND sources "${source}")
  endforeach()
  add_library(${target} OBJECT ${sources})
  sluice_target_defaults(${target})
  target_link_libraries(${target} PRIVATE ${library})
endfunction()

# sluice_add_bench(NAME [LIBRARIES ...]): bench/NAME_bench.cpp.
function(sluice_add_bench name)
  cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
  add_executable(${name}_bench ${name}_bench.cpp)
  sluice_target_defaults(${name}_bench)
  target_link_libraries(${name}_bench PRIVATE sluice::sluice benchmark::benchmark ${ARG_LIBRARIES})
endfunction()

# sluice_add_backend(NAME SOURCES ... [LIBRARIES ...]): libsluice-NAME.so, a module that core loads at run time. It knows
# backend_api.h alone and shows its entry alone. It lies beside the library, and beside the programs for those linked statically.
# It is installed beside the library, as the component sluice_NAME.
function(sluice_add_backend name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  set(target sluice_${name})
  add_library(${target} MODULE ${ARG_SOURCES})
  sluice_target_defaults(${target})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include" "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${ARG_LIBRARIES} Threads::Threads ${CMAKE_DL_LIBS})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME sluice-${name} PREFIX lib SUFFIX ${SLUICE_MODULE_SUFFIX})
  if(UNIX AND NOT APPLE)
    set(exports "${PROJECT_SOURCE_DIR}/cmake/backend.exports")
    target_link_options(${target} PRIVATE "LINKER:--version-script=${exports}")
    set_target_properties(${target} PROPERTIES LINK_DEPENDS "${exports}")
  endif()
  if(CMAKE_RUNTIME_OUTPUT_DIRECTORY)
    add_custom_command(
      TARGET ${target}
      POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
      COMMAND ${CMAKE_COMMAND} -E create_symlink "$<TARGET_FILE:${target}>"
              "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/$<TARGET_FILE_NAME:${target}>"
      VERBATIM)
  endif()
  if(SLUICE_INSTALL)
    install(TARGETS ${target} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT sluice_${name})
  endif()
endfunction()

# An installed tree, which is moved before anything is looked at: its library, headers and modules, that no file names a folder of
# this build, and that a module which lies where modules are put is found there. A shared library finds it by itself; a static one
# is told by SLUICE_BACKEND_PATH. The consumers' tests go on with the tree.
#   cmake -DBUILD= -DCONFIG= -DPREFIX= -DLIBDIR= -DLIBRARY= -DSHARED= -DPROGRAM= -DFAKE= -DCUDA= -DSOURCE= -P install_test.cmake
file(REMOVE_RECURSE "${PREFIX}" "${PREFIX}-at-first")
execute_process(COMMAND ${CMAKE_COMMAND} --install "${BUILD}" --config "${CONFIG}" --prefix "${PREFIX}-at-first"
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${PREFIX}-at-first" "${PREFIX}")
file(GLOB_RECURSE texts "${PREFIX}/*.cmake" "${PREFIX}/*.pc" "${PREFIX}/*.hpp" "${PREFIX}/*.h")
list(LENGTH texts count)
if(count LESS 20)  # the core alone has 27
  message(FATAL_ERROR "${PREFIX} holds ${count} headers and package files")
endif()
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  string(REGEX REPLACE "\nLibs.private:[^\n]*" "" content "${content}")  # where what it is built with lies is the builder's affair
  if(text MATCHES "sluice-header-only\\.pc$")  # so is, for a program that compiles the definitions, where their BLAS lies
    string(REGEX REPLACE "\n(Libs|Cflags):[^\n]*" "" content "${content}")
  endif()
  foreach(place IN ITEMS "${PREFIX}" "${BUILD}" "${SOURCE}")
    string(FIND "${content}" "${place}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${text} names ${place}")
    endif()
  endforeach()
  if(text MATCHES "\\.cmake$" AND content MATCHES "[\";](/(usr|lib|opt|home|root|tmp)/[^\";]*)")
    message(FATAL_ERROR "${text} names ${CMAKE_MATCH_1}")
  endif()
endforeach()
set(lib "${PREFIX}/${LIBDIR}")
foreach(file "${lib}/${LIBRARY}" "${PREFIX}/include/sluice/sluice.hpp" "${PREFIX}/include/sluice/ops/matmul.hpp"
             "${PREFIX}/include/sluice/backend_api.h" "${PREFIX}/include/sluice/impl/core/tensor.hpp"
             "${PREFIX}/include/sluice/impl/cpu/backend.hpp" "${lib}/cmake/sluice/sluice-header-only-targets.cmake")
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "${file} was not installed")
  endif()
endforeach()
file(COPY "${FAKE}" DESTINATION "${lib}")
if(SHARED)
  set(environment "LD_PRELOAD=${lib}/${LIBRARY}" --unset=SLUICE_BACKEND_PATH)
else()
  set(environment "SLUICE_BACKEND_PATH=${lib}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -E env ${environment} "${PROGRAM}" OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)
if(NOT found MATCHES "device fake:1\n")
  message(FATAL_ERROR "the module in ${lib} was not found:\n${found}")
endif()
if(CUDA AND NOT found MATCHES "device cuda:0\n|refused ${lib}/libsluice-cuda.so: ")
  message(FATAL_ERROR "libsluice-cuda.so was not installed where it is looked for:\n${found}")
endif()

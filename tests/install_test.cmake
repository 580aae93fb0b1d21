# An installed tree: its library, headers and modules, and that a module which lies where they are put is found there. A shared
# library finds it by itself; a static one is told by SLUICE_BACKEND_PATH.
#   cmake -DBUILD= -DCONFIG= -DPREFIX= -DLIBDIR= -DLIBRARY= -DSHARED= -DPROGRAM= -DFAKE= -DCUDA= -P install_test.cmake
file(REMOVE_RECURSE "${PREFIX}")
execute_process(COMMAND ${CMAKE_COMMAND} --install "${BUILD}" --config "${CONFIG}" --prefix "${PREFIX}"
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
set(lib "${PREFIX}/${LIBDIR}")
foreach(file "${lib}/${LIBRARY}" "${PREFIX}/include/sluice/sluice.hpp" "${PREFIX}/include/sluice/ops/matmul.hpp"
             "${PREFIX}/include/sluice/backend_api.h")
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
file(REMOVE_RECURSE "${PREFIX}")

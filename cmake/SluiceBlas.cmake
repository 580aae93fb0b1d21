# sluice_blas: the one BLAS behind the CPU's matmul, which sluice calls on one thread at a time and spreads over its own pool.
# SLUICE_BLAS names it, or `auto` takes the first found of BLIS, OpenBLAS, MKL, Accelerate. Where a BLAS comes in several
# builds side by side, as on Debian, one is taken by its full path; another met at run time works as well.

include(CheckCXXSymbolExists)

add_library(sluice_blas INTERFACE)
set(SLUICE_BLAS_FOUND "")

function(sluice_use_blas name include library)
  target_include_directories(sluice_blas SYSTEM INTERFACE ${include})
  target_link_libraries(sluice_blas INTERFACE ${library})
  string(TOUPPER ${name} upper)
  target_compile_definitions(sluice_blas INTERFACE SLUICE_BLAS_${upper})
  set(SLUICE_BLAS_FOUND ${name} PARENT_SCOPE)
  message(STATUS "sluice: matmul on ${name}, ${library}")
endfunction()

# Looks for HEADER and LIBRARY in `places`, and takes them when both are there.
macro(sluice_find_blas name header library)
  string(TOUPPER ${name} upper)
  find_path(SLUICE_${upper}_INCLUDE ${header} PATHS $ENV{MKLROOT} PATH_SUFFIXES ${places})
  find_library(SLUICE_${upper}_LIBRARY ${library} PATHS $ENV{MKLROOT} PATH_SUFFIXES ${places})
  mark_as_advanced(SLUICE_${upper}_INCLUDE SLUICE_${upper}_LIBRARY)
  if(SLUICE_${upper}_INCLUDE AND SLUICE_${upper}_LIBRARY)
    sluice_use_blas(${name} ${SLUICE_${upper}_INCLUDE} ${SLUICE_${upper}_LIBRARY})
    # How the installed package finds it again, for what links the static library or is header-only.
    set(SLUICE_BLAS_LIBRARY "${SLUICE_${upper}_LIBRARY}")
    set(SLUICE_BLAS_INCLUDE "${SLUICE_${upper}_INCLUDE}")
    set(SLUICE_BLAS_HEADER ${header})
    set(SLUICE_BLAS_NAME ${library})
    set(SLUICE_BLAS_PLACES ${places})
  endif()
endmacro()

# Any threading variant does: each call asks for one thread.
macro(sluice_find_blis)
  set(places blis-serial ${CMAKE_LIBRARY_ARCHITECTURE}/blis-serial blis)
  sluice_find_blas(blis blis.h blis)
endmacro()

# Not the build without threads: it is not safe to call from two threads at once unless built with USE_LOCKING=1.
macro(sluice_find_openblas)
  set(places openblas-pthread ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread openblas)
  sluice_find_blas(openblas openblas_config.h openblas)
  if(SLUICE_BLAS_FOUND)
    set(CMAKE_REQUIRED_INCLUDES ${SLUICE_OPENBLAS_INCLUDE})
    set(CMAKE_REQUIRED_LIBRARIES ${SLUICE_OPENBLAS_LIBRARY})
    check_cxx_symbol_exists(openblas_set_num_threads_local cblas.h SLUICE_OPENBLAS_HAS_LOCAL)
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LIBRARIES)
    if(SLUICE_OPENBLAS_HAS_LOCAL)
      target_compile_definitions(sluice_blas INTERFACE SLUICE_BLAS_OPENBLAS_LOCAL)
    else()
      message(WARNING "sluice: this OpenBLAS can not be kept to one thread a call, which needs 0.3.27: its threads will compete "
                      "with sluice's. Products stay right, but large and concurrent ones lose speed unless the application "
                      "runs with OPENBLAS_NUM_THREADS=1. BLIS has no such limit.")
    endif()
  endif()
endmacro()

macro(sluice_find_mkl)
  set(places include mkl lib lib/intel64)
  sluice_find_blas(mkl mkl.h mkl_rt)
endmacro()

macro(sluice_find_accelerate)
  set(places "")
  sluice_find_blas(accelerate Accelerate/Accelerate.h Accelerate)
endmacro()

if(SLUICE_BLAS STREQUAL "auto" OR NOT SLUICE_BLAS)
  set(wanted blis openblas mkl accelerate)
else()
  set(wanted ${SLUICE_BLAS})
endif()
foreach(name IN LISTS wanted)
  if(NOT SLUICE_BLAS_FOUND)
    cmake_language(CALL sluice_find_${name})
  endif()
endforeach()
if(NOT SLUICE_BLAS_FOUND)
  message(FATAL_ERROR "sluice: no BLAS found (looked for: ${wanted}). On Debian: apt-get install libblis-serial-dev. Set "
                      "SLUICE_BLAS to one of blis, openblas, mkl, accelerate.")
endif()

# sluice_blas: the CBLAS behind the CPU's matmul. SLUICE_BLAS names it, or `auto` takes the first found of BLIS, OpenBLAS, MKL,
# Accelerate.
find_path(SLUICE_BLIS_INCLUDE blis.h PATH_SUFFIXES blis-serial x86_64-linux-gnu/blis-serial blis REQUIRED)
find_library(SLUICE_BLIS_LIBRARY blis PATH_SUFFIXES blis-serial x86_64-linux-gnu/blis-serial REQUIRED)
add_library(sluice_blas INTERFACE)
target_include_directories(sluice_blas SYSTEM INTERFACE ${SLUICE_BLIS_INCLUDE})
target_link_libraries(sluice_blas INTERFACE ${SLUICE_BLIS_LIBRARY})

# The CUDA backend beside cuBLAS and CUB called directly. Part of no default build: it takes a minute to compile.
if(NOT TARGET sluice_cuda)
  return()
endif()
get_target_property(CMAKE_CUDA_ARCHITECTURES sluice_cuda CUDA_ARCHITECTURES)
enable_language(CUDA)
find_package(CUDAToolkit 12 REQUIRED)
add_executable(cuda_bench EXCLUDE_FROM_ALL cuda_bench.cu cuda_bench_copies.cu cuda_bench_matmul.cu cuda_bench_rowsum.cu)
target_compile_options(cuda_bench PRIVATE -std=c++20)
target_link_libraries(cuda_bench PRIVATE sluice::sluice CUDA::cublas CUDA::cudart_static)
add_dependencies(cuda_bench sluice_cuda)
# What src/cuda's choices of kernels are read from.
add_executable(cuda_products EXCLUDE_FROM_ALL cuda_products.cpp ../src/cuda/matmul_chain.cu
               ../src/cuda/matmul_bits.cu)
target_compile_options(cuda_products PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>")
target_include_directories(cuda_products PRIVATE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src/cuda")
target_link_libraries(cuda_products PRIVATE CUDA::cublas CUDA::cublasLt CUDA::cudart_static)
# Beside NPP's, if its headers are in the toolkit.
add_executable(cuda_canny EXCLUDE_FROM_ALL cuda_canny.cpp)
target_compile_options(cuda_canny PRIVATE -std=c++20)
target_link_libraries(cuda_canny PRIVATE sluice::sluice CUDA::cudart_static ${CMAKE_DL_LIBS})
add_dependencies(cuda_canny sluice_cuda)
# Models beside PyTorch's: bench/peers/model_torch.py.
if(TARGET sluice::model)
  add_executable(cuda_model EXCLUDE_FROM_ALL cuda_model.cpp)
  sluice_target_defaults(cuda_model)
  target_link_libraries(cuda_model PRIVATE sluice::model Threads::Threads ${CMAKE_DL_LIBS})
  add_dependencies(cuda_model sluice_cuda)
endif()

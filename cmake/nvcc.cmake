# CUDA as a language of the folder that includes this, where there is an nvcc: for kernels, and for nothing else. Sets barelink_nvcc.
find_package(CUDAToolkit QUIET) # for its variables
set(barelink_nvcc OFF)
if(CUDAToolkit_NVCC_EXECUTABLE AND NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90) # code for A100 and H100, and PTX for what comes after
endif()
include(CheckLanguage)
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
  enable_language(CUDA)
  set(barelink_nvcc ON)
endif()

# A library of objects from .cu files. It links no runtime library: who links the objects does.
function(barelink_add_kernels target)
  add_library(${target} OBJECT ${ARGN})
  target_link_libraries(${target} PRIVATE barelink::barelink)
  set_target_properties(${target} PROPERTIES CUDA_RUNTIME_LIBRARY None
    POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE -std=c++20) # not by CUDA_STANDARD: CMake 3.25 lets only some nvcc have that
  if(BARELINK_WERROR)
    target_compile_options(${target} PRIVATE "SHELL:-Werror all-warnings")
  endif()
endfunction()

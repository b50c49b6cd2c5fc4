# The targets beside barelink::barelink: one dependency each, made when the dependency is found. Used in the build tree and,
# installed, by find_package(barelink), so that a consumer without hwloc or fmt still gets the rest.
function(barelink_component name package)
  find_package(${package} QUIET GLOBAL)
  if(${package}_FOUND AND NOT TARGET barelink::${name})
    add_library(barelink_${name} INTERFACE)
    add_library(barelink::${name} ALIAS barelink_${name})
    target_link_libraries(barelink_${name} INTERFACE barelink::barelink ${ARGN})
  endif()
endfunction()

# The CUDA runtime to link: shared, or static for programs that travel alone.
option(BARELINK_STATIC_CUDART "Link the static CUDA runtime library" OFF)
set(barelink_cudart CUDA::cudart)
if(BARELINK_STATIC_CUDART)
  set(barelink_cudart CUDA::cudart_static)
endif()

barelink_component(hwloc Hwloc Hwloc::Hwloc)   # <barelink/machine/hwloc.hpp>: live machines, hwloc XML
barelink_component(nccl pugixml pugixml::pugixml) # <barelink/machine/nccl.hpp>: NCCL topology files
barelink_component(cuda CUDAToolkit ${barelink_cudart}) # <barelink/move/cuda.hpp>, <barelink/memcpy.hpp>: copies on GPUs
barelink_component(report fmt fmt::fmt)        # <barelink/report.hpp>: text and pictures
barelink_component(safetensors nlohmann_json nlohmann_json::nlohmann_json) # <barelink/safetensors.hpp>: files of weights
barelink_component(uring Liburing Liburing::Liburing) # <barelink/move/file.hpp> reads with io_uring
if(TARGET barelink_uring)
  target_compile_definitions(barelink_uring INTERFACE BARELINK_LIBURING=1)
endif()

if(NOT TARGET barelink::all)
  add_library(barelink_all INTERFACE)
  add_library(barelink::all ALIAS barelink_all)
  target_link_libraries(barelink_all INTERFACE barelink::barelink)
  foreach(component IN ITEMS hwloc nccl cuda report safetensors uring)
    if(TARGET barelink::${component})
      target_link_libraries(barelink_all INTERFACE barelink::${component})
    endif()
  endforeach()
endif()

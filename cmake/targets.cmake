# barelink::barelink needs nothing but a C++20 compiler.
add_library(barelink INTERFACE)
add_library(barelink::barelink ALIAS barelink)
target_compile_features(barelink INTERFACE cxx_std_20)
file(GLOB_RECURSE barelink_headers CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_SOURCE_DIR}/include/barelink/*.hpp" "${CMAKE_CURRENT_SOURCE_DIR}/include/barelink/*.cuh")
target_sources(barelink INTERFACE FILE_SET HEADERS BASE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/include" FILES ${barelink_headers})
include("${CMAKE_CURRENT_LIST_DIR}/components.cmake")

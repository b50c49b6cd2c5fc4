# Warnings for our own programs only; nothing of this reaches a consumer.
add_library(barelink_warnings INTERFACE)
target_compile_options(barelink_warnings INTERFACE -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow)
option(BARELINK_WERROR "Treat warnings in our own programs as errors" OFF)
if(BARELINK_WERROR)
  target_compile_options(barelink_warnings INTERFACE -Werror)
endif()

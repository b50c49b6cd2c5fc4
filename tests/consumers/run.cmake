# Configures, builds and runs one consumer project in an empty folder: cmake -D HOW=... -D SOURCE=... -D WORK=... -P run.cmake
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(failed)
    message(FATAL_ERROR "${ARGN}\n${out}")
  endif()
endfunction()

set(arguments "-DBARELINK_SOURCE=${SOURCE}" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_COMPILER=${COMPILER}")
if(HOW STREQUAL "find_package")
  run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/barelink" -G Ninja "-DCMAKE_INSTALL_PREFIX=${WORK}/installed" "-DCMAKE_CXX_COMPILER=${COMPILER}"
      -DBARELINK_BUILD_TESTS=OFF -DBARELINK_BUILD_EXAMPLES=OFF -DBARELINK_BUILD_BENCH=OFF)
  run("${CMAKE_COMMAND}" --install "${WORK}/barelink")
  list(APPEND arguments "-DCMAKE_PREFIX_PATH=${WORK}/installed")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}/tests/consumers/find_package" -B "${WORK}/wrong" -G Ninja
                          ${arguments} -DBARELINK_WANTED=99.0
                  RESULT_VARIABLE refused OUTPUT_QUIET ERROR_QUIET)
  if(NOT refused)
    message(FATAL_ERROR "find_package(barelink 99.0) was satisfied by ${VERSION}")
  endif()
  list(APPEND arguments "-DBARELINK_WANTED=${VERSION}")
endif()
run("${CMAKE_COMMAND}" -S "${SOURCE}/tests/consumers/${HOW}" -B "${WORK}/build" -G Ninja ${arguments})
run("${CMAKE_COMMAND}" --build "${WORK}/build" --target app)
run("${WORK}/build/app")

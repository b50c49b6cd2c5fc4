# Calls of the tool and what is expected of them. Included by the scripts that set TOOL and FOLDER.
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
set(ENV{NO_COLOR} "")
set(ENV{XDG_CACHE_HOME} "${FOLDER}/cache") # never the user's: a calibration there would change what is expected here

# run(STATUS arguments...): sets `out` and `err`; another exit status fails the test.
function(run wanted)
  execute_process(COMMAND "${TOOL}" ${ARGN} WORKING_DIRECTORY "${FOLDER}" RESULT_VARIABLE status OUTPUT_VARIABLE out
                  ERROR_VARIABLE err)
  set(called "barelink ${ARGN}")
  if(NOT status STREQUAL wanted)
    message(SEND_ERROR "${called}: exit status ${status}, wanted ${wanted}\n${out}${err}")
  endif()
  set(out "${out}" PARENT_SCOPE)
  set(err "${err}" PARENT_SCOPE)
  set(called "${called}" PARENT_SCOPE)
endfunction()

macro(contains text part)
  string(FIND "${${text}}" "${part}" found)
  if(found LESS 0)
    message(SEND_ERROR "${called}: no '${part}' in:\n${${text}}")
  endif()
endmacro()

macro(same value wanted)
  if(NOT "${value}" STREQUAL "${wanted}")
    message(SEND_ERROR "${called}: '${value}', wanted '${wanted}'")
  endif()
endmacro()

# fails(STATUS "part of the message" arguments...): one line on stderr that begins with `barelink: `, nothing on stdout.
function(fails wanted part)
  run(${wanted} ${ARGN})
  if(NOT out STREQUAL "")
    message(SEND_ERROR "${called}: printed on stdout:\n${out}")
  endif()
  if(NOT err MATCHES "^barelink: [^\n]+\n$")
    message(SEND_ERROR "${called}: not one line on stderr:\n${err}")
  endif()
  contains(err "${part}")
  set(err "${err}" PARENT_SCOPE)
  set(called "${called}" PARENT_SCOPE)
endfunction()

# keys(JSON "a,b,c" path...): the object at the path has these keys.
function(keys json wanted)
  string(REPLACE "," ";" wanted "${wanted}")
  foreach(key IN LISTS wanted)
    string(JSON type ERROR_VARIABLE problem TYPE "${json}" ${ARGN} ${key})
    if(problem)
      message(SEND_ERROR "${called}: '${ARGN}' has no key '${key}': ${problem}")
    endif()
  endforeach()
endfunction()

function(value json wanted)
  string(JSON found ERROR_VARIABLE problem GET "${json}" ${ARGN})
  if(NOT found STREQUAL wanted)
    message(SEND_ERROR "${called}: ${ARGN} is '${found}', wanted '${wanted}' ${problem}")
  endif()
endfunction()

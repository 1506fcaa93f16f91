# Builds examples/embed in an empty FOLDER against the Duet in PREFIX, and runs it on WEIGHTS: from a buffer on two
# threads and, where OpenCV was found, from a matrix, which must find the same pixels but for those on the threshold.
file(REMOVE_RECURSE "${FOLDER}")
execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE}" -B "${FOLDER}" -DCMAKE_BUILD_TYPE=Release
  "-DCMAKE_PREFIX_PATH=${PREFIX}" -DCMAKE_CXX_COMPILER=${COMPILER} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build "${FOLDER}" COMMAND_ERROR_IS_FATAL ANY)
# count(PROGRAM VARIABLE): how many pixels it finds.
function(count program variable)
  execute_process(COMMAND "${FOLDER}/${program}" "${WEIGHTS}" OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
  message("${program}: ${said}")
  if(NOT said MATCHES "^([1-9][0-9]*) pixels of class 1(\n|, on both threads: yes\n)$")
    message(FATAL_ERROR "${program} finds nothing, or not the same twice")
  endif()
  set(${variable} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()
count(embed buffer)
if(EXISTS "${FOLDER}/embed_opencv")
  count(embed_opencv matrix)
  math(EXPR apart "${buffer} - ${matrix}")
  if(apart GREATER 5 OR apart LESS -5)
    message(FATAL_ERROR "the buffer has ${buffer} pixels of class 1, the matrix ${matrix}")
  endif()
endif()
# Weights of another kind are refused, and a file that is none.
execute_process(COMMAND "${FOLDER}/embed" "${SOURCE}/main.cpp" RESULT_VARIABLE result ERROR_VARIABLE said)
if(result EQUAL 0 OR NOT said MATCHES "embed: .*main.cpp")
  message(FATAL_ERROR "embed takes a source file for weights: ${result} ${said}")
endif()

# Follows "Use it in your project" of README: its first C++ block and its CMakeLists.txt in an empty FOLDER, configured
# against the Duet in PREFIX, built, run.
file(READ "${README}" text)
foreach(language cpp cmake)
  if(NOT text MATCHES "```${language}\n([^`]*)```")
    message(FATAL_ERROR "${README} has no block of ${language}")
  endif()
  set(${language} "${CMAKE_MATCH_1}")
endforeach()
file(REMOVE_RECURSE "${FOLDER}")
file(WRITE "${FOLDER}/main.cpp" "${cpp}")
file(WRITE "${FOLDER}/CMakeLists.txt" "${cmake}")
execute_process(COMMAND ${CMAKE_COMMAND} -S "${FOLDER}" -B "${FOLDER}/build" -DCMAKE_BUILD_TYPE=Release
  "-DCMAKE_PREFIX_PATH=${PREFIX}" -DCMAKE_CXX_COMPILER=${COMPILER} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build "${FOLDER}/build" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${FOLDER}/build/first" WORKING_DIRECTORY "${FOLDER}" COMMAND_ERROR_IS_FATAL ANY)

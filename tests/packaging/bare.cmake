# Builds and installs a Duet without any optional library, runs the tests of data in it, and a consumer of it.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
set(without "")
foreach(package PNG TIFF ONNX MPI)
  list(APPEND without -DCMAKE_DISABLE_FIND_PACKAGE_${package}=ON)
endforeach()
file(REMOVE_RECURSE "${FOLDER}/prefix" "${FOLDER}/consumer")
execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE}" -B "${FOLDER}/build" -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
  ${without} -DDUET_BUILD_TESTS=ON -DDUET_BUILD_EXAMPLES=OFF -DDUET_BUILD_BENCH=OFF OUTPUT_VARIABLE told
  COMMAND_ERROR_IS_FATAL ANY)
message("${told}")
foreach(package libpng-dev libtiff-dev libonnx-dev)
  if(NOT told MATCHES "${package}")
    message(FATAL_ERROR "CMake does not say that ${package} is missing")
  endif()
endforeach()
run(${CMAKE_COMMAND} --build "${FOLDER}/build" --target duet duet_test_data)
run("${FOLDER}/build/tests/duet_test_data")
run(${CMAKE_COMMAND} --install "${FOLDER}/build" --prefix "${FOLDER}/prefix")
run(${CMAKE_COMMAND} -S "${SOURCE}/tests/packaging/bare" -B "${FOLDER}/consumer" -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_PREFIX_PATH=${FOLDER}/prefix")
run(${CMAKE_COMMAND} --build "${FOLDER}/consumer")
run("${FOLDER}/consumer/consumer")
# A component that is asked for by name and cannot be had ends the configuration.
execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE}" -B "${FOLDER}/insisting" -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
  ${without} -DDUET_ONNX=ON -DDUET_BUILD_TESTS=OFF -DDUET_BUILD_EXAMPLES=OFF -DDUET_BUILD_BENCH=OFF
  RESULT_VARIABLE result ERROR_VARIABLE message OUTPUT_QUIET)
if(result EQUAL 0 OR NOT message MATCHES "apt-get install[ \n]+libonnx-dev")  # CMake breaks lines
  message(FATAL_ERROR "DUET_ONNX=ON without libonnx: ${result} ${message}")
endif()

# Builds and installs a static Duet, and a consumer that knows nothing but its prefix.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
file(REMOVE_RECURSE "${FOLDER}/prefix" "${FOLDER}/consumer")
run(${CMAKE_COMMAND} -S "${SOURCE}" -B "${FOLDER}/build" -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
  -DBUILD_SHARED_LIBS=OFF -DDUET_BUILD_TESTS=OFF -DDUET_BUILD_EXAMPLES=OFF -DDUET_BUILD_BENCH=OFF)
run(${CMAKE_COMMAND} --build "${FOLDER}/build")
run(${CMAKE_COMMAND} --install "${FOLDER}/build" --prefix "${FOLDER}/prefix")
run(${CMAKE_COMMAND} -S "${SOURCE}/tests/packaging/consumer" -B "${FOLDER}/consumer" -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_PREFIX_PATH=${FOLDER}/prefix")
run(${CMAKE_COMMAND} --build "${FOLDER}/consumer")
run("${FOLDER}/consumer/consumer")

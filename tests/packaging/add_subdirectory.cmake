# A project that has Duet as a folder, with the settings of Duet's own build: configured, built and run. What the project's
# Duet is compiled with has to be what it is compiled with alone, word by word: then the objects of BUILD are the ones,
# and nothing but the project's own file is compiled (reuse.sh). Then the same as FetchContent brings it, static and
# without a build type, configured only; the long packaging/static_folder builds that.
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
set(log "${FOLDER}/compiled.txt")
execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE}" -B "${FOLDER}/shared" -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
  "-DCMAKE_CXX_COMPILER_LAUNCHER=${BASH};${CMAKE_CURRENT_LIST_DIR}/reuse.sh;${BUILD};${log}" -DCMAKE_BUILD_TYPE=${BUILD_TYPE}
  "-DCMAKE_CXX_FLAGS=${FLAGS}" -DBUILD_SHARED_LIBS=${SHARED} -DDUET_WERROR=${WERROR} -DDUET_FOLDER=${DUET}
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build "${FOLDER}/shared" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${FOLDER}/shared/consumer" COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS "${log}" compiled)
if(NOT compiled STREQUAL "${SOURCE}/main.cpp")
  message(FATAL_ERROR "inside another project these files are compiled in another way than alone: ${compiled}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE}" -B "${FOLDER}/static" -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
  -DDUET_FOLDER=${DUET} -DDUET_FETCH=ON COMMAND_ERROR_IS_FATAL ANY)

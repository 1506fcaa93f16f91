# Runs PROGRAM and compares what it prints with the file PAGE. Without that file it is an error, unless NO_PAGE is set:
# then the program only has to succeed.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE printed RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result}:\n${printed}")
endif()
if(NO_PAGE AND NOT EXISTS "${PAGE}")
  return()
endif()
file(READ "${PAGE}" expected)
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "${PAGE} does not say what ${PROGRAM} prints now:\n${printed}")
endif()

# duet_add_op_sweep(TARGET [PREFIX prefix] [TIMEOUT seconds] [ENVIRONMENT name=value…])
#
# TARGET is an executable whose main calls duet::sweep_main on a list of ops. After each build it is asked for
# their names (--list), and every op becomes a ctest of its own, PREFIX followed by the op's name: a new op needs
# no edit of a CMakeLists.txt.
function(duet_add_op_sweep target)
  cmake_parse_arguments(PARSE_ARGV 1 sweep "" "PREFIX;TIMEOUT" "ENVIRONMENT")
  if(sweep_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "duet_add_op_sweep: unknown arguments ${sweep_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT DEFINED sweep_PREFIX)
    set(sweep_PREFIX "${target}/")
  endif()
  if(NOT DEFINED sweep_TIMEOUT)
    set(sweep_TIMEOUT 600)
  endif()
  set(tests "${CMAKE_CURRENT_BINARY_DIR}/${target}_ops.cmake")
  set(include "${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake")
  add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS "${tests}"
    COMMAND "${CMAKE_COMMAND}" -D "DUET_SWEEP_PROGRAM=$<TARGET_FILE:${target}>" -D "DUET_SWEEP_PREFIX=${sweep_PREFIX}"
      -D "DUET_SWEEP_TIMEOUT=${sweep_TIMEOUT}" -D "DUET_SWEEP_ENVIRONMENT=${sweep_ENVIRONMENT}"
      -D "DUET_SWEEP_FILE=${tests}" -P "${DUET_OP_SWEEP_SCRIPT}"
    VERBATIM)
  # ctest reads the names when it runs; before the first build there is one test that says so.
  file(WRITE "${include}"
    "if(EXISTS \"${tests}\")\n  include(\"${tests}\")\nelse()\n  add_test(${target}_NOT_BUILT ${target}_NOT_BUILT)\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include}")
endfunction()
set(DUET_OP_SWEEP_SCRIPT "${CMAKE_CURRENT_LIST_FILE}" CACHE INTERNAL "What writes the list of ctests after a build")

# Run as a script after a build: write the ctests.
if(CMAKE_SCRIPT_MODE_FILE AND DUET_SWEEP_PROGRAM)
  execute_process(COMMAND "${DUET_SWEEP_PROGRAM}" --list OUTPUT_VARIABLE names RESULT_VARIABLE result
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${DUET_SWEEP_PROGRAM} --list failed: ${result}")
  endif()
  string(REPLACE "\n" ";" names "${names}")
  set(text "")
  foreach(name IN LISTS names)
    string(APPEND text "add_test([==[${DUET_SWEEP_PREFIX}${name}]==] [==[${DUET_SWEEP_PROGRAM}]==] [==[${name}]==])\n"
      "set_tests_properties([==[${DUET_SWEEP_PREFIX}${name}]==] PROPERTIES TIMEOUT ${DUET_SWEEP_TIMEOUT}"
      " ENVIRONMENT [==[${DUET_SWEEP_ENVIRONMENT}]==])\n")
  endforeach()
  file(WRITE "${DUET_SWEEP_FILE}" "${text}")
endif()

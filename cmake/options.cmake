# What can be switched, and the language level. Nothing here leaks into a project that adds Duet as a subfolder:
# there the parent's BUILD_SHARED_LIBS and build type hold.
option(DUET_BUILD_TESTS "Build Duet's tests" ${PROJECT_IS_TOP_LEVEL})
option(DUET_BUILD_EXAMPLES "Build Duet's example programs" ${PROJECT_IS_TOP_LEVEL})
option(DUET_BUILD_BENCH "Build Duet's benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(DUET_INSTALL "Generate the install rules" ${PROJECT_IS_TOP_LEVEL})
option(DUET_FUZZ "Build the fuzz targets of tests/fuzz (clang; scripts/fuzz does)" OFF)
option(DUET_COVERAGE "Count which lines of the library run (gcc; scripts/coverage does)" OFF)
option(DUET_WERROR "Treat Duet's own warnings as errors" OFF)
set(DUET_SANITIZE "" CACHE STRING "Sanitizers to build with, for example address,undefined or thread")

if(PROJECT_IS_TOP_LEVEL)
  option(BUILD_SHARED_LIBS "Build Duet as a shared library" ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  find_program(DUET_CCACHE ccache)
  if(DUET_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${DUET_CCACHE})
  endif()
endif()

# Compile flags of Duet's own targets.
add_library(duet_flags INTERFACE)
target_compile_features(duet_flags INTERFACE cxx_std_20)
target_compile_options(duet_flags INTERFACE -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow
  $<$<BOOL:${DUET_WERROR}>:-Werror>)
if(DUET_SANITIZE)
  target_compile_options(duet_flags INTERFACE -fsanitize=${DUET_SANITIZE} -fno-omit-frame-pointer -g1)
  # Of every program, those too that are compiled as a user's are: the sanitizer has to be loaded before Duet.
  add_link_options(-fsanitize=${DUET_SANITIZE})
endif()

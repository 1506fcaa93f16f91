# The files of ops/kernels/arch, each compiled once for every instruction set; one table of function pointers
# per set is chosen at start. Always optimised, never with LTO or unity builds (see ops/kernels/arch/prelude.hpp).
file(GLOB duet_arch_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/ops/kernels/arch/*.cpp)
set(duet_arch_optimised -O3)
if(DUET_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # With every access checked, more than inlining costs minutes of compiling and gains little.
  set(duet_arch_optimised -O1 -finline-functions -finline-small-functions)
endif()

function(duet_add_arch name)
  if(NOT duet_arch_sources)
    return()
  endif()
  add_library(duet_arch_${name} OBJECT ${duet_arch_sources})
  target_link_libraries(duet_arch_${name} PRIVATE duet_flags)
  target_include_directories(duet_arch_${name} PRIVATE ${PROJECT_BINARY_DIR}/include)
  target_include_directories(duet_arch_${name} SYSTEM PRIVATE ${DUET_XSIMD_INCLUDE})
  string(TOUPPER ${name} upper)
  target_compile_definitions(duet_arch_${name} PRIVATE DUET_ARCH_${upper})
  # -Wno-psabi: gcc remarks on the ABI of vectors passed to inlined functions. -Wno-maybe-uninitialized: gcc 12 finds
  # that of its own avx512 intrinsics.
  target_compile_options(duet_arch_${name} PRIVATE ${duet_arch_optimised}
    $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi;-Wno-maybe-uninitialized;-Wno-uninitialized> ${ARGN})
  set_target_properties(duet_arch_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
    INTERPROCEDURAL_OPTIMIZATION OFF UNITY_BUILD OFF)
  target_sources(duet PRIVATE $<TARGET_OBJECTS:duet_arch_${name}>)
endfunction()

if(NOT duet_arch_sources)
  return()
endif()
duet_add_arch(baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  duet_add_arch(avx2 -mavx2 -mfma)
  duet_add_arch(avx512 -mavx512f -mavx512cd -mavx512dq -mavx512bw -mfma -mprefer-vector-width=512)
endif()

# The library duet::duet: every .cpp in core, ops, autograd and nn. A new file needs no edit here.
file(GLOB duet_sources CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/core/*.cpp ${PROJECT_SOURCE_DIR}/ops/*.cpp ${PROJECT_SOURCE_DIR}/ops/kernels/*.cpp
  ${PROJECT_SOURCE_DIR}/autograd/*.cpp ${PROJECT_SOURCE_DIR}/nn/*.cpp ${PROJECT_SOURCE_DIR}/nn/*/*.cpp)
set(duet_unused png_absent)
if(NOT DUET_WITH_PNG)
  set(duet_unused png)
endif()
list(REMOVE_ITEM duet_sources ${PROJECT_SOURCE_DIR}/nn/data/${duet_unused}.cpp)
add_library(duet ${duet_sources})
add_library(duet::duet ALIAS duet)

# <duet/core/tensor.hpp> resolves without an install: include/duet is the source tree.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include)
file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include/duet SYMBOLIC)
target_include_directories(duet PUBLIC $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include> $<INSTALL_INTERFACE:include>)
target_compile_features(duet PUBLIC cxx_std_20)
target_link_libraries(duet PRIVATE $<BUILD_INTERFACE:duet_flags> $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>
  ZLIB::ZLIB Threads::Threads)
# libduet.so has fmt inside where it is the version that core/fmt_inside.cpp was written for.
if(BUILD_SHARED_LIBS AND fmt_VERSION VERSION_GREATER_EQUAL 9 AND fmt_VERSION VERSION_LESS 10)
  target_include_directories(duet SYSTEM PRIVATE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_definitions(duet PRIVATE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_COMPILE_DEFINITIONS>)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/core/fmt_inside.cpp PROPERTIES COMPILE_DEFINITIONS DUET_FMT_INSIDE)
else()
  target_link_libraries(duet PRIVATE fmt::fmt)
endif()
if(DUET_WITH_PNG)
  target_link_libraries(duet PRIVATE PNG::PNG)
endif()
if(DUET_WITH_TIFF)
  target_link_libraries(duet PRIVATE TIFF::TIFF)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/nn/data/tiff.cpp ${PROJECT_SOURCE_DIR}/nn/data/tiff_write.cpp
    PROPERTIES COMPILE_DEFINITIONS DUET_HAS_TIFF)
endif()
if(DUET_COVERAGE)
  target_compile_options(duet PRIVATE --coverage -fprofile-update=atomic -O1)
  target_link_options(duet PRIVATE --coverage)
endif()
set_target_properties(duet PROPERTIES POSITION_INDEPENDENT_CODE ON VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

# The allocator tells AddressSanitizer where blocks end, and alone may look beyond (core/poison.hpp).
if(DUET_SANITIZE MATCHES "address")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/core/allocator.cpp ${PROJECT_SOURCE_DIR}/core/arena.cpp
    PROPERTIES COMPILE_OPTIONS -fno-sanitize=address COMPILE_DEFINITIONS DUET_ASAN)
endif()

# duet_hide_symbols(TARGET): a shared library shows what belongs to namespace duet and nothing of the libraries inside
# it, which the host program may use in other versions. Sanitizers bring symbols of their own.
function(duet_hide_symbols target)
  if(BUILD_SHARED_LIBS AND NOT DUET_SANITIZE AND NOT DUET_COVERAGE AND NOT APPLE AND NOT WIN32)
    target_link_options(${target} PRIVATE "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map")
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
  endif()
endfunction()
duet_hide_symbols(duet)

# The libraries that Duet is made with. None of them shows in a public header but in core/format.hpp (fmt) and
# core/xtensor.hpp (xtensor), which a user includes knowingly.

# duet_find(PACKAGE TARGET DEBIAN_PACKAGE): finds a package, or ends with the Debian package to install. A parent
# project that has the target already keeps its own. Inside a parent the target is made visible everywhere, because
# whatever links a static Duet links it too.
macro(duet_find package target debian_package)
  if(NOT TARGET ${target})
    find_package(${package} QUIET)
    if(NOT TARGET ${target})
      message(FATAL_ERROR "Duet needs ${package}, which was not found. On Debian: apt-get install ${debian_package}")
    endif()
    get_target_property(duet_imported ${target} IMPORTED)
    if(duet_imported AND NOT PROJECT_IS_TOP_LEVEL AND NOT BUILD_SHARED_LIBS)
      set_target_properties(${target} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
  endif()
endmacro()

duet_find(Threads Threads::Threads libc6-dev)
duet_find(fmt fmt::fmt libfmt-dev)
duet_find(ZLIB ZLIB::ZLIB zlib1g-dev)
duet_find(PNG PNG::PNG libpng-dev)
duet_find(nlohmann_json nlohmann_json::nlohmann_json nlohmann-json3-dev)

# TIFF is optional: without it Duet reads and writes PNG alone, and its TIFF functions say so.
if(NOT TARGET TIFF::TIFF)
  find_package(TIFF 4.5 QUIET)
endif()
set(DUET_WITH_TIFF ON)
if(NOT TARGET TIFF::TIFF)
  set(DUET_WITH_TIFF OFF)
  message(STATUS "Duet without TIFF images: libtiff 4.5 or later was not found (Debian: libtiff-dev)")
elseif(NOT PROJECT_IS_TOP_LEVEL AND NOT BUILD_SHARED_LIBS)
  set_target_properties(TIFF::TIFF PROPERTIES IMPORTED_GLOBAL TRUE)
endif()

find_path(DUET_XSIMD_INCLUDE xsimd/xsimd.hpp)
if(NOT DUET_XSIMD_INCLUDE)
  message(FATAL_ERROR "Duet needs xsimd, which was not found. On Debian: apt-get install libxsimd-dev")
endif()
mark_as_advanced(DUET_XSIMD_INCLUDE)

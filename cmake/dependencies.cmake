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
duet_find(nlohmann_json nlohmann_json::nlohmann_json nlohmann-json3-dev)

# Image files are optional: the functions of a form that Duet was built without say so.
# duet_find_optional(NAME VERSION DEBIAN_PACKAGE): sets DUET_WITH_NAME.
macro(duet_find_optional name version debian_package)
  if(NOT TARGET ${name}::${name})
    find_package(${name} ${version} QUIET)
  endif()
  set(DUET_WITH_${name} ON)
  if(NOT TARGET ${name}::${name})
    set(DUET_WITH_${name} OFF)
    message(STATUS "Duet without ${name} images: lib${name} ${version} was not found (Debian: ${debian_package})")
  elseif(NOT PROJECT_IS_TOP_LEVEL AND NOT BUILD_SHARED_LIBS)
    get_target_property(duet_imported ${name}::${name} IMPORTED)
    if(duet_imported)
      set_target_properties(${name}::${name} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
  endif()
endmacro()

duet_find_optional(PNG 1.6 libpng-dev)
duet_find_optional(TIFF 4.5 libtiff-dev)

find_path(DUET_XSIMD_INCLUDE xsimd/xsimd.hpp)
if(NOT DUET_XSIMD_INCLUDE)
  message(FATAL_ERROR "Duet needs xsimd, which was not found. On Debian: apt-get install libxsimd-dev")
endif()
mark_as_advanced(DUET_XSIMD_INCLUDE)

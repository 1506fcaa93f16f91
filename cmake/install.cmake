# cmake --install: headers under include/duet, the library, and what find_package(duet) and pkg-config read. The
# tree can be moved. Internal headers are installed too, because ops of a user's own need some of them (docs/README.md
# says which headers promise to stay), except those of the kernels.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS duet EXPORT duet-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/duet.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/duet COMPONENT dev)
foreach(folder core ops autograd nn)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/duet COMPONENT dev
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inc" PATTERN "kernels" EXCLUDE)
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)

foreach(component IN LISTS DUET_COMPONENTS)
  install(TARGETS duet_${component} EXPORT duet-${component}-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${component} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/duet COMPONENT dev
    FILES_MATCHING PATTERN "*.hpp" PATTERN "graph.hpp" EXCLUDE PATTERN "trace.hpp" EXCLUDE)
  install(EXPORT duet-${component}-targets NAMESPACE duet:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/duet COMPONENT dev)
endforeach()

set(duet_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/duet)
install(EXPORT duet-targets NAMESPACE duet:: DESTINATION ${duet_package_folder} COMPONENT dev)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/duet-config.cmake.in
  ${PROJECT_BINARY_DIR}/duet-config.cmake INSTALL_DESTINATION ${duet_package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/duet-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/duet-config.cmake ${PROJECT_BINARY_DIR}/duet-config-version.cmake
  ${PROJECT_SOURCE_DIR}/cmake/DuetOpSweep.cmake DESTINATION ${duet_package_folder} COMPONENT dev)

# duet.pc finds its prefix from where it lies.
file(RELATIVE_PATH duet_pc_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
set(duet_pc_requires "")
set(duet_pc_libraries "")
if(NOT BUILD_SHARED_LIBS)
  set(duet_pc_requires "fmt, zlib")
  set(duet_pc_libraries -pthread)
  if(DUET_WITH_PNG)
    string(APPEND duet_pc_requires ", libpng")
  endif()
  if(DUET_WITH_TIFF)
    string(APPEND duet_pc_requires ", libtiff-4")
  endif()
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/duet.pc.in ${PROJECT_BINARY_DIR}/duet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/duet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

if(PROJECT_IS_TOP_LEVEL)
  include(cmake/package.cmake)
endif()

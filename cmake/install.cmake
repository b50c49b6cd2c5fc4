include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(barelink_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/barelink")
install(TARGETS barelink EXPORT barelink_targets FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT barelink_targets FILE barelink-targets.cmake NAMESPACE barelink:: DESTINATION "${barelink_package_dir}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/barelink-config.cmake.in"
  "${PROJECT_BINARY_DIR}/barelink-config.cmake" INSTALL_DESTINATION "${barelink_package_dir}")
# Before 1.0 a minor version may break callers; ARCH_INDEPENDENT because there is nothing compiled.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/barelink-config-version.cmake"
  VERSION "${PROJECT_VERSION}" COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/barelink-config.cmake" "${PROJECT_BINARY_DIR}/barelink-config-version.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/components.cmake" "${CMAKE_CURRENT_LIST_DIR}/FindHwloc.cmake" "${CMAKE_CURRENT_LIST_DIR}/FindLiburing.cmake"
  DESTINATION "${barelink_package_dir}")

# What `cmake --install` puts where, and the package files. Components: sluice, sluice_service (shared libraries), sluice_dev
# (headers, static libraries, CMake and pkg-config files), sluice_NAME (backends). Static and shared libraries, Debug and Release
# of each lie in one prefix: each kind has target files of its own, each configuration its own file behind them.

include(CMakePackageConfigHelpers)

set(SLUICE_KIND static)
if(BUILD_SHARED_LIBS)
  set(SLUICE_KIND shared)
endif()
set(SLUICE_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/sluice")

# sluice_install_library(TARGET COMPONENT [EXPORT]): the library, and the headers in `include` beside its CMakeLists.txt or the
# project's. EXPORT: of its target files, COMPONENT unless given.
function(sluice_install_library target component)
  if(NOT SLUICE_INSTALL)
    return()
  endif()
  set(export ${component})
  if(ARGC GREATER 2)
    set(export ${ARGV2})
  endif()
  install(TARGETS ${target} EXPORT ${export}-targets
          RUNTIME COMPONENT ${component}
          LIBRARY COMPONENT ${component} NAMELINK_COMPONENT sluice_dev
          ARCHIVE COMPONENT sluice_dev)
  set(headers "${PROJECT_SOURCE_DIR}/include/sluice")
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/include/sluice")
    set(headers "${CMAKE_CURRENT_SOURCE_DIR}/include/sluice")
  endif()
  install(DIRECTORY "${headers}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT sluice_dev)
  sluice_install_rpath(${target})
endfunction()

# Programs find our libraries from where they are, and libraries one another, unless the project's own rule is set.
function(sluice_install_rpath target)
  if(DEFINED CMAKE_INSTALL_RPATH OR NOT BUILD_SHARED_LIBS)
    return()
  endif()
  set(origin "$ORIGIN")
  if(APPLE)
    set(origin "@loader_path")
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    file(RELATIVE_PATH libraries "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
    set(origin "${origin}/${libraries}")
  endif()
  set_target_properties(${target} PROPERTIES INSTALL_RPATH "${origin}")
endfunction()

# -lNAME ... of what a static library is linked with. A full path becomes its folder, unless the linker looks there, and its name.
function(sluice_link_flags out)
  set(flags "")
  foreach(library IN LISTS ARGN)
    if(IS_ABSOLUTE "${library}")
      cmake_path(GET library PARENT_PATH folder)
      cmake_path(GET library STEM LAST_ONLY name)
      string(REGEX REPLACE "^lib" "" name "${name}")
      if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
        list(APPEND flags "-L${folder}")
      endif()
      set(library "-l${name}")
    endif()
    list(APPEND flags "${library}")
  endforeach()
  list(JOIN flags " " flags)
  set(${out} "${flags}" PARENT_SCOPE)
endfunction()

# -D... and -I... of what the header-only form includes, where the compiler does not look by itself.
function(sluice_header_only_cflags out)
  set(flags -DSLUICE_HEADER_ONLY -DFMT_HEADER_ONLY=1)
  get_target_property(folders fmt::fmt-header-only INTERFACE_INCLUDE_DIRECTORIES)
  if("fmt" IN_LIST SLUICE_STATIC_PACKAGES AND folders)
    foreach(folder IN LISTS folders)
      if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES AND IS_DIRECTORY "${folder}")
        list(APPEND flags "-I${folder}")
      endif()
    endforeach()
  endif()
  list(JOIN flags " " flags)
  set(${out} "${flags}" PARENT_SCOPE)
endfunction()

# NAME.pc from cmake/NAME.pc.in. It finds its prefix from its own place. Not for Debug, whose libraries have other names.
function(sluice_install_pkg_config name)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in" "${PROJECT_BINARY_DIR}/package/${name}.pc" @ONLY)
  install(FILES "$<$<NOT:$<CONFIG:Debug>>:${PROJECT_BINARY_DIR}/package/${name}.pc>"
          DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT sluice_dev)
endfunction()

function(sluice_install_package)
  set(package "${PROJECT_BINARY_DIR}/package")
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/sluiceConfig.cmake.in" "${package}/sluiceConfig.cmake"
                                INSTALL_DESTINATION "${SLUICE_CMAKE_DIR}" PATH_VARS CMAKE_INSTALL_LIBDIR
                                NO_SET_AND_CHECK_MACRO)
  # Before 1.0 a minor version may break the API.
  write_basic_package_version_file("${package}/sluiceConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
  set(SLUICE_STATIC_PACKAGES ${SLUICE_FOUND_PACKAGES})
  list(FILTER SLUICE_STATIC_PACKAGES INCLUDE REGEX "^fmt$")
  set(SLUICE_STATIC_SERVICE_PACKAGES ${SLUICE_FOUND_PACKAGES})
  list(FILTER SLUICE_STATIC_SERVICE_PACKAGES INCLUDE REGEX "^simdjson$")
  set(SLUICE_STATIC_JOBS_PACKAGES ${SLUICE_FOUND_PACKAGES})
  list(FILTER SLUICE_STATIC_JOBS_PACKAGES INCLUDE REGEX "^SQLite3$")
  set(files "${package}/sluiceConfig.cmake" "${package}/sluiceConfigVersion.cmake"
            "${PROJECT_SOURCE_DIR}/cmake/SluiceBackends.cmake")
  if(SLUICE_KIND STREQUAL "static")
    set(parts sluice)
    if(SLUICE_SERVICE)
      list(APPEND parts sluice-service)
    endif()
    foreach(part IN LISTS parts)
      set(dependencies "${part}-static-dependencies.cmake")
      configure_file("${PROJECT_SOURCE_DIR}/cmake/${dependencies}.in" "${package}/${dependencies}" @ONLY)
      list(APPEND files "${package}/${dependencies}")
    endforeach()
  endif()
  install(EXPORT sluice-header-only-targets FILE sluice-header-only-targets.cmake NAMESPACE sluice::
          DESTINATION "${SLUICE_CMAKE_DIR}" COMPONENT sluice_dev)
  install(EXPORT sluice-targets FILE sluice-${SLUICE_KIND}-targets.cmake NAMESPACE sluice:: DESTINATION "${SLUICE_CMAKE_DIR}"
          COMPONENT sluice_dev)

  if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")  # then the package stays where it is
    set(SLUICE_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
    set(SLUICE_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
    set(SLUICE_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
  else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(SLUICE_PC_PREFIX "\${pcfiledir}/${up}")
    set(SLUICE_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(SLUICE_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
  endif()
  set(SLUICE_PC_CFLAGS "")
  if(BUILD_SHARED_LIBS)
    set(SLUICE_PC_CFLAGS " -DSLUICE_SHARED")
  endif()
  list(TRANSFORM SLUICE_STATIC_PACKAGES PREPEND -l OUTPUT_VARIABLE core)
  list(TRANSFORM CMAKE_DL_LIBS PREPEND -l OUTPUT_VARIABLE dl)  # none on some systems
  sluice_link_flags(SLUICE_PC_CORE_LIBS ${core} -pthread ${dl} -lm)
  sluice_install_pkg_config(sluice)
  sluice_link_flags(SLUICE_PC_HEADER_ONLY_LIBS -pthread ${dl} -lm)
  sluice_header_only_cflags(SLUICE_PC_HEADER_ONLY_CFLAGS)
  sluice_install_pkg_config(sluice-header-only)

  if(SLUICE_SERVICE)
    list(APPEND files "${PROJECT_SOURCE_DIR}/cmake/SluiceHttplib.cmake")
    install(EXPORT sluice_service-targets FILE sluice-service-${SLUICE_KIND}-targets.cmake NAMESPACE sluice::
            DESTINATION "${SLUICE_CMAKE_DIR}" COMPONENT sluice_dev)
    foreach(adapter httplib hardened)
      install(EXPORT sluice-${adapter}-targets FILE sluice-${adapter}-targets.cmake NAMESPACE sluice::
              DESTINATION "${SLUICE_CMAKE_DIR}" COMPONENT sluice_dev)
    endforeach()
    list(TRANSFORM SLUICE_STATIC_SERVICE_PACKAGES TOLOWER OUTPUT_VARIABLE service)
    list(TRANSFORM service PREPEND -l)
    list(JOIN service " " SLUICE_PC_SERVICE_LIBS)
    list(TRANSFORM SLUICE_HTTPLIB_PKG_CONFIG PREPEND ", ")
    list(JOIN SLUICE_HTTPLIB_PKG_CONFIG "" SLUICE_PC_HTTPLIB)
    sluice_install_pkg_config(sluice-service)
    if(TARGET sluice_jobs)
      install(EXPORT sluice_jobs-targets FILE sluice-jobs-${SLUICE_KIND}-targets.cmake NAMESPACE sluice::
              DESTINATION "${SLUICE_CMAKE_DIR}" COMPONENT sluice_dev)
      list(TRANSFORM SLUICE_STATIC_JOBS_PACKAGES REPLACE "^SQLite3$" "-lsqlite3" OUTPUT_VARIABLE SLUICE_PC_JOBS_LIBS)
      sluice_install_pkg_config(sluice-jobs)
    endif()
    sluice_install_pkg_config(sluice-httplib)
  endif()
  install(FILES ${files} DESTINATION "${SLUICE_CMAKE_DIR}" COMPONENT sluice_dev)
endfunction()

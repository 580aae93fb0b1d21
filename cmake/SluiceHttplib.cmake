# httplib::httplib, whichever way it comes: a target that is there already, headers named by SLUICE_HTTPLIB_INCLUDE, a CMake
# package, or pkg-config. Debian's packages are compiled libraries whose macros change the layout of httplib's classes: the
# macros come with the target, and are always taken. This file is the build's and the installed package's alike:
# SLUICE_HTTPLIB_LIBRARIES is what sluice::httplib links, SLUICE_HTTPLIB_PKG_CONFIG what its .pc file requires, and where nothing
# was found SLUICE_HTTPLIB_MISSING says so.

set(SLUICE_HTTPLIB_INCLUDE "" CACHE PATH "A folder with a whole, header-only httplib.h to use in place of an installed one")
set(SLUICE_HTTPLIB_MISSING "")
set(SLUICE_HTTPLIB_PKG_CONFIG "")
set(sluice_global "")
if(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)
  set(sluice_global GLOBAL)
endif()

find_package(ZLIB QUIET)  # compresses answers where httplib was built with it; a compiled httplib does not pass it on

if(NOT TARGET httplib::httplib AND SLUICE_HTTPLIB_INCLUDE)
  find_package(Threads REQUIRED)
  add_library(httplib::httplib INTERFACE IMPORTED ${sluice_global})
  target_include_directories(httplib::httplib SYSTEM INTERFACE "${SLUICE_HTTPLIB_INCLUDE}")
  target_link_libraries(httplib::httplib INTERFACE Threads::Threads)
  if(ZLIB_FOUND)
    target_compile_definitions(httplib::httplib INTERFACE CPPHTTPLIB_ZLIB_SUPPORT)
  endif()
endif()

if(NOT TARGET httplib::httplib)
  find_package(httplib CONFIG QUIET)
endif()

if(NOT TARGET httplib::httplib)
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(sluice_cpp_httplib QUIET IMPORTED_TARGET ${sluice_global} cpp-httplib)
  endif()
  if(TARGET PkgConfig::sluice_cpp_httplib)
    set(sluice_httplib_parts PkgConfig::sluice_cpp_httplib)
    set(SLUICE_HTTPLIB_PKG_CONFIG cpp-httplib)
    if("${sluice_cpp_httplib_CFLAGS}" MATCHES "OPENSSL")  # its header calls OpenSSL, and its file does not say so
      find_package(OpenSSL QUIET)
      list(APPEND SLUICE_HTTPLIB_PKG_CONFIG openssl)
      list(APPEND sluice_httplib_parts OpenSSL::SSL OpenSSL::Crypto)
      if(NOT TARGET OpenSSL::SSL)
        set(SLUICE_HTTPLIB_MISSING "cpp-httplib was built with OpenSSL, whose headers were not found (Debian: libssl-dev)")
      endif()
    endif()
    if(NOT SLUICE_HTTPLIB_MISSING)  # or a second search would find half of it
      add_library(httplib::httplib INTERFACE IMPORTED ${sluice_global})
      target_link_libraries(httplib::httplib INTERFACE ${sluice_httplib_parts})
    endif()
  else()
    string(CONCAT SLUICE_HTTPLIB_MISSING "cpp-httplib was not found. Install it (Debian: libcpp-httplib-dev), have a target "
                                         "httplib::httplib before this call, or name the folder of httplib.h in "
                                         "SLUICE_HTTPLIB_INCLUDE")
  endif()
endif()

set(SLUICE_HTTPLIB_LIBRARIES httplib::httplib)
if(ZLIB_FOUND)
  list(APPEND SLUICE_HTTPLIB_LIBRARIES ZLIB::ZLIB)
  list(APPEND SLUICE_HTTPLIB_PKG_CONFIG zlib)
endif()

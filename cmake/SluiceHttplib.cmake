# httplib::httplib, whichever way it comes: a target that is there already, headers named by SLUICE_HTTPLIB_INCLUDE, a CMake
# package, or pkg-config. Debian's packages are compiled libraries whose macros change the layout of httplib's classes: the
# macros come with the target, and are always taken.

set(SLUICE_HTTPLIB_INCLUDE "" CACHE PATH "A folder with a whole, header-only httplib.h to use in place of an installed one")

if(NOT TARGET httplib::httplib AND SLUICE_HTTPLIB_INCLUDE)
  find_package(Threads REQUIRED)
  find_package(ZLIB REQUIRED)
  add_library(sluice_httplib_headers INTERFACE)
  add_library(httplib::httplib ALIAS sluice_httplib_headers)
  target_include_directories(sluice_httplib_headers SYSTEM INTERFACE "${SLUICE_HTTPLIB_INCLUDE}")
  target_compile_definitions(sluice_httplib_headers INTERFACE CPPHTTPLIB_ZLIB_SUPPORT)
  target_link_libraries(sluice_httplib_headers INTERFACE ZLIB::ZLIB Threads::Threads)
endif()

if(NOT TARGET httplib::httplib)
  find_package(httplib CONFIG QUIET)
endif()

if(NOT TARGET httplib::httplib)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(sluice_cpp_httplib REQUIRED IMPORTED_TARGET GLOBAL cpp-httplib)
  if("${sluice_cpp_httplib_CFLAGS}" MATCHES "OPENSSL")  # its header calls OpenSSL, and its file does not say so
    find_package(OpenSSL REQUIRED)
    target_link_libraries(PkgConfig::sluice_cpp_httplib INTERFACE OpenSSL::SSL OpenSSL::Crypto)
  endif()
  add_library(httplib::httplib ALIAS PkgConfig::sluice_cpp_httplib)
endif()

# The operating system's headers are included by one file per concern and no other: run with -P, from the source's root.
#
#   -DROOT=folder   the tree to look at
set(concerns
    "adapters/hardened/include/sluice/hardened/platform.hpp" # sockets, on Linux alone
    "examples/common/platform_(posix|windows).cpp"          # signals, the terminal, limits
    "include/sluice/impl/base/[a-z_]+.hpp"                  # all of it
    "include/sluice/impl/files/mapped_region_posix.hpp")    # mapping, and its signal
set(headers
    "(arpa|linux|mach|mach-o|net|netinet|sys)/[^>]*"
    "(direct|dirent|dlfcn|epoll|fcntl|ifaddrs|io|libproc|link|netdb|poll|process|pthread|pwd|sched|semaphore|signal|spawn|syslog)\\.h"
    "(termios|unistd|windows|winsock2|ws2tcpip)\\.h|csignal")
list(JOIN concerns "|" concerns)
list(JOIN headers "|" headers)
string(REPLACE "." "\\." concerns "${concerns}")

file(GLOB_RECURSE sources RELATIVE "${ROOT}" "${ROOT}/include/*" "${ROOT}/src/*" "${ROOT}/adapters/*" "${ROOT}/examples/*")
set(looked 0)
set(strays "")
foreach(source IN LISTS sources)
  if(NOT source MATCHES "\\.(h|c|hpp|cpp|cuh|cu)$")
    continue()
  endif()
  math(EXPR looked "${looked} + 1")
  file(STRINGS "${ROOT}/${source}" lines REGEX "^[ \t]*#[ \t]*include[ \t]*<(${headers})>")
  if(lines AND NOT source MATCHES "^(${concerns})$")
    list(JOIN lines ", " lines)
    list(APPEND strays "${source}: ${lines}")
  endif()
endforeach()
if(looked LESS 200)
  message(FATAL_ERROR "only ${looked} files were looked at below ${ROOT}")
endif()
if(strays)
  list(JOIN strays "\n  " strays)
  message(FATAL_ERROR "The operating system is asked outside the files that are for it (see ${CMAKE_CURRENT_LIST_FILE}):\n  ${strays}")
endif()

# For 64-bit Arm on Linux with Debian's cross compiler (g++-aarch64-linux-gnu). SLUICE_SYSROOT names a folder with the
# libraries, as tests/fetch-sysroot makes it; programs built here run by qemu-aarch64 (qemu-user), where it is there.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SLUICE_SYSROOT)
set(CMAKE_SYSROOT "${SLUICE_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${SLUICE_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${SLUICE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${SLUICE_SYSROOT}/usr/share/pkgconfig")

find_program(SLUICE_QEMU NAMES qemu-aarch64 qemu-aarch64-static)
if(SLUICE_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${SLUICE_QEMU};-L;${SLUICE_SYSROOT}")
endif()

"""A package of Conan's for a library that Debian has installed: conan export system.py --name fmt --version 9.1.0"""
import subprocess

from conan import ConanFile

# name: (CMake's file, CMake's target, libraries, folders of headers), as Conan's own packages name them
KNOWN = {
    "fmt": ("fmt", "fmt::fmt", ["fmt"], []),
    "simdjson": ("simdjson", "simdjson::simdjson", ["simdjson"], []),
    "sqlite3": ("SQLite3", "SQLite::SQLite3", ["sqlite3"], []),
    "dragonbox": ("dragonbox", "dragonbox::dragonbox", [], ["/usr/include/dragonbox-1.1.3"]),
    "libjpeg-turbo": ("libjpeg-turbo", "libjpeg-turbo::turbojpeg", ["turbojpeg"], []),
    "libpng": ("PNG", "PNG::PNG", ["png16", "z"], []),
    "cpp-httplib": ("httplib", "httplib::httplib", ["cpp-httplib", "ssl", "crypto", "z"], []),
}


class System(ConanFile):
    settings = "os", "arch", "compiler", "build_type"

    def package_info(self):
        file, target, libraries, headers = KNOWN[self.name]
        self.cpp_info.set_property("cmake_file_name", file)
        self.cpp_info.set_property("cmake_target_name", target)
        self.cpp_info.includedirs = headers
        self.cpp_info.libdirs = []
        self.cpp_info.bindirs = []
        if self.name == "cpp-httplib":  # Debian's is compiled: its macros change the layout of its classes
            flags = subprocess.run(["pkg-config", "--cflags-only-other", "cpp-httplib"], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.cpp_info.defines = [flag[2:] for flag in flags.split() if flag.startswith("-D")]
        self.cpp_info.system_libs = libraries  # where the linker looks by itself

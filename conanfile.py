import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class Sluice(ConanFile):
    """The libraries: sluice::sluice, sluice::header_only, sluice::image, sluice::model, sluice::service, sluice::jobs, sluice::models,
    sluice::httplib. conan create . makes and tries the package."""

    name = "sluice"
    description = "Numeric work on whatever device will do it soonest, and over HTTP from inside any application"
    license = "MIT"
    topics = ("tensor", "matmul", "gpu", "cuda", "http", "inference")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "shared": [True, False],
        "fPIC": [True, False],
        "image": [True, False],  # sluice::image
        "model": [True, False],  # sluice::model, which finds ONNX Runtime at run time
        "service": [True, False],  # sluice::service, sluice::jobs and sluice::httplib; sluice::models with image and model
        "cuda": [True, False],  # the backend for NVIDIA's GPUs; the toolkit is the machine's own
    }
    default_options = {"shared": False, "fPIC": True, "image": True, "model": True, "service": True, "cuda": False}
    implements = ["auto_shared_fpic"]
    exports_sources = "CMakeLists.txt", "LICENSE", "CHANGELOG.md", "cmake/*", "include/*", "src/*", "adapters/*", "docs/*"
    test_package_folder = "examples/consumer"

    def set_version(self):
        project = load(self, os.path.join(self.recipe_folder, "CMakeLists.txt"))
        self.version = re.search(r"VERSION (\d+\.\d+\.\d+)", project).group(1)

    def requirements(self):
        self.requires("fmt/[>=9.1 <13]", transitive_headers=True)  # for sluice::header_only
        if self.options.image:
            self.requires("libjpeg-turbo/[>=2.1 <4]")
            self.requires("libpng/[>=1.6 <2]")
        if self.options.service:
            self.requires("simdjson/[>=3.0.1 <5]")
            self.requires("sqlite3/[>=3.40 <4]")
            self.requires("dragonbox/[>=1.1.3 <2]")
            self.requires("cpp-httplib/[>=0.11.4 <1]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)
        if self.options.cuda and self.settings.os != "Linux":
            raise ConanInvalidConfiguration(f"sluice: cuda=True is for Linux, and os is {self.settings.os}")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables.update(
            {
                "SLUICE_SERVICE": bool(self.options.service),
                "SLUICE_IMAGE": "ON" if self.options.image else "OFF",
                "SLUICE_MODEL": bool(self.options.model),
                "SLUICE_JOBS": "ON" if self.options.service else "OFF",
                "SLUICE_CUDA": "ON" if self.options.cuda else "OFF",
                "SLUICE_FETCH": "OFF",
                "SLUICE_EXAMPLES": False,
                "SLUICE_TESTS": False,
                "SLUICE_BENCH": False,
            }
        )
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        for folder in ("cmake", "pkgconfig"):  # Conan writes its own, for where the dependencies are
            rmdir(self, os.path.join(self.package_folder, "lib", folder))

    def package_info(self):
        debug = "d" if self.settings.build_type == "Debug" else ""
        self.cpp_info.set_property("cmake_file_name", "sluice")

        core = self.cpp_info.components["sluice"]
        core.set_property("cmake_target_name", "sluice::sluice")
        core.set_property("pkg_config_name", "sluice")
        core.libs = ["sluice" + debug]
        core.requires = ["fmt::fmt"]
        core.defines = ["SLUICE_SHARED"] if self.options.shared else []
        if self.settings.os == "Linux":
            core.system_libs = ["pthread", "dl", "m"]

        headers = self.cpp_info.components["header_only"]
        headers.set_property("cmake_target_name", "sluice::header_only")
        headers.set_property("pkg_config_name", "sluice-header-only")
        headers.libdirs = []
        headers.requires = core.requires
        headers.defines = ["SLUICE_HEADER_ONLY", "FMT_HEADER_ONLY=1"]
        headers.system_libs = core.system_libs

        if self.options.cuda:  # a program that links statically has no library for the module to lie beside
            self.runenv_info.append_path("SLUICE_BACKEND_PATH", os.path.join(self.package_folder, "lib"))

        if self.options.image:
            image = self.cpp_info.components["image"]
            image.set_property("cmake_target_name", "sluice::image")
            image.set_property("pkg_config_name", "sluice-image")
            image.libs = ["sluice_image" + debug]
            image.requires = ["sluice", "libjpeg-turbo::libjpeg-turbo", "libpng::libpng"]

        if self.options.model:
            model = self.cpp_info.components["model"]
            model.set_property("cmake_target_name", "sluice::model")
            model.set_property("pkg_config_name", "sluice-model")
            model.libs = ["sluice_model" + debug]
            model.requires = ["sluice"]

        if self.options.service:
            service = self.cpp_info.components["service"]
            service.set_property("cmake_target_name", "sluice::service")
            service.set_property("pkg_config_name", "sluice-service")
            service.libs = ["sluice_service" + debug]
            service.requires = ["sluice", "simdjson::simdjson", "dragonbox::dragonbox"]

            jobs = self.cpp_info.components["jobs"]
            jobs.set_property("cmake_target_name", "sluice::jobs")
            jobs.set_property("pkg_config_name", "sluice-jobs")
            jobs.libs = ["sluice_jobs" + debug]
            jobs.requires = ["service", "simdjson::simdjson", "sqlite3::sqlite3"]

            if self.options.model and self.options.image:
                models = self.cpp_info.components["models"]
                models.set_property("cmake_target_name", "sluice::models")
                models.set_property("pkg_config_name", "sluice-models")
                models.libs = ["sluice_models" + debug]
                models.requires = ["service", "model", "image", "simdjson::simdjson"]

            httplib = self.cpp_info.components["httplib"]
            httplib.set_property("cmake_target_name", "sluice::httplib")
            httplib.set_property("pkg_config_name", "sluice-httplib")
            httplib.libdirs = []
            httplib.requires = ["service", "cpp-httplib::cpp-httplib"]

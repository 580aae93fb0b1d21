# CPack: Debian packages, one a component, for a build with shared libraries:
#
#     cmake -S . -B build -DBUILD_SHARED_LIBS=ON -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_SKIP_INSTALL_RPATH=ON -DSLUICE_FETCH=OFF
#     cmake --build build && cd build && cpack
#
# libsluice0.2, libsluice-image0.2, libsluice-model0.2, libsluice-service0.2, libsluice-dev, sluice-server, sluice-tools, and libsluice-cuda where the CUDA backend was
# built. What they depend on is asked of dpkg-shlibdeps, and of each other they want the same version. tests/packages tries them.

set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VENDOR "sluice")
set(CPACK_PACKAGE_CONTACT "sluice <maintainers@sluice.invalid>" CACHE STRING "Maintainer of the packages: your name <address>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_NAME} built using CMake")  # the default, for none: each package has its own
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR TGZ)
find_program(SLUICE_DPKG_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(SLUICE_DPKG_SHLIBDEPS)
if(SLUICE_DPKG_SHLIBDEPS)
  set(CPACK_GENERATOR DEB)
endif()

set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}/lib")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)  # for those who link to the libraries
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=")  # the ABI may change with each version before 1.0
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)

# Each package has its licence and its changelog, as Debian wants them; no other kind of installation has these copies.
set(sluice_deb_version "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
string(TIMESTAMP sluice_deb_date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # or SOURCE_DATE_EPOCH
set(sluice_deb "${PROJECT_BINARY_DIR}/debian")
file(READ "${PROJECT_SOURCE_DIR}/LICENSE" sluice_licence)
file(CONFIGURE OUTPUT "${sluice_deb}/copyright" @ONLY CONTENT "Upstream-Name: sluice\n\n@sluice_licence@")
file(CONFIGURE OUTPUT "${sluice_deb}/changelog.Debian" @ONLY CONTENT "sluice (@sluice_deb_version@) unstable; urgency=medium

  * Packaged by the sources' own CPack rules; changelog.gz says what is new.

 -- @CPACK_PACKAGE_CONTACT@  @sluice_deb_date@
")
if(SLUICE_DPKG_SHLIBDEPS)
  file(COPY_FILE "${PROJECT_SOURCE_DIR}/CHANGELOG.md" "${sluice_deb}/changelog")
  execute_process(COMMAND gzip -9nkf "${sluice_deb}/changelog.Debian" "${sluice_deb}/changelog" COMMAND_ERROR_IS_FATAL ANY)
endif()

# sluice_package(COMPONENT NAME SECTION SUMMARY TEXT [NEEDS COMPONENT...])
set(CPACK_COMPONENTS_ALL "")
macro(sluice_package component name section summary text)
  cmake_parse_arguments(ARG "" "" "NEEDS" ${ARGN})
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${upper}_DEPENDS ${ARG_NEEDS})
  set(CPACK_COMPONENT_${upper}_DESCRIPTION
      "tensor operations on CPU or GPU - ${summary}
sluice multiplies matrices and sums rows, of tensors in memory or of files
larger than it, on the CPU or on a GPU, wherever that is done soonest.

${text}")
  if(SLUICE_DPKG_SHLIBDEPS)
    install(FILES "${sluice_deb}/copyright" "${sluice_deb}/changelog.gz" "${sluice_deb}/changelog.Debian.gz"
            DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${name}" COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endmacro()

set(libraries "")
set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
if(BUILD_SHARED_LIBS)
  sluice_package(sluice libsluice${soversion} libs "library" "This package has the library.")
  list(APPEND libraries sluice)
  if(TARGET sluice_image)
    sluice_package(sluice_image libsluice-image${soversion} libs "image library"
                   "This package has the library that reads and writes JPEG and PNG." NEEDS sluice)
    list(APPEND libraries sluice_image)
  endif()
  if(TARGET sluice_model)
    sluice_package(sluice_model libsluice-model${soversion} libs "model library"
                   "This package has the library that runs trained models from ONNX files, by the\nONNX Runtime that it finds at run time."
                   NEEDS sluice)
    set(CPACK_DEBIAN_SLUICE_MODEL_PACKAGE_SUGGESTS libonnxruntime1.21)
    list(APPEND libraries sluice_model)
  endif()
  if(SLUICE_SERVICE)
    sluice_package(sluice_service libsluice-service${soversion} libs "HTTP service library"
                   "This package has the library that answers requests, without a transport,\nand those for jobs on files and for folders of models." NEEDS ${libraries})
    list(APPEND libraries sluice_service)
  endif()
endif()
sluice_package(sluice_dev libsluice-dev libdevel "development files"
               "This package has the headers, and what CMake and pkg-config need to know." NEEDS ${libraries})
# For sluice::header_only alone.
set(CPACK_DEBIAN_SLUICE_DEV_PACKAGE_SUGGESTS libfmt-dev)
if(SLUICE_SERVICE)
  set(CPACK_DEBIAN_SLUICE_DEV_PACKAGE_RECOMMENDS "libcpp-httplib-dev, libssl-dev, zlib1g-dev")  # for sluice::httplib alone
endif()
if(TARGET sluice-server)
  sluice_package(sluice_server sluice-server net "HTTP server"
                 "This package has the example server. Its systemd unit waits to be enabled." NEEDS ${libraries})
  set(CPACK_DEBIAN_SLUICE_SERVER_PACKAGE_SUGGESTS "libsluice-cuda, libonnxruntime1.21")
  set(scripts "${PROJECT_SOURCE_DIR}/examples/server/deploy/debian")
  set(CPACK_DEBIAN_SLUICE_SERVER_PACKAGE_CONTROL_EXTRA "${scripts}/postinst;${scripts}/prerm;${scripts}/postrm")
endif()
list(REMOVE_ITEM libraries sluice_service sluice_model)
if(TARGET sluice-rowsum)
  set(canny "")
  if(TARGET sluice-canny)
    set(canny ", and\nsluice-canny, which finds the edges of images")
  endif()
  sluice_package(
    sluice_tools sluice-tools science "tools" "This package has sluice-rowsum, which sums the rows of files of any length,
sluice-advise, which measures this machine's devices and says where work
belongs${canny}." NEEDS ${libraries})
endif()
list(REMOVE_ITEM libraries sluice_image)
if(TARGET sluice_cuda)
  sluice_package(sluice_cuda libsluice-cuda contrib/libs "CUDA backend"
                 "This package has the module for NVIDIA's GPUs. The library finds it beside
itself." NEEDS ${libraries})
  set(CPACK_DEBIAN_SLUICE_CUDA_PACKAGE_GENERATE_SHLIBS OFF)
  # By NVIDIA's repository's name for it, or Debian's: dpkg-shlibdeps leaves out what no package owns, or says nothing of.
  get_directory_property(major DIRECTORY "${PROJECT_SOURCE_DIR}/src/cuda" DEFINITION CUDAToolkit_VERSION_MAJOR)
  get_directory_property(minor DIRECTORY "${PROJECT_SOURCE_DIR}/src/cuda" DEFINITION CUDAToolkit_VERSION_MINOR)
  set(CPACK_DEBIAN_SLUICE_CUDA_PACKAGE_DEPENDS "libcublas-${major}-${minor} | libcublas${major}")
endif()

include(CPack)

# sluice_opencv: OpenCV's image processing, for the test and the benchmark that stand beside it, where it is found (Debian:
# libopencv-imgproc-dev, which brings no CMake package).
if(TARGET sluice_opencv)
  return()
endif()
find_path(SLUICE_OPENCV_INCLUDE opencv2/imgproc.hpp PATH_SUFFIXES opencv4 NO_CACHE)
find_library(SLUICE_OPENCV_IMGPROC opencv_imgproc NO_CACHE)
find_library(SLUICE_OPENCV_CORE opencv_core NO_CACHE)
if(SLUICE_OPENCV_INCLUDE AND SLUICE_OPENCV_IMGPROC AND SLUICE_OPENCV_CORE)
  add_library(sluice_opencv INTERFACE IMPORTED GLOBAL)
  target_include_directories(sluice_opencv SYSTEM INTERFACE "${SLUICE_OPENCV_INCLUDE}")
  target_link_libraries(sluice_opencv INTERFACE "${SLUICE_OPENCV_IMGPROC}" "${SLUICE_OPENCV_CORE}")
endif()

# sluice_copy_backends(TARGET): after each build of TARGET, the installed backends (libsluice-*.so or .dll in sluice_BACKEND_PATH) lie
# beside it. For programs linked with the static library that leave this machine: they look there first. A shared library looks
# beside itself. Does nothing where no backend is installed.
function(sluice_copy_backends target)
  file(GLOB backends "${sluice_BACKEND_PATH}/libsluice-*.so" "${sluice_BACKEND_PATH}/libsluice-*.dll")
  if(backends)
    add_custom_command(TARGET ${target} POST_BUILD VERBATIM
                       COMMAND ${CMAKE_COMMAND} -E copy_if_different ${backends} "$<TARGET_FILE_DIR:${target}>")
  endif()
endfunction()

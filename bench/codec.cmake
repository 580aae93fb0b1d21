# Bodies of messages in and out, beside the libraries beneath.
if(SLUICE_SERVICE)
  find_package(simdjson REQUIRED)
  sluice_add_bench(codec LIBRARIES sluice::service simdjson::simdjson $<TARGET_NAME_IF_EXISTS:dragonbox::dragonbox_to_chars>)
  target_compile_definitions(codec_bench PRIVATE SLUICE_DRAGONBOX=$<TARGET_EXISTS:dragonbox::dragonbox_to_chars>)
endif()

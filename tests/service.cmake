# The service without a transport, and over sockets by cpp-httplib.
foreach(part json service v2 v2_refusal)
  sluice_add_test(${part} LIBRARIES sluice::service)
endforeach()
foreach(part httplib v2_httplib)
  sluice_add_test(${part} LIBRARIES sluice::httplib)
endforeach()

# Each public header of the adapters compiled alone.
set(adapter_sources "")
foreach(header service.hpp service/endpoint.hpp service/message.hpp httplib.hpp httplib/coding.hpp)
  string(MAKE_C_IDENTIFIER "${header}" name)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/headers/adapter_${name}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"sluice/@header@\"\n#include \"sluice/@header@\"\n" @ONLY)
  list(APPEND adapter_sources "${source}")
endforeach()
add_library(sluice_adapter_headers OBJECT ${adapter_sources})
sluice_target_defaults(sluice_adapter_headers)
target_link_libraries(sluice_adapter_headers PRIVATE sluice::httplib)

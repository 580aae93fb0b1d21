# The service without a transport, and over sockets by cpp-httplib.
foreach(part json service)
  sluice_add_test(${part} LIBRARIES sluice::service)
endforeach()
foreach(part httplib hardened hardened_idle)
  sluice_add_test(${part} LIBRARIES sluice::httplib)
endforeach()
sluice_add_test(service_loss LIBRARIES sluice::service)
add_dependencies(service_loss_test sluice_fake)
set_tests_properties(service_loss PROPERTIES ENVIRONMENT "${fake}")
sluice_add_test(pinned LIBRARIES sluice::service)
add_dependencies(pinned_test sluice_fake)
set_tests_properties(pinned PROPERTIES ENVIRONMENT
                     "${fake};SLUICE_FAKE_LIMIT=1000000;SLUICE_FAKE_MARK=${CMAKE_CURRENT_BINARY_DIR}/copies.txt")

# Each public header of the adapters compiled alone.
sluice_compile_headers(sluice_adapter_headers sluice::httplib sluice/service.hpp sluice/service/endpoint.hpp
                       sluice/service/message.hpp sluice/httplib.hpp sluice/hardened_server.hpp)

# The service without a transport, and over sockets by cpp-httplib.
foreach(part json service)
  sluice_add_test(${part} LIBRARIES sluice::service)
endforeach()
sluice_add_test(httplib LIBRARIES sluice::httplib)

# The service over sockets: clients, and the peer written by hand. The server is examples/sluice-server.
add_executable(http_load http_load.cpp)
sluice_target_defaults(http_load)
target_link_libraries(http_load PRIVATE Threads::Threads)
if(SLUICE_SERVICE)
  add_executable(http_peer http_peer.cpp)
  sluice_target_defaults(http_peer)
  target_link_libraries(http_peer PRIVATE httplib::httplib simdjson::simdjson sluice_blas Threads::Threads)
endif()

// A server of an application's own that multiplies: asked once, over a socket.
#include <cstdio>
#include <thread>

#include "sluice/httplib.hpp"
#include "sluice/sluice.hpp"

int twice(int n);

int main() {
  httplib::Server server;
  sluice::service service;
  sluice::mount(server, service);
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread listening([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();

  httplib::Client client("127.0.0.1", port);
  const auto answer = client.Post("/v1/matmul", R"({"a": [[1, 2], [3, 4]], "b": [[1, 1], [1, 1]]})", "application/json");
  server.stop();
  listening.join();
  std::printf("%d %s\n", answer ? answer->status : 0, answer ? answer->body.c_str() : "no answer");
  std::printf("twice 21 is %d, httplib %s, sluice %s\n", twice(21), CPPHTTPLIB_VERSION, SLUICE_VERSION_STRING);
}

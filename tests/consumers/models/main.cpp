#include <cstdio>
#include <filesystem>

#include "sluice/models.hpp"

int main() {
  const auto folder = std::filesystem::current_path() / "no-models";
  std::filesystem::create_directories(folder);
  sluice::service service;
  const auto models = sluice::add_models(service, {.directory = folder, .in_background = false});
  sluice::request asked;
  asked.method = "GET";
  asked.path = "/health/ready";
  std::printf("%zu models, \"readiness\": %d\n", models->index().size(), service.handle(asked).status);
}

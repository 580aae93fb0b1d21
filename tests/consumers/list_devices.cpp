// Prints the devices and the refusals, one a line.
#include <cstdio>

#include "sluice/device.hpp"

int main() {
  for (const auto& d : sluice::devices()) std::printf("device %s: %s\n", d.where.str().c_str(), d.description.c_str());
  for (const auto& r : sluice::refusals()) std::printf("refused %s: %s\n", r.path.c_str(), r.reason.c_str());
}

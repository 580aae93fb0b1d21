// The CUDA module is taken, or refused with a reason that says what is missing.
#include "sluice/device.hpp"
#include "testing.hpp"

TEST_CASE("the module gives devices, or its refusal says what is missing") {
  int found = 0;
  for (const auto& d : sluice::devices()) {
    if (d.where.backend() != "cuda") continue;
    ++found;
    CHECK(d.healthy);
    CHECK_FALSE(d.awake);  // counting makes no context
    CHECK(d.memory_total > 0);
    CHECK(d.description.find(" SMs") != std::string::npos);
  }
  int refused = 0;
  for (const auto& r : sluice::refusals()) {
    if (r.backend != "cuda") continue;
    ++refused;
    INFO(r.reason);
    const bool known =
        r.reason.find("no NVIDIA driver") != std::string::npos || r.reason.find("older than runtime") != std::string::npos ||
        r.reason.find("no CUDA-capable device") != std::string::npos || r.reason.find("libcublas") != std::string::npos;
    CHECK(known);
  }
  CHECK((found > 0 ? refused == 0 : refused > 0));
  if (found > 0) return;
  CHECK_REFUSED(sluice::tensor({2}, sluice::dtype::f32, "cuda"), unavailable, "there is no cuda:0", "cuda was refused: ");
}

// What the CUDA backend does after its context broke, and in the child of a fork. One suite a process.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"
#include "testing.hpp"

using namespace testing;

namespace {

// Writes where nothing is.
constexpr char fault_ptx[] = R"(
.version 6.3
.target sm_75
.address_size 64
.visible .entry fault() {
  .reg .u64 %a;
  .reg .u32 %v;
  mov.u64 %a, 8;
  mov.u32 %v, 1;
  st.global.u32 [%a], %v;
  ret;
}
)";

template <class F>
F* driver_function(const char* name) {
  static void* driver = ::dlopen("libcuda.so.1", RTLD_NOW);
  REQUIRE(driver != nullptr);
  auto* f = reinterpret_cast<F*>(::dlsym(driver, name));
  REQUIRE((f != nullptr));
  return f;
}

// An illegal address in the context that the process shares on device 0: the driver's error code, 700.
int break_context() {
  void* context = nullptr;
  void* module = nullptr;
  void* kernel = nullptr;
  REQUIRE(driver_function<int(void**, int)>("cuDevicePrimaryCtxRetain")(&context, 0) == 0);
  REQUIRE(driver_function<int(void*)>("cuCtxSetCurrent")(context) == 0);
  REQUIRE(driver_function<int(void**, const void*)>("cuModuleLoadData")(&module, fault_ptx) == 0);
  REQUIRE(driver_function<int(void**, void*, const char*)>("cuModuleGetFunction")(&kernel, module, "fault") == 0);
  using launch = int(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  REQUIRE(driver_function<launch>("cuLaunchKernel")(kernel, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr) == 0);
  return driver_function<int()>("cuCtxSynchronize")();
}

}  // namespace

TEST_SUITE_BEGIN("a fault");

TEST_CASE("a device that was lost refuses at once, shows it, and harms nothing else") {
  const tensor before = tensor::full({1000, 1000}, 1, dtype::f32, "cuda");
  const tensor host = random({64, 64}, dtype::f32);
  CHECK(sluice::rowsum(before)[7].item<float>() == 1000);
  CHECK(break_context() == 700);
  for (int i = 0; i < 3; ++i) {
    CHECK_REFUSED(tensor::full({4}, 1, dtype::f32, "cuda"), device_lost, "cuda:0 is lost", "only a new process");
    CHECK_REFUSED(before.to("cpu"), device_lost, "cuda:0 is lost");
    CHECK_REFUSED(host.to("cuda"), device_lost, "cuda:0 is lost");
    CHECK_REFUSED(sluice::matmul(before, before), device_lost, "cuda:0 is lost");
  }
  for (const auto& d : sluice::devices()) {
    CHECK(d.healthy == (d.where != sluice::device("cuda:0")));
    if (!d.healthy) CHECK(d.state.find("only a new process") != std::string::npos);
  }
  CHECK(same_bits(sluice::rowsum(host), sluice::rowsum(host, "cpu")));  // placed on the CPU by itself
}

TEST_SUITE_END();
TEST_SUITE_BEGIN("a fork");

TEST_CASE("a child of fork is refused, and its parent works on") {
  const tensor before = tensor::full({1000}, 2, dtype::f64, "cuda");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string wrong = refused([] { static_cast<void>(tensor::full({4}, 1, dtype::f32, "cuda")); }, error_code::unavailable,
                                {"does not survive fork"});
    wrong += refused([&] { static_cast<void>(before.to("cpu")); }, error_code::unavailable, {"does not survive fork"});
    if (!wrong.empty()) std::fprintf(stderr, "in the child: %s\n", wrong.c_str());
    ::_exit(wrong.empty() ? 0 : 1);
  }
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(sluice::rowsum(before).item<double>() == 2000);
}

TEST_SUITE_END();

// A child of fork that loads a model of its own runs it, whatever the parent's threads were doing with theirs.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "model_testing.hpp"

using namespace testing;
using sluice::model;

TEST_CASE("children of fork load and run models") {
  const auto file = model_file("mlp.onnx");
  const auto m = model::load(file);
  const tensor x = random({3, 4}, dtype::f32);
  const tensor y = m.run({x}).front();
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) {
      static_cast<void>(m.run({x}));
      static_cast<void>(model::load(file));
    }
  });
  int right = 0;
  for (int i = 0; i < 40; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(10);  // a wait that never ends
      bool same = false;
      try {
        same = same_bits(model::load(file).run({x}).front(), y);
      } catch (...) {
      }
      ::_exit(same ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    right += status == 0 ? 1 : 0;
  }
  stop = true;
  busy.join();
  CHECK(right == 40);
}

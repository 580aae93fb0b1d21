// Stands in a folder with a module that leaves a mark when it is entered: work on the CPU alone must not enter it.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sluice/dlpack.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/placement.hpp"
#include "testing.hpp"

using namespace testing;

namespace {

std::string marks() {
  std::stringstream text;
  text << std::ifstream(std::getenv("SLUICE_FAKE_MARK")).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("work on the CPU loads no module; asking for devices does, and wakes none") {
  std::filesystem::remove(std::getenv("SLUICE_FAKE_MARK"));
  const tensor a = random({30, 40}, dtype::f32, 1);
  const tensor b = random({40, 20}, dtype::f32, 2).to("cpu");
  CHECK(sluice::matmul(a, b).count() == 600);
  CHECK(sluice::matmul(a, b, "cpu").as(dtype::f16).clone().count() == 600);
  CHECK(sluice::rowsum(tensor::full({5}, 2)).item<float>() == 10);
  static_cast<void>(sluice::place(sluice::work_of(sluice::rowsum_op(), {a})));
  static_cast<void>(sluice::memory_statistics("cpu"));
  sluice::memory_trim("cpu");
  CHECK_REFUSED(tensor({-1}), invalid_argument, "(-1)");
  CHECK_REFUSED(sluice::device("no!"), invalid_argument, "no!");
  CHECK(marks() == "");

  // The proof that the mark would have shown: the module beside this program is found.
  CHECK(sluice::devices().size() == 3);
  CHECK(marks() == "entry\ncount\n");
  static_cast<void>(tensor({1}, dtype::f32, "fake:1"));
  CHECK(marks() == "entry\ncount\nwake\n");
}

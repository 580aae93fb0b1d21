// Devices, and the loader of their modules. CTest runs each suite in a process of its own, with another environment.
#include <filesystem>
#include <fstream>
#include <thread>

#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/placement.hpp"
#include "testing.hpp"

using namespace testing;
using sluice::device;

namespace {

std::string reason_of(std::string_view backend) {
  std::string reasons;
  for (const auto& r : sluice::refusals())
    if (r.backend == backend) reasons += r.reason + "\n";
  return reasons;
}

bool among_devices(std::string_view name) {
  for (const auto& d : sluice::devices())
    if (d.where.str() == name) return true;
  return false;
}

// How many devices and refusals there are but for those of CUDA's module, which may have been built beside this program.
std::size_t device_count() {
  std::size_t count = 0;
  for (const auto& d : sluice::devices()) count += d.where.backend() != "cuda";
  return count;
}

std::size_t refusal_count() {
  std::size_t count = 0;
  for (const auto& r : sluice::refusals()) count += r.backend != "cuda" && !r.backend.empty();
  return count;
}

bool has(std::string_view text, std::string_view word) { return text.find(word) != std::string_view::npos; }

}  // namespace

TEST_SUITE_BEGIN("names");

TEST_CASE("a device is written as it is read") {
  CHECK(device() == device::cpu);
  CHECK(device("cpu").str() == "cpu");
  CHECK(device("cpu:0") == device::cpu);
  CHECK(device("cuda") == device("cuda:0"));
  CHECK(device("cuda:12").str() == "cuda:12");
  CHECK(device("cuda:12").index() == 12);
  CHECK(device(std::string("automatic")).is_automatic());
  CHECK(device("automatic").str() == "automatic");
  CHECK(device("cpu:1").str() == "cpu:1");
  CHECK(device("cuda:0") != device("cuda:1"));
  CHECK(device("abcdefghijklmno").backend() == "abcdefghijklmno");  // 15 letters
}

TEST_CASE("text of another form is refused, and quoted") {
  for (const char* text : {"", ":", ":0", "cuda:", "cuda:x", "cuda:-1", "cuda:1:2", "cuda:00000", "CUDA", "cu da", "cuda:1 ",
                           "abcdefghijklmnop", "automatic:1"}) {
    INFO(std::string(text));
    CHECK_REFUSED(device(text), invalid_argument, in_quotes(text), "cuda:1");
  }
  CHECK_REFUSED(device(std::string_view("abcdefghijklmnop"), 0), invalid_argument, "15");
}

TEST_CASE("a device that is not there") {
  CHECK_REFUSED(tensor({2}, dtype::f32, "cpu:1"), unavailable, "there is no cpu:1", "cpu (1 device)");
  CHECK_REFUSED(tensor({2}, dtype::f32, "nosuch:3"), unavailable, "there is no nosuch:3");
  CHECK_REFUSED(sluice::memory_statistics("nosuch"), unavailable, "nosuch:0");
  CHECK_REFUSED(sluice::memory_trim("nosuch"), unavailable, "nosuch:0");
  CHECK_REFUSED(tensor({2}, dtype::f32, device::automatic), invalid_argument, "automatic");
  CHECK(sluice::devices().at(0).where == device::cpu);
  CHECK(sluice::devices().at(0).healthy);
}

TEST_SUITE_END();

// SLUICE_BACKEND_PATH: nothing, then a relative folder, then fake, then broken.
TEST_SUITE_BEGIN("loading");

TEST_CASE("a good module gives its devices, asleep until they are used") {
  CHECK(among_devices("fake:0"));
  CHECK(among_devices("fake:1"));
  CHECK(reason_of("fake").empty());
  for (const auto& d : sluice::devices())
    if (d.where.backend() == "fake") {
      CHECK_FALSE(d.awake);
      CHECK(d.healthy);
      CHECK(has(d.description, "fake device"));
    }
  CHECK_REFUSED(tensor({2}, dtype::f32, "fake:2"), unavailable, "there is no fake:2", "fake (2 devices)");
  static_cast<void>(tensor({2}, dtype::f32, "fake:1"));
  for (const auto& d : sluice::devices())
    if (d.where.backend() == "fake") CHECK(d.awake == (d.where.index() == 1));
}

TEST_CASE("every refusal keeps its reason") {
  struct {
    const char* backend;
    std::vector<const char*> words;
  } const expected[] = {{"older", {"version 0", "version 1"}},
                        {"newer", {"version 2", "version 1"}},
                        {"entryless", {"no symbol sluice_backend_entry"}},
                        {"null", {"no table"}},
                        {"empty", {"driver 535 is older than runtime 13.0"}},
                        {"negative", {"counts -3 devices"}},
                        {"failing", {"error 999 while counting"}},
                        {"tiny", {"17 bytes", "24"}},
                        {"shorter", {"no copy"}},
                        {"slotless", {"no allocate"}},
                        {"eventless", {"no event_create"}},
                        {"second", {"named cpu", "already"}},
                        {"misnamed", {"lower-case"}},
                        {"nameless", {"lower-case"}},
                        {"longname", {"15"}},
                        {"text", {"invalid ELF header"}},
                        {"folder", {"libsluice-folder.so"}},
                        {"orphan", {"libsluice_test_absent.so", "cannot open shared object file"}}};
  std::string no_such;
  try {
    static_cast<void>(tensor({2}, dtype::f32, "absent"));
  } catch (const sluice::error& e) {
    no_such = e.what();
  }
  for (const auto& e : expected) {
    const std::string backend = e.backend;
    const auto& words = e.words;
    const std::string reason = reason_of(backend);
    INFO(backend, ": ", reason);
    CHECK_FALSE(among_devices(backend + ":0"));
    for (const char* word : words) CHECK(has(reason, word));
    CHECK(has(no_such, backend + " was refused: "));
    for (const char* word : words) CHECK(has(no_such, word));
    for (const auto& r : sluice::refusals())
      if (r.backend == backend) CHECK(std::filesystem::path(r.path).filename() == "libsluice-" + r.backend + ".so");
  }
  CHECK(refusal_count() == std::size(expected));
}

TEST_CASE("a table shorter than ours lacks what it does not reach, and nothing else") {
  for (const char* name : {"short", "cut"}) {
    INFO(std::string(name));
    CHECK(among_devices(std::string(name) + ":0"));
    const tensor a({2, 2}, dtype::f32, name);
    const tensor b = a;
    CHECK(a.to("cpu").count() == 4);
    CHECK_REFUSED(tensor::full({2}, 1, dtype::f32, name), unsupported, "[full]", name);
    CHECK_REFUSED(sluice::matmul(a, b), unsupported, "[matmul]", name);
    CHECK_REFUSED(sluice::rowsum(a), unsupported, "[rowsum]", name);
  }
}

TEST_CASE("a device that does not describe itself is there, and unhealthy") {
  bool found = false;
  for (const auto& d : sluice::devices())
    if (d.where.backend() == "mute") {
      found = true;
      CHECK_FALSE(d.healthy);
      CHECK(d.state == "it does not answer");
    }
  CHECK(found);
}

TEST_CASE("a status that the table does not know is a defect") {
  CHECK_REFUSED(tensor({2}, dtype::f32, "odd"), internal, "gave no reason");
}

TEST_CASE("only libsluice-NAME.so is a module") {
  // libother-fake.so, libsluice-late.so.1, sluice-bare.so, libsluice-.so and others stand beside the broken ones.
  for (const auto& r : sluice::refusals()) CHECK(has(std::filesystem::path(r.path).filename().string(), "libsluice-"));
  for (const char* name : {"late", "bare", "other", ""}) CHECK(reason_of(name).empty());
}

TEST_SUITE_END();

// In a working directory that holds a good module, with SLUICE_BACKEND_PATH naming it by relative and empty entries.
TEST_SUITE_BEGIN("working directory");

TEST_CASE("relative and empty entries never mean the working directory") {
  REQUIRE(std::filesystem::exists("libsluice-fake.so"));
  CHECK(device_count() == 1);
  CHECK(refusal_count() == 0);
  CHECK_REFUSED(tensor({2}, dtype::f32, "fake"), unavailable, "there is no fake:0", "this machine has cpu (1 device)");
  for (const auto& r : sluice::refusals()) CHECK(std::filesystem::path(r.path).is_absolute());
}

TEST_SUITE_END();

// SLUICE_FAKE_WAKE=refuse
TEST_SUITE_BEGIN("refusing to wake");

TEST_CASE("a device that refuses to wake says so each time, and is unhealthy") {
  for (const auto& d : sluice::devices()) CHECK(d.healthy);  // nobody has asked yet
  for (int i = 0; i < 2; ++i) CHECK_REFUSED(tensor({2}, dtype::f32, "fake:1"), unavailable, "fake:1", "0 of 3 lamps burn");
  CHECK_REFUSED(tensor::zeros({2}).to("fake:1"), unavailable, "0 of 3 lamps burn");
  int unhealthy = 0;
  for (const auto& d : sluice::devices())
    if (!d.healthy) {
      ++unhealthy;
      CHECK(d.where == device("fake:1"));
      CHECK(has(d.state, "0 of 3 lamps burn"));
    }
  CHECK(unhealthy == 1);
  CHECK(refusal_count() == 1);
  CHECK(has(reason_of("fake:1"), "0 of 3 lamps burn"));
}

TEST_CASE("many threads at once hear the same refusal, and it is kept once") {
  std::atomic<int> refusals{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      if (refused([] { static_cast<void>(tensor({2}, dtype::f32, "fake:0")); }, error_code::unavailable, {"lamps"}).empty())
        ++refusals;
    });
  for (auto& t : threads) t.join();
  CHECK(refusals == 8);
  CHECK(reason_of("fake:0").find('\n') == reason_of("fake:0").size() - 1);
}

TEST_SUITE_END();

// Three runs: SLUICE_DEVICE=fake:1, =nonsense, =no!sense.
TEST_SUITE_BEGIN("override fake:1");

TEST_CASE("SLUICE_DEVICE names the device of work that names none") {
  const tensor a = random({5, 6}, dtype::f32, 1);
  const tensor b = random({6, 4}, dtype::f32, 2);
  CHECK(sluice::matmul(a, b).device() == device("fake:1"));
  CHECK(sluice::rowsum(a).device() == device("fake:1"));
  CHECK(same_bits(sluice::rowsum(a), sluice::rowsum(a, "cpu")));
  CHECK(sluice::rowsum(a, "fake:0").device() == device("fake:0"));
  CHECK(sluice::place(sluice::work_of(sluice::matmul_op(), {a, b})).because == sluice::why::environment);
  CHECK(sluice::place(sluice::work_of(sluice::matmul_op(), {a, b})).reason() == "fake:1: SLUICE_DEVICE names it");
  CHECK(tensor({2}).device() == device::cpu);  // memory goes where it is said to
}

TEST_SUITE_END();
TEST_SUITE_BEGIN("override nonsense");

TEST_CASE("SLUICE_DEVICE may name a device that is not there") {
  const tensor a = random({5, 6}, dtype::f32, 1);
  CHECK_REFUSED(sluice::rowsum(a), unavailable, "there is no nonsense:0", "cpu (1 device)", "fake (2 devices)");
  CHECK(sluice::rowsum(a, "cpu").count() == 5);
}

TEST_SUITE_END();
TEST_SUITE_BEGIN("override no!sense");

TEST_CASE("SLUICE_DEVICE may be no device's name, each time it is looked at") {
  const tensor a = random({5, 6}, dtype::f32, 1);
  for (int i = 0; i < 2; ++i) CHECK_REFUSED(sluice::rowsum(a), invalid_argument, "\"no!sense\"", "SLUICE_DEVICE");
  CHECK(sluice::rowsum(a, "cpu").count() == 5);
}

TEST_SUITE_END();

// The main of every test program. SLUICE_TEST_DEVICE=cuda asks for a device of that backend: where there is none the program
// says why, exits with 77, and CTest reports it as skipped. A filter that leaves no test to run is a failure.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "sluice/device.hpp"

namespace {

unsigned tests_chosen = 0;

struct counter : doctest::IReporter {
  explicit counter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override { tests_chosen = stats.numTestCasesPassingFilters; }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("counter", 1, counter);

bool has_device(std::string_view backend) {
  const auto all = sluice::devices();
  return std::any_of(all.begin(), all.end(), [&](const auto& d) { return d.where.backend() == backend; });
}

}  // namespace

int main(int argc, char** argv) {
  if (const char* wanted = std::getenv("SLUICE_TEST_DEVICE"); wanted != nullptr && !has_device(wanted)) {
    std::printf("skipped: there is no %s device\n", wanted);
    for (const auto& r : sluice::refusals())
      std::printf("  %s (%s): %s\n", r.backend.c_str(), r.path.c_str(), r.reason.c_str());
    return 77;
  }
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) return result;  // a query such as --list-test-cases
  if (tests_chosen > 0) return result;
  std::printf("no test was chosen\n");
  return 1;
}

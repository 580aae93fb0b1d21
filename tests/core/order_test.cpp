// The order of a device's work and the life of its memory, on the fake device, whose queues do everything later.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "sluice/dlpack.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/placement.hpp"
#include "testing.hpp"

using namespace testing;
using sluice::device;

namespace {

// Bytes in use once all is done that the device may still be about: memory may be given back later than its tensor goes.
std::uint64_t in_use(const device& where, sluice::memory kind = sluice::memory::device) {
  std::uint64_t bytes = 0;
  for (int i = 0; i < 400; ++i) {
    bytes = sluice::memory_statistics(where, kind).in_use;
    if (bytes == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return bytes;
}

}  // namespace

TEST_SUITE_BEGIN("order");

TEST_CASE("each step of a chain sees the one before, on whatever queue it runs") {
  for (int round = 0; round < 40; ++round) {
    tensor t = tensor::zeros({3, 4}, dtype::i64, "fake:0");
    for (int step = 1; step <= 25; ++step) t.assign(tensor::full({3, 4}, step, dtype::i64, "fake:0"));
    REQUIRE(t.slice(0, 2, 3).slice(1, 3, 4).item<std::int64_t>() == 25);
    tensor a = tensor::full({2, 2}, 1, dtype::f64, "fake:0");
    for (int step = 0; step < 9; ++step) a = sluice::matmul(a, a.transpose());  // 1, 2, 8, 128, ...
    REQUIRE(sluice::rowsum(a[0]).item<double>() == 0x1p512);
  }
}

TEST_CASE("a write waits for every read before it") {
  for (int round = 0; round < 30; ++round) {
    tensor t = tensor::full({50}, 1, dtype::f64, "fake:0");
    std::vector<tensor> sums;
    for (int i = 1; i <= 12; ++i) {
      sums.push_back(sluice::rowsum(t));
      sums.push_back(t.clone());
      t.assign(tensor::full({50}, i + 1, dtype::f64, "fake:0"));
    }
    for (int i = 0; i < 12; ++i) {
      REQUIRE(sums[static_cast<std::size_t>(2 * i)].item<double>() == 50 * (i + 1));
      REQUIRE(same_bits(sums[static_cast<std::size_t>(2 * i + 1)], tensor::full({50}, i + 1, dtype::f64)));
    }
  }
}

TEST_CASE("memory is freed only after the work on it, wherever it was read from") {
  for (int round = 0; round < 60; ++round) {
    tensor result;
    {
      const tensor host = tensor::full({40, 50}, round, dtype::f32);
      const tensor there = host.to("fake:0");
      result = sluice::rowsum(there.transpose().slice(0, 0, 50, 2));
    }  // the host's memory and the device's go here, while work waits in the queues
    REQUIRE(same_bits(result, tensor::full({25}, 40 * round)));
  }
}

TEST_CASE("wrapped memory is held until the device has read it") {
  for (int round = 0; round < 30; ++round) {
    std::atomic<bool> gone{false};
    auto memory = std::shared_ptr<float>(new float[3000], [&](float* p) {
      std::fill(p, p + 3000, -1.0f);
      gone = true;
      delete[] p;
    });
    std::fill(memory.get(), memory.get() + 3000, 2.0f);
    float* p = memory.get();
    const tensor there = tensor::wrap(p, {3000}, std::move(memory)).to("fake:1");
    CHECK(gone);  // nothing needs it any more: the last handle waited for the copy
    REQUIRE(sluice::rowsum(there).item<float>() == 6000);
  }
}

TEST_CASE("the host waits for the device before it reads, and for its reads before it writes") {
  for (int round = 0; round < 50; ++round) {
    const tensor there = tensor::full({2000}, round, dtype::i32, "fake:0");
    tensor host = there.to("cpu");
    REQUIRE(std::as_const(host).view<std::int32_t, 1>()(1999) == round);
    const tensor copy = host.to("fake:1");
    auto v = host.view<std::int32_t, 1>();
    for (int i = 0; i < 2000; ++i) v(i) = -7;
    REQUIRE(same_bits(copy, tensor::full({2000}, round, dtype::i32)));
    // Work on the CPU waits, too.
    tensor again = there.to("cpu");
    REQUIRE(sluice::rowsum(again).item<std::int64_t>() == 2000 * round);
    again.to("cpu").assign(tensor::full({2000}, 5, dtype::i32, "fake:1"));
    again.assign(tensor::full({2000}, 6, dtype::i32));
    REQUIRE(same_bits(again, tensor::full({2000}, 6, dtype::i32)));
  }
}

TEST_CASE("an export of the CPU's memory waits for the copy into it") {
  for (int round = 0; round < 20; ++round) {
    const tensor host = sluice::from_dlpack(sluice::to_dlpack(tensor::full({500}, round, dtype::f32, "fake:0").to("cpu")));
    REQUIRE(same_bits(host, tensor::full({500}, round)));
  }
  CHECK_REFUSED(sluice::to_dlpack(tensor::zeros({2}, dtype::f32, "fake:1")), unsupported, "fake:1");
}

TEST_CASE("pinned memory is the host's, and comes from the device's pool") {
  const auto before = in_use("fake:0", sluice::memory::pinned);
  {
    tensor pinned({100}, dtype::f32, "fake:0", sluice::memory::pinned);
    CHECK(pinned.device() == device::cpu);
    CHECK(sluice::memory_statistics("fake:0", sluice::memory::pinned).in_use == before + 400);
    auto v = pinned.view<float, 1>();
    for (int i = 0; i < 100; ++i) v(i) = 3;
    CHECK(sluice::rowsum(pinned.to("fake:0")).item<float>() == 300);
    pinned.assign(tensor::full({100}, 4, dtype::f32, "fake:0"));
    CHECK(sluice::rowsum(pinned).item<float>() == 400);
  }
  CHECK(in_use("fake:0", sluice::memory::pinned) == before);
}

TEST_CASE("two backends share host memory, and wait for each other's work here") {
  for (int round = 0; round < 30; ++round) {
    const tensor expected = tensor::full({300}, round + 1, dtype::f64);
    tensor pinned({300}, dtype::f64, "fake:0", sluice::memory::pinned);
    pinned.assign(tensor::full({300}, round, dtype::f64, "fake:0"));
    const tensor first = pinned.to("other:0");
    pinned.assign(tensor::full({300}, round + 1, dtype::f64, "other:1"));
    const tensor second = pinned.to("fake:1");
    const tensor third = pinned.to("other:1");
    pinned = tensor();  // read by both still
    REQUIRE(same_bits(first, tensor::full({300}, round, dtype::f64)));
    REQUIRE(same_bits(second, expected));
    REQUIRE(same_bits(third.to("fake:0"), expected));
    const tensor product = sluice::matmul(first.reshape({1, 300}), second.reshape({300, 1}), "other:1");
    REQUIRE(product.item<double>() == 300.0 * round * (round + 1));
  }
}

TEST_CASE("a view of a device's memory is refused") {
  const tensor t = tensor::zeros({2}, dtype::f32, "fake:1");
  CHECK_REFUSED((t.view<float, 1>()), invalid_argument, "fake:1", "to(\"cpu\")");
}

TEST_CASE("chains of work over tensors shared by many threads, every bit checked") {
  const tensor a = random({24, 24}, dtype::f32, 1);
  const tensor b = random({24, 24}, dtype::f32, 2);
  const tensor a0 = a.to("fake:0");
  const tensor b1 = b.to("fake:1");
  const auto chain = [&](const tensor& x, const tensor& y, const device& where, int i) {
    const tensor p = sluice::matmul(x, y.transpose(), where);
    const tensor q = sluice::matmul(p.slice(0, 0, 24, 1 + i % 3), x, where).as(dtype::f64);
    return sluice::rowsum(q.transpose(), where);
  };
  std::vector<std::vector<std::uint8_t>> expected;  // the fake device's own, done one at a time
  for (int i = 0; i < 3; ++i) expected.push_back(bytes_of(chain(a.to("fake:0"), b.to("fake:0"), "fake:0", i)));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 12; ++i) {
        const tensor mine = a0;  // handles of the same memory
        const device where("fake", (t + i) % 2);
        if (bytes_of(chain(mine, b1, where, i)) != expected[static_cast<std::size_t>(i % 3)]) ++wrong;
        tensor own = tensor::full({24}, t, dtype::i64, where);
        own.slice(0, 0, 24, 2).assign(tensor::full({12}, i, dtype::i64, where));
        if (sluice::rowsum(own).item<std::int64_t>() != 12 * t + 12 * i) ++wrong;
      }
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
}

TEST_CASE("nothing is left once all tensors are gone") {
  for (const char* where : {"fake:0", "fake:1"}) {
    CHECK(in_use(where) == 0);
    CHECK(sluice::memory_statistics(where).allocations > 0);
    CHECK(sluice::memory_statistics(where).peak > 0);
  }
}

TEST_SUITE_END();

// The device is lost for the process: a run of its own.
TEST_SUITE_BEGIN("loss");

TEST_CASE("a failure that comes late is heard at the next host access, which names the operation; then at once") {
  const tensor before = tensor::full({10}, 1, dtype::f32, "fake:1");
  static_cast<void>(before.data());
  {
    const tensor lost = tensor::full({10}, -77777, dtype::f32, "fake:1");  // says nothing yet
    for (int i = 0; i < 2; ++i) CHECK_REFUSED(lost.data(), device_lost, "[full]", "fake:1 is lost", "-77777");
  }  // its memory goes without a word
  CHECK_REFUSED(before.to("cpu"), device_lost, "[fake:1] fake:1 is lost: it filled with -77777");
  CHECK_REFUSED(sluice::rowsum(before), device_lost, "fake:1 is lost");  // the operand is gone, wherever the work goes
  CHECK_REFUSED(tensor({10}, dtype::f32, "fake:1"), device_lost, "fake:1 is lost");
  CHECK_REFUSED(tensor({10}, dtype::f32, "fake:1", sluice::memory::pinned), device_lost, "fake:1 is lost");
  CHECK_REFUSED(sluice::rowsum(tensor::zeros({2, 2}), "fake:1"), device_lost, "fake:1 is lost");
  for (const auto& d : sluice::devices()) {
    CHECK(d.healthy == (d.where != device("fake:1")));
    CHECK(d.lost == !d.healthy);
    CHECK(d.state == (d.lost ? "it filled with -77777" : ""));
  }
  CHECK(tensor::full({10}, 2, dtype::i32, "fake:0").slice(0, 9, 10).item<std::int32_t>() == 2);
}

TEST_CASE("placement passes a lost device over, and says so") {
  const auto all = sluice::devices();
  REQUIRE(std::any_of(all.begin(), all.end(), [](const auto& d) { return d.lost; }));  // by the case before
  sluice::work w = sluice::work_of(sluice::rowsum_op(), {tensor::zeros({4, 4})});
  w.operands[0].where = "fake:1";
  auto d = sluice::place(w);
  CHECK(d.where == device::cpu);
  CHECK(d.because == sluice::why::device_lost);
  CHECK(d.reason() == "cpu: fake:1 is lost (it filled with -77777)");
  CHECK(d.estimate_count == 1);
  const device two[] = {"fake:1", "fake:0"};
  d = sluice::place(w, two);
  CHECK(d.where == device("fake:0"));
  CHECK(d.reason() == "fake:0: fake:1 is lost (it filled with -77777)");
  CHECK_REFUSED(sluice::place(w, std::span(two).first(1)), device_lost, "[place] rowsum", "fake:1 (it filled with -77777)");
  CHECK(sluice::place(w, "fake:1").where == device("fake:1"));  // whoever names it has the error
}

TEST_SUITE_END();
// Again a run of its own: core must not know of the loss yet.
TEST_SUITE_BEGIN("writer lost");

TEST_CASE("memory read by a healthy device is held, though the write to it failed") {
  tensor host = tensor::full({4000}, 1, dtype::f64);
  std::vector<tensor> reads{host.to("fake:0")};
  host.assign(tensor::full({4000}, -77777, dtype::f64, "fake:1"));
  for (int i = 0; i < 20; ++i) reads.push_back(host.to("fake:0"));
  host = tensor();
  for (const auto& r : reads) CHECK(same_bits(r, tensor::full({4000}, 1, dtype::f64)));
}

TEST_SUITE_END();

// SLUICE_FAKE_LIMIT=100000
TEST_SUITE_BEGIN("limit");

TEST_CASE("memory that is not there is refused with the numbers, and comes back") {
  {
    const tensor half({60000}, dtype::u8, "fake:0");
    CHECK_REFUSED(tensor({50000}, dtype::u8, "fake:0"), out_of_memory, "50000 bytes", "60000 of 100000");
    CHECK_REFUSED(half.clone(), out_of_memory, "60000 of 100000");
    CHECK_REFUSED(half.as(dtype::i64), out_of_memory, "480000 bytes");
    CHECK_REFUSED(sluice::matmul(tensor::zeros({200, 1}), tensor::zeros({1, 200}), "fake:0"), out_of_memory, "160000 bytes");
    static_cast<void>(tensor({50000}, dtype::u8, "fake:1"));  // each device has its own
  }
  CHECK(in_use("fake:0") == 0);
  CHECK(tensor({100000}, dtype::u8, "fake:0").count() == 100000);
}

TEST_SUITE_END();

// A scheduler that gathers: two calls in, one run, two answers out.
#include "execution/scheduler.hpp"

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "codec/codec_registry.hpp"
#include "execution/executor.hpp"
#include "http/protocol.hpp"
#include "service_testing.hpp"

using namespace sluice;
using namespace testing;
using serving::call;
using serving::call_result;

namespace {

// The rows of `a`, then those of `b`.
tensor joined(const tensor& a, const tensor& b) {
  tensor both(shape{a.extent(0) + b.extent(0), a.extent(1)}, a.dtype());
  std::memcpy(both.data(), a.contiguous().data(), a.bytes());
  std::memcpy(static_cast<char*>(both.data()) + a.bytes(), b.contiguous().data(), b.bytes());
  return both;
}

// Computes calls by twos: the first waits without its permit, the second computes for both.
class gathering_scheduler final : public serving::scheduler {
 public:
  call_result submit(call& c) override {
    std::unique_lock lock(mutex_);
    if (waiting_ == nullptr) {
      waiting_ = &c;
      return wait(c, lock);
    }
    call& first = *std::exchange(waiting_, nullptr);
    lock.unlock();
    return compute_both(first, c);
  }

 private:
  call_result wait(call& c, std::unique_lock<std::mutex>& lock) {
    if (c.permit != nullptr) c.permit->release();
    changed_.wait(lock, [&] { return done_.has_value(); });
    auto own = *std::exchange(done_, std::nullopt);
    lock.unlock();
    if (c.permit != nullptr) CHECK(c.permit->acquire() == serving::compute_queue::outcome::done);
    return own;
  }

  call_result compute_both(call& first, call& second) {
    const std::int64_t split = first.inputs[0].extent(0);
    second.take({joined(first.inputs[0], second.inputs[0])});
    const call_result all = compute(second);
    const auto part = [&](std::int64_t begin, std::int64_t end) {
      return call_result{{all.results[0].slice(0, begin, end).contiguous()}, all.where};
    };
    {
      const std::lock_guard lock(mutex_);
      done_ = part(0, split);
    }
    changed_.notify_all();
    return part(split, all.results[0].extent(0));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  call* waiting_ = nullptr;
  std::optional<call_result> done_;  // for the one that waited
};

endpoint counted_rowsum(std::atomic<int>& runs, std::atomic<std::int64_t>& rows) {
  return {.name = "sums",
          .summary = "rowsum, counted",
          .inputs = {{.name = "a", .dtypes = {dtype::f32}, .min_rank = 2, .max_rank = 2}},
          .outputs = {{.name = "result", .min_rank = 1, .max_rank = 1}},
          .run = [&](std::span<const tensor> in, const call_context& c) {
            ++runs;
            rows += in[0].extent(0);
            return std::vector{rowsum(in[0], c.where)};
          }};
}

response post(serving::protocol& p, std::string body) {
  const request r{.method = "POST", .path = "/v1/sums", .body = body};
  serving::request_context record;
  return p.answer(r, record);
}

}  // namespace

TEST_CASE("two concurrent calls are computed as one, and each gets its own rows") {
  service_options o;
  o.compute_workers = 1;  // the second computes while the first waits: its permit is lent
  SUBCASE("small bodies, decoded by the connection's thread") {}
  SUBCASE("decoded by a worker") { o.inline_bytes = -1; }
  serving::executor e(o, std::make_unique<gathering_scheduler>());
  std::atomic<int> runs{0};
  std::atomic<std::int64_t> rows{0};
  e.endpoints.add(counted_rowsum(runs, rows));
  const auto v1 = serving::v1(e, serving::standard_codecs());
  std::string first, second;
  std::thread other([&] { first = result(post(*v1, R"({"a":[[1,2],[3,4],[5,6]]})")); });
  second = result(post(*v1, R"({"a":[[10,20]]})"));
  other.join();
  CHECK(first == "[3,7,11]");
  CHECK(second == "[30]");
  CHECK(runs == 1);
  CHECK(rows == 4);
  CHECK(e.compute.now().free == 1);
}

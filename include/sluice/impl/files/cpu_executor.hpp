// The executor of the CPU: a thread reads a chunk and computes it while it is in its cache.
#pragma once

#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "sluice/impl/base/background_task.hpp"
#include "sluice/impl/files/executor.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// What a thread takes at once: about 1 ms until another caller of the pool may have its place, and a window that is worth
// the mapping.
inline constexpr std::int64_t run_bytes = 8 << 20;

// Results that wait for one before them, at most.
inline std::int64_t capacity_for(const chunk_plan& cut, std::int64_t result_row_bytes) {
  const std::int64_t each = std::max<std::int64_t>(1, cut.rows_per_chunk * result_row_bytes);
  return std::clamp<std::int64_t>((8 << 20) / each, parallel_size() + 2, 1024);
}

class cpu_executor {
 public:
  cpu_executor(const run_plan& plan, const chunk_op& what, result_file& out, run_monitor& w)
      : in_(plan.in),
        plan_of_chunks_(out.cut()),
        what_(what),
        out_(out),
        monitor_(w),
        results_(out.pieces(), what.keeps_rows() ? parallel_size() + 2 : capacity_for(plan_of_chunks_, plan.row_bytes),
                 [this](std::int64_t, chunk_result&& r) { out_.take(std::move(r)); }),
        next_(out.pieces()) {}

  // Every thread reads a piece and computes it while it is in its cache.
  void run_at_any_offset() {
    const std::int64_t end = plan_of_chunks_.pieces();
    // As many pieces of a window as keep all threads at work to the end.
    const std::int64_t chunks_of_a_region = std::clamp<std::int64_t>(
        (end - next_.load()) / (8 * parallel_size()), 1,
        std::max<std::int64_t>(1, run_bytes / std::max<std::int64_t>(1, plan_of_chunks_.chunk_bytes())));
    while (next_.load() < end) {
      for_a_while(monitor_.interval(), readers_of(in_, 0), [&] {
        // By reading one at a time: a file that is not in memory comes in its own order then, which the kernel reads ahead
        // in.
        const std::int64_t length = maps() ? chunks_of_a_region : 1;
        const std::int64_t first = next_.fetch_add(length, std::memory_order_relaxed);
        if (first >= end) return false;
        try {
          return from_mapping(first, std::min(end, first + length)) || by_reading(first, std::min(end, first + length));
        } catch (...) {
          results_.fail();
          throw;
        }
      });
      housekeeping(out_, monitor_);
    }
  }

  // The calling thread reads some pieces while the pool computes those before.
  void run_in_order() {
    base::background_task<void> computed;
    for (bool more = true; more;) {
      auto batch = std::make_shared<std::vector<tensor>>();
      more = read_batch(*batch);
      if (computed.valid()) computed.get();
      housekeeping(out_, monitor_);
      done_ = {out_.bytes(), out_.rows()};
      computed = base::background_task<void>("sluice-compute", [this, batch, first = next_.load() - std::ssize(*batch)] {
        parallel_for(std::ssize(*batch), [&](std::int64_t k) {
          try {
            results_.put(first + k, computed_of((*batch)[static_cast<std::size_t>(k)]));
          } catch (...) {
            results_.fail();
            throw;
          }
        });
      });
    }
    computed.get();
    housekeeping(out_, monitor_);
  }

 private:
  [[nodiscard]] bool maps() const { return !what_.keeps_rows() && source_of(in_).maps(); }

  // False at a stop: nobody is to wait for the pieces that are left out then.
  bool go_on() {
    if (!monitor_.stop_requested()) return true;
    results_.fail();
    return false;
  }

  bool by_reading(std::int64_t first, std::int64_t end) {
    tensor& buffer = own_buffer();
    for (std::int64_t i = first; i < end; ++i) {
      if (!go_on()) return false;
      const shape extents = plan_of_chunks_.extents(i);
      if (what_.keeps_rows() || buffer.shape() != extents) buffer = tensor(extents, in_.dtype());
      {
        const stage_timer timer(monitor_.stages.read);
        source_of(in_).read(plan_of_chunks_.byte(i), memory_of(buffer));
      }
      results_.put(i, computed_of(buffer));
    }
    return true;
  }

  // This thread's: memory that another core wrote last is slower to write.
  tensor& own_buffer() {
    const std::lock_guard lock(mutex_);
    return buffers_[std::this_thread::get_id()];
  }

  // The same without a copy, where the source can be mapped; false where it cannot.
  bool from_mapping(std::int64_t first, std::int64_t end) {
    if (!maps()) return false;
    const std::int64_t begin = plan_of_chunks_.byte(first);
    const mapped_region w = source_of(in_).map(begin, plan_of_chunks_.byte(end) - begin);
    // Operations never write their inputs.
    auto* const data = const_cast<std::byte*>(w.bytes().data());
    if (data == nullptr ||
        reinterpret_cast<std::uintptr_t>(data) % static_cast<std::size_t>(plan_of_chunks_.element_bytes) != 0)
      return false;
    std::vector<chunk_result> results;
    for (std::int64_t i = first; i < end && !monitor_.stop_requested(); ++i) {
      const shape extents = plan_of_chunks_.extents(i);
      results.push_back(computed_of(
          tensor::wrap(data + (plan_of_chunks_.byte(i) - begin), in_.dtype(), extents, row_major(extents), nullptr)));
    }
    w.check();
    for (auto& r : results) results_.put(first++, std::move(r));
    return first == end || go_on();
  }

  chunk_result computed_of(const tensor& rows) {
    const stage_timer timer(monitor_.stages.compute);
    chunk_result r = what_.run(rows);
    if (what_.keeps_rows()) r.kept = rows;
    r.input_bytes = static_cast<std::int64_t>(rows.bytes());
    return r;
  }

  // False at the end.
  bool read_batch(std::vector<tensor>& batch) {
    const std::int64_t end = plan_of_chunks_.pieces();
    while (std::ssize(batch) < 2 * parallel_size()) {
      if (next_.load() == end) {
        expect_end(in_, monitor_, done_);
        return false;
      }
      tensor piece(plan_of_chunks_.extents(next_.load()), in_.dtype());
      const auto memory = memory_of(piece);
      const std::size_t n = read_next(in_, memory, monitor_, done_);
      if (n < memory.size()) piece = first_bytes(piece, plan_of_chunks_, n);
      if (n < memory.size() && n == 0) return false;
      batch.push_back(std::move(piece));
      ++next_;
      if (n < memory.size()) return false;
    }
    return true;
  }

  const file_stream& in_;
  const chunk_plan& plan_of_chunks_;
  const chunk_op& what_;
  result_file& out_;
  run_monitor& monitor_;
  reorder_buffer<chunk_result> results_;
  std::atomic<std::int64_t> next_;
  std::mutex mutex_;  // of the next
  std::map<std::thread::id, tensor> buffers_;
  run_progress done_;  // when the pool last had nothing to do
};

inline void run_on_cpu(const run_plan& plan, const chunk_op& what, result_file& out, run_monitor& w) {
  cpu_executor executor(plan, what, out, w);
  if (plan.in.seekable())
    executor.run_at_any_offset();
  else
    executor.run_in_order();
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

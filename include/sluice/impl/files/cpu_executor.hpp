// The executor of the CPU: a thread reads a chunk and computes it while the chunk is in its cache.
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

// What a thread maps at once, at most: about 1 ms of work until another caller of the pool gets its place.
inline constexpr std::int64_t region_bytes = 8 << 20;
inline constexpr std::int64_t least_region_bytes = 2 << 20;  // smaller regions are slower than reading

inline std::int64_t share_of_budget(std::int64_t threads) { return cpu_budget_bytes / std::max<std::int64_t>(1, threads); }

// The largest chunk of rows, at most `most` bytes, that fits into the share of one of all threads: with its own results and
// as many that wait; two such chunks where the source is read once only, one being read and one computed.
inline std::int64_t fitting_chunk_bytes(const file_stream& in, std::int64_t row_bytes, std::int64_t result_row_bytes,
                                        std::int64_t most) {
  const std::int64_t share = share_of_budget(in.seekable() ? readers_of(in, 0) : 2 * parallel_size());
  const double larger = static_cast<double>(std::max<std::int64_t>({1, row_bytes, result_row_bytes}));
  const double held = static_cast<double>(row_bytes) + 2 * static_cast<double>(result_row_bytes);
  return std::min(most, static_cast<std::int64_t>(static_cast<double>(share) * std::min(1.0, larger / held)));
}

// Bytes that a thread holds for one chunk.
inline std::int64_t held_bytes(const chunk_plan& chunks, std::int64_t result_row_bytes) {
  return std::max<std::int64_t>(1, chunks.chunk_bytes() + 2 * chunks.rows_per_chunk * result_row_bytes);
}

// Threads that read. Fewer than usual where chunks cannot be made small enough, unless the caller chose chunks so large.
inline int cpu_readers(const run_plan& plan, const chunk_plan& chunks) {
  const int usual = readers_of(plan.in, 0);
  if (plan.in.chunk_bytes() >= chunks.chunk_bytes()) return usual;
  return static_cast<int>(std::clamp<std::int64_t>(plan.readers_budget / held_bytes(chunks, plan.row_bytes), 1, usual));
}

// Chunks that a thread maps at once; 0: it reads them. It keeps their results until the region is checked.
inline std::int64_t chunks_per_region(const chunk_plan& chunks, std::int64_t result_row_bytes, int threads) {
  const std::int64_t bytes = std::min(region_bytes, share_of_budget(threads));
  if (bytes < least_region_bytes) return 0;
  const std::int64_t each = std::max(chunks.chunk_bytes(), 2 * chunks.rows_per_chunk * result_row_bytes);
  return std::max<std::int64_t>(1, bytes / std::max<std::int64_t>(1, each));
}

// Chunks of a batch, where one batch is read while another is computed.
inline std::int64_t chunks_per_batch(const chunk_plan& chunks, std::int64_t result_row_bytes) {
  return std::clamp<std::int64_t>(cpu_budget_bytes / 2 / held_bytes(chunks, result_row_bytes), 1, 2 * parallel_size());
}

// Results that wait for one before them, at most.
inline std::int64_t capacity_for(const chunk_plan& chunks, std::int64_t result_row_bytes, int threads) {
  const std::int64_t each = std::max<std::int64_t>(1, chunks.rows_per_chunk * result_row_bytes);
  return std::clamp<std::int64_t>((8 << 20) / each, threads + 2, 1024);
}

class cpu_executor {
 public:
  cpu_executor(const run_plan& plan, const chunk_op& what, result_file& out, run_monitor& w)
      : in_(plan.in),
        chunks_(out.chunks()),
        what_(what),
        out_(out),
        monitor_(w),
        readers_(cpu_readers(plan, chunks_)),
        region_chunks_(chunks_per_region(chunks_, plan.row_bytes, readers_)),
        batch_chunks_(chunks_per_batch(chunks_, plan.row_bytes)),
        results_(out.chunks_done(),
                 what.keeps_rows() ? readers_ + 2
                                   : capacity_for(chunks_, plan.row_bytes, in_.seekable() ? readers_ : parallel_size()),
                 [this](std::int64_t, chunk_result&& r) { out_.take(std::move(r)); }),
        next_(out.chunks_done()) {}

  // Every thread reads chunks and computes them.
  void run_at_any_offset() {
    const std::int64_t end = chunks_.count();
    // Fewer chunks of a region where that keeps all threads at work to the end.
    const std::int64_t chunks_of_a_region =
        std::clamp<std::int64_t>((end - next_.load()) / (8 * parallel_size()), 1, std::max<std::int64_t>(1, region_chunks_));
    while (next_.load() < end) {
      for_a_while(monitor_.interval(), readers_, [&] {
        // One at a time where chunks are read: the file is then read in order, which the kernel reads ahead.
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

  // The calling thread reads a batch of chunks while the pool computes the batch before.
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
  [[nodiscard]] bool maps() const { return region_chunks_ > 0 && !what_.keeps_rows() && source_of(in_).maps(); }

  // False at a stop, which also wakes all who wait for chunks that will not be computed.
  bool proceed() {
    if (!monitor_.stop_requested()) return true;
    results_.fail();
    return false;
  }

  bool by_reading(std::int64_t first, std::int64_t end) {
    tensor& buffer = own_buffer();
    for (std::int64_t i = first; i < end; ++i) {
      if (!proceed()) return false;
      const shape extents = chunks_.extents(i);
      if (what_.keeps_rows() || buffer.shape() != extents) buffer = tensor(extents, in_.dtype());
      {
        const stage_timer timer(monitor_.stages.read);
        source_of(in_).read(chunks_.byte(i), memory_of(buffer));
      }
      results_.put(i, computed_of(buffer));
    }
    return true;
  }

  // A buffer per thread: memory that another core wrote last is slower to write.
  tensor& own_buffer() {
    const std::lock_guard lock(mutex_);
    return buffers_[std::this_thread::get_id()];
  }

  // The same without a copy, where the source can be mapped; false where it cannot.
  bool from_mapping(std::int64_t first, std::int64_t end) {
    if (!maps()) return false;
    const std::int64_t begin = chunks_.byte(first);
    const mapped_region w = source_of(in_).map(begin, chunks_.byte(end) - begin);
    // Operations never write their inputs.
    auto* const data = const_cast<std::byte*>(w.bytes().data());
    if (data == nullptr || reinterpret_cast<std::uintptr_t>(data) % static_cast<std::size_t>(chunks_.element_bytes) != 0)
      return false;
    std::vector<chunk_result> results;
    for (std::int64_t i = first; i < end && !monitor_.stop_requested(); ++i) {
      const shape extents = chunks_.extents(i);
      results.push_back(
          computed_of(tensor::wrap(data + (chunks_.byte(i) - begin), in_.dtype(), extents, row_major(extents), nullptr)));
    }
    w.check();
    for (auto& r : results) results_.put(first++, std::move(r));
    return first == end || proceed();
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
    const std::int64_t end = chunks_.count();
    while (std::ssize(batch) < batch_chunks_) {
      if (next_.load() == end) {
        expect_end(in_, monitor_, done_);
        return false;
      }
      tensor chunk(chunks_.extents(next_.load()), in_.dtype());
      const auto memory = memory_of(chunk);
      const std::size_t n = read_next(in_, memory, monitor_, done_);
      if (n < memory.size()) chunk = first_bytes(chunk, chunks_, n);
      if (n < memory.size() && n == 0) return false;
      batch.push_back(std::move(chunk));
      ++next_;
      if (n < memory.size()) return false;
    }
    return true;
  }

  const file_stream& in_;
  const chunk_plan& chunks_;
  const chunk_op& what_;
  result_file& out_;
  run_monitor& monitor_;
  const int readers_;
  const std::int64_t region_chunks_;
  const std::int64_t batch_chunks_;
  reorder_buffer<chunk_result> results_;
  std::atomic<std::int64_t> next_;
  std::mutex mutex_;  // of the next
  std::map<std::thread::id, tensor> buffers_;
  run_progress done_;  // when the pool last had nothing to do
};

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

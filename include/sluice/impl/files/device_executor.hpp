// The executor of devices: a ring of pinned chunks that all readers fill, without a pause, while copies and kernels run.
#pragma once

#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>

#include "sluice/impl/files/executor.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

inline constexpr std::int64_t block_bytes = 1 << 20;  // that a thread reads at once
// Of a device's chunks. To pin memory takes 10 ms for 16 MiB: 16 GiB went by 46 GB/s with 48 MiB, 45 with 64, 40 with 128.
inline constexpr std::int64_t ring_bytes = 48 << 20;
inline constexpr std::int64_t least_chunks = 3;  // one is filled, one copied, one computed
inline constexpr std::int64_t most_chunks = 16;

class device_executor {
 public:
  device_executor(const run_plan& plan, const chunk_op& what, const std::vector<device>& devices, result_file& out,
                  run_monitor& w)
      : in_(plan.in),
        chunks_(out.chunks()),
        what_(what),
        devices_(devices),
        out_(out),
        monitor_(w),
        blocks_((std::max<std::int64_t>(1, chunks_.chunk_bytes()) + block_bytes - 1) / block_bytes),
        first_(out.chunks_done()),
        ring_(static_cast<std::size_t>(ring_size())),
        results_(first_, ring_size() + parallel_size() + 1,
                 [this](std::int64_t, chunk_result&& r) { out_.take(std::move(r)); }) {}

  void run_at_any_offset() {
    const std::int64_t end = chunks_.count();
    const std::int64_t all = checked_product(end - first_, blocks_);
    while (next_.load() < all) {
      for_a_while(monitor_.interval(), readers_of(in_, std::ssize(devices_)), [&] {
        if (monitor_.stop_requested()) return false;
        const std::int64_t block = next_.fetch_add(1, std::memory_order_relaxed);
        if (block >= all) return false;
        try {
          read_block_of(first_ + block / blocks_, block % blocks_);
        } catch (...) {
          fail();
          throw;
        }
        return true;
      });
      housekeeping(out_, monitor_);
    }
    drain(end);
  }

  void run_in_order() {
    const std::int64_t end = chunks_.count();
    std::int64_t chunk = first_;
    for (; chunk < end; ++chunk) {
      slot& s = slot_of(chunk);
      prepare(s, chunk);
      const std::size_t n = read_next(in_, s.memory, monitor_, {out_.bytes(), out_.rows()});
      const bool whole = n == s.memory.size();
      if (whole || n > 0) send(s, chunk, whole ? s.host : first_bytes(s.host, chunks_, n));
      if (!whole) return drain(chunk + (n > 0 ? 1 : 0));
      housekeeping(out_, monitor_);
    }
    expect_end(in_, monitor_, {out_.bytes(), out_.rows()});
    drain(end);
  }

 private:
  // A chunk's place in the ring.
  struct slot {
    std::mutex mutex;
    std::condition_variable changed;
    std::int64_t chunk = -1;  // that is being filled, or was sent
    bool sent = true;
    std::atomic<std::int64_t> blocks_left{0};
    tensor buffer;  // pinned
    tensor host;    // the chunk, in it
    std::span<std::byte> memory;
    chunk_result result;  // being copied to the host
  };

  [[nodiscard]] std::int64_t ring_size() const {
    const std::int64_t fit = ring_bytes / std::max<std::int64_t>(1, chunks_.chunk_bytes());
    return std::clamp(fit, least_chunks, most_chunks) * std::ssize(devices_);  // a slot is always of the same device
  }
  slot& slot_of(std::int64_t chunk) { return ring_[static_cast<std::size_t>(chunk) % ring_.size()]; }
  const device& device_of(std::int64_t chunk) const { return devices_[static_cast<std::size_t>(chunk) % devices_.size()]; }

  void fail() {
    failed_ = true;
    results_.fail();
    for (slot& s : ring_) {
      const std::lock_guard lock(s.mutex);
      s.changed.notify_all();
    }
  }

  // Makes the slot the chunk's, once the one before has left it. False when the run has failed.
  bool prepare(slot& s, std::int64_t chunk) {
    const std::int64_t previous = chunk - std::ssize(ring_) >= first_ ? chunk - std::ssize(ring_) : -1;
    std::unique_lock lock(s.mutex);
    s.changed.wait(lock, [&] { return failed_.load() || s.chunk == chunk || (s.chunk == previous && s.sent); });
    if (failed_) return false;
    if (s.chunk == chunk) return true;
    if (s.chunk >= 0) results_.put(s.chunk, std::move(s.result));
    s.result = {};
    s.host = {};
    // What waits for totals is not written over.
    if (s.buffer.count() == 0 || what_.keeps_rows())
      s.buffer = tensor({chunks_.rows_per_chunk, chunks_.chunk_columns}, in_.dtype(), device_of(chunk), memory::pinned);
    const shape extents = chunks_.extents(chunk);
    s.host = s.buffer.slice(0, 0, extents[0]).slice(1, 0, extents[1]);
    s.memory = memory_of(s.host);  // waits for the copy of the chunk before
    s.blocks_left = blocks_;
    s.chunk = chunk;
    s.sent = false;
    s.changed.notify_all();
    return true;
  }

  void read_block_of(std::int64_t chunk, std::int64_t block) {
    slot& s = slot_of(chunk);
    if (!prepare(s, chunk)) return;
    const auto begin = static_cast<std::size_t>(block * block_bytes);
    if (begin < s.memory.size()) {
      const stage_timer timer(monitor_.stages.read);
      const std::size_t count = std::min<std::size_t>(block_bytes, s.memory.size() - begin);
      source_of(in_).read(chunks_.byte(chunk) + static_cast<std::int64_t>(begin), s.memory.subspan(begin, count));
    }
    if (s.blocks_left.fetch_sub(1) == 1) send(s, chunk, s.host);
  }

  // Enqueues the copies and the op; waits for none of them.
  void send(slot& s, std::int64_t chunk, const tensor& rows) {
    const device& where = device_of(chunk);
    if (chunk == first_) time_first_chunk(rows, where);
    tensor there(rows.shape(), rows.dtype(), where);
    there.assign(rows);
    chunk_result r = what_.run(there);
    bring_back(r.rows, where);
    bring_back(r.totals, where);
    if (what_.keeps_rows()) r.kept = rows;
    r.input_bytes = static_cast<std::int64_t>(rows.bytes());
    const std::lock_guard lock(s.mutex);
    s.result = std::move(r);
    s.sent = true;
    s.changed.notify_all();
  }

  static void bring_back(tensor& t, const device& where) {
    if (t.count() == 0) {
      t = tensor(t.shape(), t.dtype());
      return;
    }
    tensor host(t.shape(), t.dtype(), where, memory::pinned);
    host.assign(t);
    t = std::move(host);
  }

  // Times the copy and the op of the first chunk separately: the least of three, since the first run initialises the device
  // and readers disturb any. Later chunks overlap, so that their parts cannot be timed.
  void time_first_chunk(const tensor& rows, const device& where) {
    tensor there(rows.shape(), rows.dtype(), where);
    const auto step = [&](auto&& work) {
      const auto begin = clock::now();
      work();
      return static_cast<double>((clock::now() - begin).count()) /
             static_cast<double>(std::max<std::size_t>(1, rows.bytes()));
    };
    copy_ns_ = compute_ns_ = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 3; ++i) {
      copy_ns_ = std::min(copy_ns_, step([&] {
                            there.assign(rows);
                            static_cast<void>(std::as_const(there).data());
                          }));
      compute_ns_ = std::min(compute_ns_, step([&] {
                               const chunk_result r = what_.run(there);
                               static_cast<void>(r.rows.data());  // waits
                             }));
    }
  }

  void drain(std::int64_t end) {
    for (std::int64_t chunk = std::max(first_, end - std::ssize(ring_)); chunk < end; ++chunk) {
      slot& s = slot_of(chunk);
      if (s.chunk == chunk && s.sent) results_.put(chunk, std::move(s.result));
      s.chunk = -1;
    }
    housekeeping(out_, monitor_);
    const auto bytes = static_cast<double>(out_.bytes() - monitor_.resumed()) / static_cast<double>(devices_.size());
    monitor_.stages.copy += static_cast<std::int64_t>(copy_ns_ * bytes);
    monitor_.stages.compute += static_cast<std::int64_t>(compute_ns_ * bytes);
  }

  const file_stream& in_;
  const chunk_plan& chunks_;
  const chunk_op& what_;
  const std::vector<device>& devices_;
  result_file& out_;
  run_monitor& monitor_;
  const std::int64_t blocks_;  // of a chunk
  const std::int64_t first_;
  std::deque<slot> ring_;
  reorder_buffer<chunk_result> results_;
  std::atomic<std::int64_t> next_{0};  // block
  std::atomic<bool> failed_{false};
  double copy_ns_ = 0;     // of a byte
  double compute_ns_ = 0;  // likewise
};

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

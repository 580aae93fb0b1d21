#include "engine.hpp"

#include <exception>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "sluice/parallel.hpp"

namespace sluice::files {
namespace {

// What a thread takes at once: about 1 ms until another caller of the pool may have its place, and a window that is worth
// the mapping.
constexpr std::int64_t run_bytes = 8 << 20;

// Results that wait for one before them, at most.
std::int64_t room_for(const cutting& cut, std::int64_t result_row_bytes) {
  const std::int64_t each = std::max<std::int64_t>(1, cut.rows_per_piece * result_row_bytes);
  return std::clamp<std::int64_t>((8 << 20) / each, parallel_size() + 2, 1024);
}

class cpu_stage {
 public:
  cpu_stage(const run_plan& plan, const operation& what, result_file& out, watch& w)
      : in_(plan.in),
        cut_(out.cut()),
        what_(what),
        out_(out),
        watch_(w),
        results_(out.pieces(), what.keeps_rows() ? parallel_size() + 2 : room_for(cut_, plan.row_bytes),
                 [this](std::int64_t, piece_result&& r) { out_.take(std::move(r)); }),
        next_(out.pieces()) {}

  // Every thread reads a piece and computes it while it is in its cache.
  void run_at_any_offset() {
    const std::int64_t end = cut_.pieces();
    // As many pieces of a window as keep all threads at work to the end.
    const std::int64_t of_a_window =
        std::clamp<std::int64_t>((end - next_.load()) / (8 * parallel_size()), 1,
                                 std::max<std::int64_t>(1, run_bytes / std::max<std::int64_t>(1, cut_.piece_bytes())));
    while (next_.load() < end) {
      for_a_while(watch_.stretch(), readers_of(in_, 0), [&] {
        // By reading one at a time: a file that is not in memory comes in its own order then, which the kernel reads ahead
        // in.
        const std::int64_t length = maps() ? of_a_window : 1;
        const std::int64_t first = next_.fetch_add(length, std::memory_order_relaxed);
        if (first >= end) return false;
        try {
          return from_window(first, std::min(end, first + length)) || by_reading(first, std::min(end, first + length));
        } catch (...) {
          results_.fail();
          throw;
        }
      });
      look_up(out_, watch_);
    }
  }

  // The calling thread reads some pieces while the pool computes those before.
  void run_in_order() {
    std::future<void> computed;
    for (bool more = true; more;) {
      auto batch = std::make_shared<std::vector<tensor>>();
      more = read_batch(*batch);
      if (computed.valid()) computed.get();
      look_up(out_, watch_);
      done_ = {out_.bytes(), out_.rows()};
      computed = std::async(std::launch::async, [this, batch, first = next_.load() - std::ssize(*batch)] {
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
    look_up(out_, watch_);
  }

 private:
  [[nodiscard]] bool maps() const { return !what_.keeps_rows() && in_.source().maps(); }

  // False at a stop: nobody is to wait for the pieces that are left out then.
  bool go_on() {
    if (!watch_.stop_requested()) return true;
    results_.fail();
    return false;
  }

  bool by_reading(std::int64_t first, std::int64_t end) {
    tensor& buffer = own_buffer();
    for (std::int64_t i = first; i < end; ++i) {
      if (!go_on()) return false;
      const shape extents = cut_.extents(i);
      if (what_.keeps_rows() || buffer.shape() != extents) buffer = tensor(extents, in_.dtype());
      {
        const stage_timer timer(watch_.stages.read);
        in_.source().read(cut_.byte(i), memory_of(buffer));
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
  bool from_window(std::int64_t first, std::int64_t end) {
    if (!maps()) return false;
    const std::int64_t begin = cut_.byte(first);
    const window w = in_.source().map(begin, cut_.byte(end) - begin);
    // Operations never write their inputs.
    auto* const data = const_cast<std::byte*>(w.bytes().data());
    if (data == nullptr || reinterpret_cast<std::uintptr_t>(data) % static_cast<std::size_t>(cut_.element_bytes) != 0)
      return false;
    std::vector<piece_result> results;
    for (std::int64_t i = first; i < end && !watch_.stop_requested(); ++i) {
      const shape extents = cut_.extents(i);
      results.push_back(
          computed_of(tensor::wrap(data + (cut_.byte(i) - begin), in_.dtype(), extents, row_major(extents), nullptr)));
    }
    w.check();
    for (auto& r : results) results_.put(first++, std::move(r));
    return first == end || go_on();
  }

  piece_result computed_of(const tensor& rows) {
    const stage_timer timer(watch_.stages.compute);
    piece_result r = what_.run(rows);
    if (what_.keeps_rows()) r.kept = rows;
    r.input_bytes = static_cast<std::int64_t>(rows.bytes());
    return r;
  }

  // False at the end.
  bool read_batch(std::vector<tensor>& batch) {
    const std::int64_t end = cut_.pieces();
    while (std::ssize(batch) < 2 * parallel_size()) {
      if (next_.load() == end) {
        expect_end(in_, watch_, done_);
        return false;
      }
      tensor piece(cut_.extents(next_.load()), in_.dtype());
      const auto memory = memory_of(piece);
      const std::size_t n = read_next(in_, memory, watch_, done_);
      if (n < memory.size()) piece = first_bytes(piece, cut_, n);
      if (n < memory.size() && n == 0) return false;
      batch.push_back(std::move(piece));
      ++next_;
      if (n < memory.size()) return false;
    }
    return true;
  }

  const file_stream& in_;
  const cutting& cut_;
  const operation& what_;
  result_file& out_;
  watch& watch_;
  in_order<piece_result> results_;
  std::atomic<std::int64_t> next_;
  std::mutex mutex_;  // of the next
  std::map<std::thread::id, tensor> buffers_;
  progress_mark done_;  // when the pool last had nothing to do
};

}  // namespace

int readers_of(const file_stream& in, std::int64_t devices) {
  const std::int64_t usual = devices == 0 ? parallel_size() : 8 * devices;
  return static_cast<int>(std::min<std::int64_t>(in.readers() > 0 ? in.readers() : usual, parallel_size()));
}

void for_a_while(double seconds, int threads, const std::function<bool()>& step) {
  struct state {
    const std::function<bool()>& step;
    bool stays;
    clock::time_point end;
    std::atomic<bool> stop{false};
    std::atomic<bool> failed{false};
    std::exception_ptr error{};
  };
  // With fewer threads than there are, each keeps its place to the end: another would be one too many.
  const bool stay = threads < parallel_size();
  state s{step, stay, clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds))};
  detail::parallel_run(
      stay ? threads : std::int64_t{1} << 40,
      [](void* context, std::int64_t) {
        auto& t = *static_cast<state*>(context);
        try {
          do {
            if (!t.step() || clock::now() >= t.end) t.stop.store(true, std::memory_order_relaxed);
          } while (t.stays && !t.stop.load(std::memory_order_relaxed));
        } catch (...) {
          if (!t.failed.exchange(true)) t.error = std::current_exception();
          t.stop.store(true, std::memory_order_relaxed);
        }
      },
      &s, &s.stop);
  if (s.error) std::rethrow_exception(s.error);
}

std::size_t read_next(const file_stream& in, std::span<std::byte> out, watch& w, const progress_mark& so_far) {
  std::size_t done = 0;
  while (done < out.size()) {
    w.check_cancel(so_far.bytes);
    w.report(so_far.bytes, so_far.rows);
    const stage_timer timer(w.stages.read);
    const std::size_t n = in.source().next_some(out.subspan(done));
    if (n == 0) break;
    done += n;
  }
  return done;
}

void expect_end(const file_stream& in, watch& w, const progress_mark& done) {
  std::byte behind[1];
  if (read_next(in, behind, w, done) != 0)
    throw error(error_code::malformed, "[pipeline] " + in.path() + " goes on behind its last row");
}

tensor first_bytes(const tensor& piece, const cutting& cut, std::size_t bytes) {
  const std::int64_t elements = static_cast<std::int64_t>(bytes) / cut.element_bytes;
  if (cut.cuts_rows()) return piece.slice(1, 0, elements);
  return piece.slice(0, 0, cut.columns > 0 ? elements / cut.columns : 0);
}

void run_on_cpu(const run_plan& plan, const operation& what, result_file& out, watch& w) {
  cpu_stage stage(plan, what, out, w);
  if (plan.in.seekable())
    stage.run_at_any_offset();
  else
    stage.run_in_order();
}

void run_pieces(const run_plan& plan, const operation& what, const std::vector<device>& devices, result_file& out,
                watch& w) {
  w.check_cancel(out.bytes());
  plan.in.source().begin();
  if (std::all_of(devices.begin(), devices.end(), [](const device& d) { return d.is_cpu(); }))
    run_on_cpu(plan, what, out, w);
  else
    run_on_devices(plan, what, devices, out, w);
  w.check_cancel(out.bytes());
}

}  // namespace sluice::files

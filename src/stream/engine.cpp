#include "engine.hpp"

#include <exception>
#include <future>

#include "sluice/parallel.hpp"

namespace sluice::stream {
namespace {

constexpr int burst = 8;  // steps of a thread before another caller of the pool gets its place: about 1 ms

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
    while (next_.load() < end) {
      for_a_while(watch_.stretch(), readers_of(in_), [&](tensor& buffer) {
        if (watch_.stop_requested()) return false;
        const std::int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
        if (i >= end) return false;
        try {
          results_.put(i, result_of(i, buffer));
        } catch (...) {
          results_.fail();
          throw;
        }
        return true;
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
  piece_result result_of(std::int64_t i, tensor& buffer) {
    const shape extents = cut_.extents(i);
    const std::int64_t bytes = extents.count() * cut_.element_bytes;
    if (!what_.keeps_rows()) {
      const window w = in_.source().map(cut_.byte(i), bytes);
      const auto* data = w.bytes().data();
      if (data != nullptr && reinterpret_cast<std::uintptr_t>(data) % static_cast<std::size_t>(cut_.element_bytes) == 0) {
        // Operations never write their inputs.
        auto* rows = const_cast<std::byte*>(data);
        piece_result r = computed_of(tensor::wrap(rows, in_.dtype(), extents, row_major(extents), nullptr));
        w.check();
        return r;
      }
    }
    if (what_.keeps_rows() || buffer.shape() != extents || buffer.dtype() != in_.dtype())
      buffer = tensor(extents, in_.dtype());
    {
      const stage_timer timer(watch_.stages.read);
      in_.source().read(cut_.byte(i), memory_of(buffer));
    }
    return computed_of(buffer);
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
        expect_end(in_, watch_);
        return false;
      }
      tensor piece(cut_.extents(next_.load()), in_.dtype());
      const auto memory = memory_of(piece);
      const std::size_t n = read_next(in_, memory, watch_, out_.bytes());
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
};

}  // namespace

int readers_of(const file_stream& in) {
  return in.readers() > 0 ? std::min<int>(in.readers(), parallel_size()) : parallel_size();
}

void for_a_while(double seconds, int threads, const std::function<bool(tensor& buffer)>& step) {
  struct state {
    const std::function<bool(tensor&)>& step;
    int steps;
    clock::time_point end;
    std::atomic<bool> stop{false};
    std::atomic<bool> failed{false};
    std::exception_ptr error{};
  };
  // With fewer threads than there are, each keeps its place to the end: another would be one too many.
  const bool all = threads >= parallel_size();
  state s{step, all ? burst : std::numeric_limits<int>::max(),
          clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds))};
  detail::parallel_run(
      all ? std::int64_t{1} << 40 : threads,
      [](void* context, std::int64_t) {
        auto& t = *static_cast<state*>(context);
        try {
          tensor buffer;
          for (int i = 0; i < t.steps && !t.stop.load(std::memory_order_relaxed); ++i)
            if (!t.step(buffer) || clock::now() >= t.end) t.stop.store(true, std::memory_order_relaxed);
        } catch (...) {
          if (!t.failed.exchange(true)) t.error = std::current_exception();
          t.stop.store(true, std::memory_order_relaxed);
        }
      },
      &s, &s.stop);
  if (s.error) std::rethrow_exception(s.error);
}

std::size_t read_next(const file_stream& in, std::span<std::byte> out, watch& w, std::int64_t bytes_done) {
  std::size_t done = 0;
  while (done < out.size()) {
    w.check_cancel(bytes_done);
    const stage_timer timer(w.stages.read);
    const std::size_t n = in.source().next_some(out.subspan(done));
    if (n == 0) break;
    done += n;
  }
  return done;
}

void expect_end(const file_stream& in, watch& w) {
  std::byte behind[1];
  if (read_next(in, behind, w, in.bytes()) != 0)
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

}  // namespace sluice::stream

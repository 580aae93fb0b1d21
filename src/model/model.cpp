#include "sluice/model.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "runner.hpp"
#include "sluice/impl/base/memory.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) { return std::chrono::duration<double>(clock::now() - start).count(); }

bool fits(const tensor& t, const model_field& field) {
  if (t.dtype() != field.dtype || t.shape().size() != field.extents.size()) return false;
  return std::equal(t.shape().begin(), t.shape().end(), field.extents.begin(),
                    [](std::int64_t is, std::int64_t wanted) { return wanted < 0 || is == wanted; });
}

}  // namespace

class model::session {
 public:
  session(const std::filesystem::path& file, const model_options& options) : where_(options.where) {
    if (options.where.is_automatic() || !(options.where.is_cpu() || options.where.backend() == "cuda"))
      refuse(error_code::invalid_argument,
             fmt::format("{}: device {}: models run on cpu and on cuda:N", file.string(), options.where.str()));
    if (options.largest_batch < 0)
      refuse(error_code::invalid_argument,
             fmt::format("{}: largest_batch is {}: at least 1, or 0 for the default", file.string(), options.largest_batch));
    ort::find_engine();  // before the file is read: without it, that is why
    open(ort::opener(file, ort::read_onnx_file(file)), options);
    capacity_ = largest_;
    batched_ = about_.batched && rows_are_alone();
    if (!batched_) largest_ = 1;
    base::return_freed_memory();  // loading takes three times the file
  }
  ~session() {
    runner_.reset();
    base::return_freed_memory();
  }
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  [[nodiscard]] const ort::signature& about() const noexcept { return about_; }
  [[nodiscard]] bool is_batched() const noexcept { return batched_; }
  [[nodiscard]] std::int64_t largest() const noexcept { return largest_; }
  [[nodiscard]] const device& where() const noexcept { return where_; }

  [[nodiscard]] std::vector<tensor> run(std::span<const tensor> inputs) const {
    const std::int64_t rows = check(inputs);
    std::vector<tensor> outputs(about_.outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (about_.known[i]) outputs[i] = tensor(about_.shape_of_output(i, rows), about_.outputs[i].dtype, where_);
    if (!batched_ || rows <= largest_)
      runner_->run(inputs, outputs);
    else
      run_parts(inputs, outputs, rows);
    check_outputs(outputs);
    return outputs;
  }

  [[nodiscard]] std::vector<batch_time> warm() const {
    std::vector<batch_time> times;
    for (std::int64_t rows = 1; rows < largest_; rows *= 2) times.push_back(time(rows));
    times.push_back(time(largest_));
    return times;
  }

 private:
  void open(const ort::opener& opened, const model_options& options) {
    name_ = opened.called();
    largest_ = options.largest_batch;
    if (!where_.is_cpu()) {
      runner_ = ort::make_cuda_runner(opened, options, about_, largest_);
      return;
    }
    auto made = std::make_shared<const ort::session_handle>(opened.open());
    about_ = opened.read_signature(made->get());
    largest_ = about_.largest_batch(largest_, 32, name_);
    runner_ = ort::make_host_runner(opened.used(), std::move(made), about_, name_, true);
  }

  [[noreturn]] static void refuse(error_code code, const std::string& why) {
    throw error(code, why.starts_with("[") ? why : "[model] " + why);
  }

  // Gives the number of rows of a batched model, else 1.
  std::int64_t check(std::span<const tensor> given) const {
    const auto& inputs = about_.inputs;
    if (given.size() != inputs.size())
      refuse(error_code::invalid_argument,
             fmt::format("{}: {} tensor{} given, and it has {} input{}", name_, given.size(),
                         given.size() == 1 ? " was" : "s were", inputs.size(), inputs.size() == 1 ? "" : "s"));
    for (std::size_t i = 0; i < given.size(); ++i)
      if (!fits(given[i], inputs[i]))
        refuse(error_code::invalid_argument,
               fmt::format("{}: input \"{}\" is {} {}: it takes {}", name_, inputs[i].name, name_of(given[i].dtype()),
                           given[i].shape().str(), ort::text_of(inputs[i])));
    if (!about_.batched) return 1;
    const std::int64_t rows = given.front().extent(0);
    for (std::size_t i = 0; i < given.size(); ++i)
      if (given[i].extent(0) != rows)
        refuse(error_code::invalid_argument, fmt::format("{}: input \"{}\" has {} rows, input \"{}\" {}: each needs as many",
                                                         name_, inputs[0].name, rows, inputs[i].name, given[i].extent(0)));
    if (rows < 1) refuse(error_code::invalid_argument, fmt::format("{}: there are 0 rows: at least 1", name_));
    for (std::size_t i = 0; i < given.size(); ++i)
      if (given[i].count() == 0)
        refuse(error_code::invalid_argument,
               fmt::format("{}: input \"{}\" is {}, and has no elements", name_, inputs[i].name, given[i].shape().str()));
    if (!batched_ && !where_.is_cpu() && rows > capacity_)
      refuse(error_code::invalid_argument,
             fmt::format("{}: {} rows: its rows depend on each other, so they are not split, and {} are the most on a GPU",
                         name_, rows, capacity_));
    return rows;
  }

  // Small numbers, other ones in each row.
  [[nodiscard]] tensor sample(std::size_t input, std::int64_t rows) const {
    const auto& f = about_.inputs[input];
    tensor t(about_.shape_of_input(input, rows), dtype::f32);
    auto* values = static_cast<float*>(t.data());
    for (std::int64_t i = 0; i < t.count(); ++i) {
      const auto hash = (static_cast<std::uint64_t>(i) + 1) * 0x9E3779B97F4A7C15U;
      values[i] = is_floating(f.dtype) ? static_cast<float>(hash >> 40) * 0x1p-23F - 1 : static_cast<float>(hash >> 63);
    }
    return t.as(f.dtype);
  }

  // Whether two rows together give what each gives alone, but for rounding: the file does not say so. Where their names tell
  // nothing, the shapes must hold with three rows, too.
  [[nodiscard]] bool rows_are_alone() const try {
    constexpr std::int64_t rows = 2;
    std::vector<tensor> both;
    for (std::size_t i = 0; i < about_.inputs.size(); ++i) both.push_back(sample(i, rows));
    const auto together = run(both);
    for (std::int64_t row = 0; row < rows; ++row) {
      std::vector<tensor> one;
      for (const auto& t : both) one.push_back(t.slice(0, row, row + 1));
      const auto alone = run(one);
      for (std::size_t i = 0; i < alone.size(); ++i)
        if (together[i].rank() == 0 || together[i].extent(0) != rows || alone[i].extent(0) != 1 ||
            !is_close(together[i].slice(0, row, row + 1), alone[i]))
          return false;
    }
    if (about_.by_name) return true;
    std::vector<tensor> three;
    for (std::size_t i = 0; i < about_.inputs.size(); ++i) three.push_back(sample(i, rows + 1));
    const auto given = largest_ > rows ? run(three) : together;
    return std::all_of(given.begin(), given.end(),
                       [&](const tensor& t) { return t.extent(0) == std::min(largest_, rows + 1); });
  } catch (const error& e) {
    if (e.code() != error_code::invalid_argument && e.code() != error_code::unsupported) throw;
    return false;
  }

  // Within what rounding in another order makes of f16.
  static bool is_close(const tensor& a, const tensor& b) {
    if (a.shape() != b.shape()) return false;
    const auto x = a.to(device::cpu).as(dtype::f64).contiguous(), y = b.to(device::cpu).as(dtype::f64).contiguous();
    const auto* p = static_cast<const double*>(x.data());
    const auto* q = static_cast<const double*>(y.data());
    double largest = 0;
    for (std::int64_t i = 0; i < y.count(); ++i)
      if (std::isfinite(q[i])) largest = std::max(largest, std::abs(q[i]));
    for (std::int64_t i = 0; i < x.count(); ++i)
      if (std::isfinite(p[i]) != std::isfinite(q[i]) || (std::isfinite(p[i]) && std::abs(p[i] - q[i]) > 1e-2 * largest))
        return false;
    return true;
  }

  // The engine gives shapes that the file does not state as they come.
  void check_outputs(std::span<const tensor> outputs) const {
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (!about_.known[i] && !fits(outputs[i], about_.outputs[i]))
        refuse(error_code::unsupported,
               fmt::format("{}: output \"{}\" is {} {}: its file says {}", name_, about_.outputs[i].name,
                           sluice::name_of(outputs[i].dtype()), outputs[i].shape().str(), ort::text_of(about_.outputs[i])));
  }

  // More rows than one batch: outputs of known shapes are written in place, the others joined.
  void run_parts(std::span<const tensor> inputs, std::span<tensor> outputs, std::int64_t rows) const {
    std::vector<std::vector<tensor>> parts(outputs.size());
    for (std::int64_t begin = 0; begin < rows; begin += largest_) {
      detail::check_not_cancelled();
      const std::int64_t end = std::min(rows, begin + largest_);
      std::vector<tensor> in, out(outputs.size());
      for (const auto& t : inputs) in.push_back(t.slice(0, begin, end));
      for (std::size_t i = 0; i < out.size(); ++i)
        if (about_.known[i]) out[i] = outputs[i].slice(0, begin, end);
      runner_->run(in, out);
      for (std::size_t i = 0; i < out.size(); ++i) {
        if (about_.known[i]) continue;
        check_rows(i, out[i], end - begin);
        parts[i].push_back(std::move(out[i]));
      }
    }
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (!about_.known[i]) outputs[i] = joined(i, parts[i], rows);
  }

  void check_rows(std::size_t i, const tensor& t, std::int64_t rows) const {
    if (t.rank() > 0 && t.extent(0) == rows) return;
    refuse(error_code::unsupported,
           fmt::format("{}: output \"{}\" of {} rows is {}: rows above {}, its largest batch, cannot be split", name_,
                       about_.outputs[i].name, rows, t.shape().str(), largest_));
  }

  [[nodiscard]] tensor joined(std::size_t i, const std::vector<tensor>& parts, std::int64_t rows) const {
    shape extents = parts.front().shape();
    extents[0] = rows;
    tensor all(extents, parts.front().dtype(), where_);
    std::int64_t begin = 0;
    for (const auto& part : parts) {
      if (part.shape().without_first(1) != extents.without_first(1))
        refuse(error_code::unsupported,
               fmt::format("{}: output \"{}\" of one batch is {}, of another {}: they cannot be joined", name_,
                           about_.outputs[i].name, parts.front().shape().str(), part.shape().str()));
      all.slice(0, begin, begin + part.extent(0)).assign(part);
      begin += part.extent(0);
    }
    return all;
  }

  [[nodiscard]] batch_time time(std::int64_t rows) const {
    std::vector<tensor> inputs;
    for (std::size_t i = 0; i < about_.inputs.size(); ++i) {
      const tensor zeros = tensor::zeros(about_.shape_of_input(i, rows), about_.inputs[i].dtype);
      inputs.push_back(where_.is_cpu() ? zeros : tensor(zeros.shape(), zeros.dtype(), where_, memory::pinned));
      if (!where_.is_cpu()) inputs.back().assign(zeros);
    }
    std::vector<double> times;
    const auto once = [&] {
      const auto start = clock::now();
      for (const auto& t : run(inputs)) static_cast<void>(t.to(device::cpu).data());
      times.push_back(seconds_since(start));
    };
    for (int i = 0; i < 2; ++i) once();  // the engine plans its memory in the first, and uses the plan from the second on
    times.clear();
    constexpr std::size_t least = 3, most = 25;
    const auto start = clock::now();
    while (times.size() < least || (times.size() < most && seconds_since(start) < 0.05)) once();
    std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
    return {.rows = rows, .seconds = times[times.size() / 2]};
  }

  device where_;
  std::string name_;
  ort::signature about_;
  std::int64_t largest_ = 1, capacity_ = 1;
  bool batched_ = false;
  std::unique_ptr<ort::runner> runner_;
};

model::model(std::shared_ptr<const session> made) noexcept : session_(std::move(made)) {}

model model::load(const std::filesystem::path& file, const model_options& options) {
  return model(std::make_shared<const session>(file, options));
}

const std::vector<model_field>& model::inputs() const noexcept { return session_->about().inputs; }
const std::vector<model_field>& model::outputs() const noexcept { return session_->about().outputs; }
bool model::is_batched() const noexcept { return session_->is_batched(); }
std::int64_t model::largest_batch() const noexcept { return session_->largest(); }
const device& model::where() const noexcept { return session_->where(); }
std::vector<tensor> model::run(std::span<const tensor> inputs) const { return session_->run(inputs); }
std::vector<batch_time> model::warm() const { return session_->warm(); }

}  // namespace SLUICE_ABI
}  // namespace sluice

// Batches on a device: inputs and outputs pass through buffers that never move, so that a batch size is one captured graph.
#include <algorithm>
#include <utility>
#include <vector>

#include "runner.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

class bound_runner final : public runner {
 public:
  bound_runner(const engine& used, owner_thread& owner, std::shared_ptr<const session_handle> of, const signature& about,
               std::int64_t largest, const place& at, std::string name)
      : used_(used), owner_(owner), session_(std::move(of)), about_(about), at_(at), name_(std::move(name)) {
    used_(create_memory_info, at_.memory, allocation::device, at_.where.index(), memory_type::normal, memory_.out());
    for (std::size_t i = 0; i < about_.inputs.size(); ++i)
      inputs_.push_back(tensor::zeros(about_.shape_of_input(i, largest), about_.inputs[i].dtype, at_.where));
    for (std::size_t i = 0; i < about_.outputs.size(); ++i)
      outputs_.emplace_back(about_.shape_of_output(i, largest), about_.outputs[i].dtype, at_.where);
    owner_.call([&] {
      for (std::int64_t rows = 1; rows < largest; rows *= 2) add_batch(rows);
      add_batch(largest);
    });
  }

  ~bound_runner() override {
    owner_.call([this] {
      batches_.clear();
      session_.reset();
    });
  }
  bound_runner(const bound_runner&) = delete;
  bound_runner& operator=(const bound_runner&) = delete;

  void run(std::span<const tensor> inputs, std::span<tensor> outputs) const override {
    std::vector<tensor> uploaded;
    if (owner_.is_busy()) {  // these travel while another batch is computed
      for (const auto& t : inputs) uploaded.push_back(t.to(at_.where));
      inputs = uploaded;
    }
    const std::int64_t rows = about_.batched ? inputs.front().extent(0) : 1;
    owner_.call([&] {
      for (std::size_t i = 0; i < inputs.size(); ++i) rows_of(inputs_[i], rows).assign(inputs[i]);
      // Rows beyond these are those of an earlier batch: whatever they give is not read.
      run_batch(*std::find_if(batches_.begin(), batches_.end(), [&](const batch& b) { return b.rows >= rows; }));
      for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i].assign(rows_of(outputs_[i], rows));
    });
  }

 private:
  struct batch {
    std::int64_t rows;
    std::vector<value_handle> values;
    binding_handle binding;
    run_options_handle options;
    bool captured = false;
  };

  // Of a buffer. The session of a model that is not batched has one batch, which is whole.
  [[nodiscard]] tensor rows_of(const tensor& buffer, std::int64_t rows) const {
    return about_.batched ? buffer.slice(0, 0, rows) : buffer;
  }

  void add_batch(std::int64_t rows) {
    batch b{.rows = rows, .values = {}, .binding = {}, .options = {}};
    used_(create_binding, session_->get(), b.binding.out());
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      used_(bind_input, b.binding.get(), about_.input_names[i], wrapped(b, rows_of(inputs_[i], rows)));
    for (std::size_t i = 0; i < outputs_.size(); ++i)
      used_(bind_output, b.binding.get(), about_.output_names[i], wrapped(b, rows_of(outputs_[i], rows)));
    b.options = quiet_options();
    if (at_.graphs) used_(set_run_option, b.options.get(), "gpu_graph_id", std::to_string(batches_.size() + 1).c_str());
    batches_.push_back(std::move(b));
  }

  value* wrapped(batch& b, tensor t) const {
    value_handle v;
    used_(create_value, memory_.get(), t.data(), t.bytes(), std::to_address(t.shape().begin()), t.shape().size(),
          element_of_dtype(t.dtype()), v.out());
    b.values.push_back(std::move(v));
    return b.values.back().get();
  }

  [[nodiscard]] run_options_handle quiet_options() const {
    run_options_handle options;
    used_(create_run_options, options.out());
    used_(set_run_severity, options.get(), static_cast<int>(logging::fatal));
    return options;
  }

  // On the owner's thread. The engine waits for the device before it returns.
  void run_batch(batch& b) const {
    for (const auto& t : inputs_) static_cast<void>(t.data());
    for (auto& t : outputs_) static_cast<void>(t.data());  // the batch before may still be read
    if (at_.graphs && !b.captured) {
      // Chooses algorithms for these shapes first, which nothing may do while a graph is captured.
      const auto options = quiet_options();
      used_(set_run_option, options.get(), "gpu_graph_id", "-1");
      run_with(b, options.get());
      b.captured = true;
    }
    run_with(b, b.options.get());
  }

  void run_with(const batch& b, const run_options* options) const {
    if (const auto failed = used_.attempt(run_bound, session_->get(), options, b.binding.get()))
      throw_run_failure(name_, *failed);
  }

  const engine& used_;
  owner_thread& owner_;
  std::shared_ptr<const session_handle> session_;
  const signature& about_;
  const place at_;
  const std::string name_;
  memory_info_handle memory_;
  // Used on the owner's thread alone, once made:
  mutable std::vector<tensor> inputs_, outputs_;
  mutable std::vector<batch> batches_;  // by rows
};

}  // namespace

std::unique_ptr<runner> make_bound_runner(const engine& used, owner_thread& owner, std::shared_ptr<const session_handle> of,
                                          const signature& about, std::int64_t largest, const place& at, std::string name) {
  return std::make_unique<bound_runner>(used, owner, std::move(of), about, largest, at, std::move(name));
}

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

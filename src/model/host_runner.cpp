// Batches in host memory: inputs where they lie, outputs where they are wanted.
#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runner.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

class host_runner final : public runner {
 public:
  host_runner(const engine& used, std::shared_ptr<const session_handle> of, const signature& about, std::string name,
              bool on_cpu)
      : used_(used), session_(std::move(of)), about_(about), name_(std::move(name)) {
    used_(create_cpu_memory_info, allocation::device, memory_type::normal, memory_.out());
    used_(create_run_options, options_.out());
    used_(set_run_severity, options_.get(), static_cast<int>(logging::fatal));
    // What an input sizes may be large once, and the engine would keep as much for ever.
    if (on_cpu && !about_.is_static())
      used_(set_run_option, options_.get(), "memory.enable_memory_arena_shrinkage", "cpu:0");
  }

  void run(std::span<const tensor> inputs, std::span<tensor> outputs) const override {
    values taken(*this, inputs.size()), given(*this, outputs.size());
    std::vector<tensor> here;  // kept for the call
    for (const auto& t : inputs) here.push_back(t.to(device::cpu).contiguous());
    for (std::size_t i = 0; i < here.size(); ++i)
      taken.wrap(i, const_cast<void*>(std::as_const(here[i]).data()), here[i]);  // which the engine only reads
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (about_.known[i]) given.wrap(i, outputs[i].data(), outputs[i]);
    if (const auto failed = used_.attempt(ort::run, session_->get(), options_.get(), about_.input_names.data(), taken.data(),
                                          inputs.size(), about_.output_names.data(), outputs.size(), given.data()))
      throw_run_failure(name_, *failed);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (!about_.known[i]) outputs[i] = tensor_of(given.take(i), i);
  }

 private:
  // The engine's handles of a call's tensors.
  class values {
   public:
    values(const host_runner& owner, std::size_t count) : owner_(owner), values_(count) {}
    ~values() {
      for (value* v : values_)
        if (v != nullptr) owner_.used_.release(release_value, v);
    }
    values(const values&) = delete;
    values& operator=(const values&) = delete;

    void wrap(std::size_t i, void* data, const tensor& t) {
      static std::int64_t nothing = 0;  // a tensor without elements has no memory
      owner_.used_(create_value, owner_.memory_.get(), data != nullptr ? data : &nothing, t.bytes(),
                   std::to_address(t.shape().begin()), t.shape().size(), element_of_dtype(t.dtype()), &values_[i]);
    }
    value_handle take(std::size_t i) { return value_handle(std::exchange(values_[i], nullptr)); }
    value** data() noexcept { return values_.data(); }

   private:
    const host_runner& owner_;
    std::vector<value*> values_;
  };

  // A tensor over the memory of a value, which it keeps, and with it the session whose allocator made it.
  [[nodiscard]] tensor tensor_of(value_handle v, std::size_t i) const {
    const auto refuse = [&](const std::string& why) {
      throw error(error_code::unsupported, fmt::format("{}: output \"{}\" {}", name_, about_.outputs[i].name, why));
    };
    int tensors = 0;
    if (v.get() != nullptr) used_(is_tensor, v.get(), &tensors);
    if (tensors == 0) refuse("is no tensor");
    tensor_info_handle info;
    used_(tensor_info_of_value, v.get(), info.out());
    auto type = element::f32;
    std::size_t rank = 0;
    used_(element_of, info.get(), &type);
    used_(rank_of, info.get(), &rank);
    if (type != element_of_dtype(about_.outputs[i].dtype)) refuse("has another type than the file says");
    if (rank > static_cast<std::size_t>(max_rank))
      refuse(fmt::format("has {} dimensions, and {} are the most", rank, max_rank));
    std::vector<std::int64_t> extents(rank);
    used_(extents_of, info.get(), extents.data(), rank);
    const shape s{std::span(std::as_const(extents))};
    if (s.count() == 0) return tensor(s, about_.outputs[i].dtype);
    void* data = nullptr;
    used_(value_data, v.get(), &data);
    struct kept {
      std::shared_ptr<const session_handle> session;
      value_handle memory;  // released first
    };
    const std::shared_ptr<kept> keep(new kept{session_, std::move(v)});
    return tensor::wrap(data, about_.outputs[i].dtype, s, row_major(s), keep);
  }

  const engine& used_;
  std::shared_ptr<const session_handle> session_;
  const signature& about_;
  std::string name_;
  memory_info_handle memory_;
  run_options_handle options_;
};

}  // namespace

std::unique_ptr<runner> make_host_runner(const engine& used, std::shared_ptr<const session_handle> of,
                                         const signature& about, std::string name, bool on_cpu) {
  return std::make_unique<host_runner>(used, std::move(of), about, std::move(name), on_cpu);
}

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

// Sessions on CUDA devices: the provider's options, and who runs what.
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runner.hpp"
#include "sluice/impl/base/environment.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

// Options of the CUDA provider by their names. SLUICE_MODEL_CUDA ("prefer_nhwc=0;fuse_conv_bias=1") sets others. Those of
// convolutions are ResNet-18's best on an H200 (bench/results/models.md): of f32 in TF32, a batch of 64 takes 1.6 times as
// long in NCHW and 1.3 without the fusion; of f16 the fusion searches for 4 s and is slower. NCHW with the fusion gives NaN.
std::map<std::string, std::string> provider_options(const model_options& options, bool halves, bool graphs) {
  std::map<std::string, std::string> all{
      {"device_id", std::to_string(options.where.index())},
      {"use_tf32",
       options.precision == precision::strict && !halves ? "0" : "1"},  // off, f16's products use no tensor cores
      {"enable_cuda_graph", graphs ? "1" : "0"},
      {"prefer_nhwc", "1"},
      {"fuse_conv_bias", halves ? "0" : "1"},
      {"cudnn_conv_algo_search", halves ? "EXHAUSTIVE" : "HEURISTIC"},
      {"cudnn_conv_use_max_workspace", "1"},
      {"arena_extend_strategy", "kSameAsRequested"},
  };
  std::string_view rest = base::environment("SLUICE_MODEL_CUDA");
  while (!rest.empty()) {
    const auto entry = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    if (const auto equals = entry.find('='); equals != entry.npos)
      all[std::string(entry.substr(0, equals))] = std::string(entry.substr(equals + 1));
  }
  return all;
}

session_handle open_on(const opener& opened, const model_options& options, bool graphs) {
  const engine& used = opened.used();
  const auto refuse = [&](const failure& what) {
    throw error(error_code::unavailable, fmt::format("{}: no CUDA provider: {}", opened.name(), what.text));
  };
  cuda_options_handle made;
  if (const auto failed = used.attempt(create_cuda_options, made.out())) refuse(*failed);
  std::vector<const char*> keys, values;
  const auto all = provider_options(options, opened.has_halves(), graphs);
  for (const auto& [key, value] : all) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  if (const auto failed = used.attempt(set_cuda_options, made.get(), keys.data(), values.data(), keys.size()))
    refuse(*failed);
  return opened.open(made.get());
}

// With captured graphs, or, where the model has nodes that no graph takes, such as If, without them.
session_handle open_graphs(const opener& opened, const model_options& options, bool& graphs) {
  try {
    return open_on(opened, options, true);
  } catch (const error& e) {
    if (std::string_view(e.what()).find("cannot use the graph capture feature") == std::string_view::npos) throw;
    graphs = false;
    return open_on(opened, options, false);
  }
}

// A model whose shapes only the engine knows: it takes and gives host memory, on the thread that owns the session.
class owned_host_runner final : public runner {
 public:
  owned_host_runner(owner_thread& owner, std::unique_ptr<runner> inner, const signature& about, const device& where)
      : owner_(owner), inner_(std::move(inner)), about_(about), where_(where) {}
  ~owned_host_runner() override {
    owner_.call([this] { inner_.reset(); });
  }
  owned_host_runner(const owned_host_runner&) = delete;
  owned_host_runner& operator=(const owned_host_runner&) = delete;

  void run(std::span<const tensor> inputs, std::span<tensor> outputs) const override {
    std::vector<tensor> results(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (about_.known[i]) results[i] = tensor(outputs[i].shape(), outputs[i].dtype());
    owner_.call([&] { inner_->run(inputs, results); });
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (about_.known[i])
        outputs[i].assign(results[i]);
      else
        outputs[i] = results[i].to(where_);
    }
  }

 private:
  owner_thread& owner_;
  std::unique_ptr<runner> inner_;
  const signature& about_;
  const device where_;
};

// The runner, and the thread that outlives it.
class cuda_runner final : public runner {
 public:
  cuda_runner(const opener& opened, const model_options& options, signature& about, std::int64_t& largest) {
    place at{.where = options.where, .memory = "Cuda", .graphs = true};
    static_cast<void>(tensor::zeros({1}, dtype::f32, at.where));  // sluice's own device first: unavailable says why
    auto session = std::make_shared<session_handle>();
    owner_.call([&] {
      *session = open_graphs(opened, options, at.graphs);
      about = opened.read_signature(session->get());
      if (!about.is_static() && at.graphs) *session = open_on(opened, options, false);
    });
    largest = about.largest_batch(largest, 64, opened.name());
    if (about.is_static())
      runner_ = make_bound_runner(opened.used(), owner_, std::move(session), about, largest, at, opened.called());
    else
      runner_ = std::make_unique<owned_host_runner>(
          owner_, make_host_runner(opened.used(), std::move(session), about, opened.called(), false), about, at.where);
  }

  void run(std::span<const tensor> inputs, std::span<tensor> outputs) const override { runner_->run(inputs, outputs); }

 private:
  owner_thread owner_;
  std::unique_ptr<runner> runner_;
};

}  // namespace

std::unique_ptr<runner> make_cuda_runner(const opener& opened, const model_options& options, signature& about,
                                         std::int64_t& largest) {
  return std::make_unique<cuda_runner>(opened, options, about, largest);
}

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

// A session of a model on a device, and how a batch passes through it.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine.hpp"
#include "onnx_file.hpp"
#include "owner_thread.hpp"
#include "signature.hpp"
#include "sluice/model.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

class runner {
 public:
  virtual ~runner() = default;
  // One batch. Each of `inputs`, anywhere and in any strides, has the signature's dtype and extents. An output that has
  // memory is written there; one that has none becomes what the engine gives. Called by several threads at once.
  virtual void run(std::span<const tensor> inputs, std::span<tensor> outputs) const = 0;
};

// What is needed to open sessions of a file: the message of the engine's refusal becomes an error of ours.
class opener {
 public:
  opener(const std::filesystem::path& path, onnx_file file);

  // On the CPU, or with these options on a CUDA device.
  [[nodiscard]] session_handle open(const cuda_options* cuda = nullptr) const;
  [[nodiscard]] signature read_signature(session* of) const { return signature_of(used_, of, file_, name_); }
  [[nodiscard]] bool has_halves() const noexcept { return file_.has_halves; }
  [[nodiscard]] const engine& used() const noexcept { return used_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }      // "[model] /srv/resnet/1/model.onnx"
  [[nodiscard]] const std::string& called() const noexcept { return called_; }  // "[model] resnet/1/model.onnx", for clients

 private:
  const engine& used_;
  onnx_file file_;
  std::string name_, called_;
};

// Throws the engine's failure to run a batch of a model.
[[noreturn]] void throw_run_failure(const std::string& name, const failure& what);

// Runs on host memory in the calling thread. A session on a CUDA device copies what it needs to.
std::unique_ptr<runner> make_host_runner(const engine& used, std::shared_ptr<const session_handle> of,
                                         const signature& about, std::string name, bool on_cpu);

// Where a session's buffers are, as sluice and the engine call it.
struct place {
  device where;
  const char* memory;  // "Cuda", "Cpu"
  bool graphs;         // each batch size is captured as a graph at first
};

// Runs on buffers of a device that never move, each batch padded to the next power of two. The session is used and ends on
// the thread that owns it.
std::unique_ptr<runner> make_bound_runner(const engine& used, owner_thread& owner, std::shared_ptr<const session_handle> of,
                                          const signature& about, std::int64_t largest, const place& at, std::string name);

// A model on a CUDA device. Sets `about` and, where it is 0, `largest`.
std::unique_ptr<runner> make_cuda_runner(const opener& opened, const model_options& options, signature& about,
                                         std::int64_t& largest);

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

/// @file
/// Trained models from ONNX files, run by ONNX Runtime on the CPU or on a CUDA device.
///
///     const auto resnet = sluice::model::load("resnet18.onnx", {.where = "cpu"});
///     const auto image = sluice::tensor::zeros({1, 3, 224, 224});            // f32, as resnet.inputs() says
///     const auto scores = resnet.run({image}).front();                       // f32 (1, 1000)
///
/// The target is sluice::model, an optional component of the package. It is built without ONNX Runtime and finds it at run
/// time: SLUICE_ONNXRUNTIME names its shared library or the folder that holds it, such as onnxruntime/capi of PyPI's wheel;
/// where that is not set, the dynamic loader looks for libonnxruntime.so.1 in its places, never in the working directory.
/// ONNX Runtime 1.21 and later will do. It is loaded at first use and never unloaded; find_model_engine() shows which one it
/// is, or why there is none.
///
/// A model has one session and no threads but, on a GPU, the one that owns its buffers: on the CPU run() computes in the
/// calling thread, in as many as call it at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sluice/device.hpp"
#include "sluice/dtype.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// The ONNX Runtime of this process.
struct model_engine {
  bool found = false;                  ///< models can be loaded
  std::string version;                 ///< "1.32.0"; empty when not found
  std::string path;                    ///< of its shared library; when it was refused, what was tried
  std::string refused;                 ///< why there is none; empty when found
  std::vector<std::string> providers;  ///< as it names them: "CPUExecutionProvider", "CUDAExecutionProvider"
};

/// The engine; the first call loads it. Later calls, from any thread, give the same answer.
SLUICE_API model_engine find_model_engine();

/// An input or an output of a model.
struct model_field {
  std::string name;                          ///< as the file has it
  sluice::dtype dtype = sluice::dtype::f32;  ///< of its elements
  std::vector<std::int64_t> extents;         ///< its shape; -1: any extent
};

/// What a batch takes.
struct batch_time {
  std::int64_t rows = 0;  ///< of the batch
  double seconds = 0;     ///< the median of a whole model::run() of so many rows, from inputs on the CPU (pinned ones, for a
                          ///< GPU) to results there
};

/// How a model is loaded.
struct model_options {
  device where = device::cpu;  ///< the CPU or a CUDA device
  /// On a GPU: tensor_core and fast let f32 products round to TF32, and so does a file with weights of f16, whatever this
  /// is.
  sluice::precision precision = precision::strict;
  /// Rows of one batch at most; more are split. 0: 32 on the CPU, 64 on a GPU. Fewer where the inputs and outputs of
  /// so many take more than 256 MiB. A model that is not batched has 1.
  std::int64_t largest_batch = 0;
};

/// A model on a device, ready to run. Copying it copies the handle: copies share one session, which ends with the last of
/// them, after the calls under way.
///
/// Results are those of ONNX Runtime. They may differ in the last bits from one device, version or processor to another,
/// and of a row by how many others are in its batch.
///
/// A session does not cross fork(): a child process that loads its own models may use them, but not those of its parent.
class model {
 public:
  /// Reads the file and makes a session of it. Data that the file keeps in other files must lie in the folder of `file` or
  /// below. Throws
  /// - io where a file cannot be read, with its path;
  /// - malformed for a file that is truncated, corrupt or no ONNX, and for one that refers to data outside its folder;
  /// - unsupported for an operator or a version that ONNX Runtime does not know, for inputs or outputs that are no tensors
  /// of
  ///   a dtype of ours, and for a model of which a CUDA device would leave a part to the CPU;
  /// - limit_exceeded for a file of 2 GiB or more, and for inputs and outputs of more than 1 GiB a row;
  /// - unavailable where there is no engine, no such device, or no CUDA provider beside the engine, with the reason;
  /// - invalid_argument for a device that is neither the CPU nor CUDA, for device::automatic, and for a negative
  ///   largest_batch; out_of_memory.
  SLUICE_API static model load(const std::filesystem::path& file, const model_options& options = {});

  /// In the order in which run() takes them.
  [[nodiscard]] SLUICE_API const std::vector<model_field>& inputs() const noexcept;
  /// In the order in which run() returns them.
  [[nodiscard]] SLUICE_API const std::vector<model_field>& outputs() const noexcept;
  /// Whether the first extent of every input and output is free, and counts the rows of a batch, each of which is a case of
  /// its own: load() runs two rows together and each alone, and compares. Else rows are neither split nor joined.
  [[nodiscard]] SLUICE_API bool is_batched() const noexcept;
  /// Rows that run as one batch at most; 1 for a model that is not batched.
  [[nodiscard]] SLUICE_API std::int64_t largest_batch() const noexcept;
  /// Where it runs.
  [[nodiscard]] SLUICE_API const device& where() const noexcept;

  /// One tensor an input, in any strides and on any device; gives one an output, row-major, on the CPU of a CPU model and on
  /// the device of another. The inputs of a batched model have equally many rows, at least 1; more than largest_batch() are
  /// split, and their results joined. May be called from several threads at once; on a GPU they take turns. Throws
  /// - invalid_argument for another number of inputs, and for a dtype, rank or extents that are not those of inputs(), with
  ///   both; of a batched model, for one without elements; also where ONNX Runtime refuses the shapes, in its words;
  /// - unsupported where an output is not what outputs() says, or one of a split batch does not have its rows;
  /// - out_of_memory; device_lost; what the inputs' pending work failed with.
  [[nodiscard]] SLUICE_API std::vector<tensor> run(std::span<const tensor> inputs) const;
  /// Likewise: model.run({image}).
  [[nodiscard]] std::vector<tensor> run(std::initializer_list<tensor> inputs) const {
    return run(std::span<const tensor>(inputs.begin(), inputs.size()));
  }

  /// Runs each batch size 1, 2, 4 ... and largest_batch(), a model that is not batched once, on zeros, until it takes no
  /// longer than before, and times it. Free extents other than the first are 1. What the engine allocates or captures at
  /// first is then done. Throws as run() does.
  [[nodiscard]] SLUICE_API std::vector<batch_time> warm() const;

 private:
  class session;
  explicit model(std::shared_ptr<const session> made) noexcept;

  std::shared_ptr<const session> session_;
};

}  // namespace SLUICE_ABI
}  // namespace sluice

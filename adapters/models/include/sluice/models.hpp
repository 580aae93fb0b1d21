/// @file
/// A folder of ONNX models, served as endpoints of a service.
///
///     sluice::service service;
///     sluice::add_models(service, {.directory = "models"});    // models/resnet18/1/model.onnx
///     sluice::mount(server, service);
///
/// The folder has NAME/VERSION/model.onnx: a name of letters, digits, '_' and '-', and a version that is a positive integer.
/// NAME is served at /v1/NAME and as a model of the Open Inference Protocol, /v2/models/NAME[/versions/VERSION], with the
/// inputs and outputs of the file. Entries that begin with '.' are passed over, others are ignored with a reason; a symbolic
/// link may lead anywhere within the folder.
///
/// *Pictures.* A model with an image.json beside the file, or in NAME, takes pictures: NAME then has the input "image", a
/// JPEG or PNG or u8 (H, W, 3), and answers with the classes where its scores are highest: "label", "index" and
/// "probability", `top` of them (5). The file's own tensors are those of NAME_raw. image.json says how a picture becomes a
/// tensor, as torchvision's transforms do; each key may be left out:
///
///     {"resize": 256, "crop": 224, "scale": 0.00392156862745098, "mean": [0.485, 0.456, 0.406],
///      "std": [0.229, 0.224, 0.225], "channels": "rgb", "layout": "nchw", "softmax": true}
///
/// The short side becomes `resize` pixels, bilinear and antialiased as by Pillow; the middle `crop` x `crop` of them are
/// (scale * pixel - mean) / std, as f32 (1, channels, crop, crop), or (1, crop, crop, channels) for "nhwc". "channels" is
/// "rgb", "bgr" or "grey", whose "mean" and "std" have one number. "softmax": false says that the scores are probabilities
/// already. A model without image.json that is called "resnet..." and whose one input is f32 (N, 3, 224, 224) has it with
/// these values. labels.txt names the classes, one a line; else a label is the class's number.
///
/// *Life of a model.* It is loaded on each device, runs each batch size 1, 2, 4, ... once to be ready and a few times to be
/// timed, and only then takes the place of the one before, which ends with its last call: no request fails meanwhile. Where
/// loading fails, the one before stays, and the repository's index and `on_change` have the reason. POST
/// /v2/repository/models/NAME/load loads the newest version again, or a model that was not there at the start; .../unload
/// takes it out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/model.hpp"
#include "sluice/service.hpp"
#include "sluice/service/model_repository.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Something happened to a model.
struct model_change {
  std::string name;     ///< of the model; of an entry that is ignored, its path in the folder
  std::string version;  ///< "1"; empty where no version is meant
  std::string state;    ///< READY, UNAVAILABLE or UNLOADED; IGNORED: an entry of the folder
  std::string reason;   ///< why, in a sentence; of READY, where and how fast it runs
};

/// Which models are served, and where.
struct models_options {
  std::filesystem::path directory{};  ///< of NAME/VERSION/model.onnx
  /// The models that are loaded at the start; readiness waits for all of them. Empty: all that are there. One that cannot be
  /// loaded then leaves the others and readiness alone.
  std::vector<std::string> names{};
  /// Where each is loaded, and what cannot be is an error. Empty: the CPU and every CUDA device that can run it, or the one
  /// device that service_options::device requires.
  std::vector<device> devices{};
  sluice::precision precision = sluice::precision::strict;  ///< as in model_options
  std::int64_t largest_batch = 0;                           ///< as in model_options
  /// Whether every version is served; else the highest that can be loaded.
  bool all_versions = false;
  /// Whether clients may load and unload models; else those routes answer 403.
  bool allow_control = false;
  /// Whether add_models() returns at once and loads in a thread of its own; else it returns when all are loaded or refused.
  bool in_background = true;
  /// Called for each change by the thread that brings it about; it must return soon.
  std::function<void(const model_change&)> on_change{};
};

/// Adds the models of a folder to a service, before it is mounted. ~service() ends the loading. The result loads and unloads
/// whatever allow_control says, as long as the service lives. Throws invalid_argument for a negative largest_batch, io where
/// the folder cannot be read. A model's failures are in its state.
SLUICE_API std::shared_ptr<model_repository> add_models(service& to, models_options options);

}  // namespace SLUICE_ABI
}  // namespace sluice

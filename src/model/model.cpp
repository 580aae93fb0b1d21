#include "sluice/model.hpp"

#include "engine.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

class model::session {
 public:
  std::vector<model_field> inputs, outputs;
  device where;
};

model::model(std::shared_ptr<const session> made) noexcept : session_(std::move(made)) {}

model model::load(const std::filesystem::path& file, const model_options&) {
  ort::find_engine();
  throw error(error_code::unsupported, "[model] " + file.string() + ": sessions are the next change");
}

const std::vector<model_field>& model::inputs() const noexcept { return session_->inputs; }
const std::vector<model_field>& model::outputs() const noexcept { return session_->outputs; }
bool model::is_batched() const noexcept { return false; }
std::int64_t model::largest_batch() const noexcept { return 1; }
const device& model::where() const noexcept { return session_->where; }
std::vector<tensor> model::run(std::span<const tensor>) const { return {}; }
std::vector<batch_time> model::warm() const { return {}; }

}  // namespace SLUICE_ABI
}  // namespace sluice

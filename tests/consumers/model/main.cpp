// A model that is not there: without an engine that is why, with one the file. The error is caught by its type, which a shared
// library throws.
#include <cstdio>

#include <sluice/model.hpp>

int main() {
  const auto engine = sluice::find_model_engine();
  try {
    static_cast<void>(sluice::model::load("none.onnx"));
  } catch (const sluice::error& e) {
    const bool expected = e.code() == (engine.found ? sluice::error_code::io : sluice::error_code::unavailable);
    std::printf("%s\n", expected ? "refused as documented" : e.what());
  }
}

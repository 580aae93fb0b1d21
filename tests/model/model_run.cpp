// model_run FILE LARGEST OUT IN.npy...: writes the outputs to OUT0.npy, OUT1.npy ... LARGEST: rows of a batch, 0: the
// default.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "sluice/model.hpp"
#include "sluice/npy.hpp"

int main(int count, char** arguments) try {
  if (count < 5) return 2;
  const auto m = sluice::model::load(arguments[1], {.largest_batch = std::atoll(arguments[2])});
  std::vector<sluice::tensor> inputs;
  for (int i = 4; i < count; ++i) inputs.push_back(sluice::read_npy(arguments[i]));
  const auto outputs = m.run(inputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) sluice::write_npy(arguments[3] + std::to_string(i) + ".npy", outputs[i]);
} catch (const sluice::error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}

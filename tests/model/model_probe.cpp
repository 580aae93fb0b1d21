// model_probe [FILE...]: the engine, then of each file what it takes and gives, or why it is refused. One line each.
#include <cstdio>
#include <string>

#include "sluice/model.hpp"

namespace {

void print(const std::vector<sluice::model_field>& fields) {
  for (const auto& f : fields) {
    std::printf(" %s:%s(", f.name.c_str(), std::string(sluice::name_of(f.dtype)).c_str());
    for (std::size_t i = 0; i < f.extents.size(); ++i)
      std::printf("%s%lld", i == 0 ? "" : ",", static_cast<long long>(f.extents[i]));
    std::printf(")");
  }
}

}  // namespace

int main(int count, char** arguments) {
  const auto engine = sluice::find_model_engine();
  std::printf("found %d version \"%s\" path \"%s\" refused \"%s\" providers", engine.found ? 1 : 0, engine.version.c_str(),
              engine.path.c_str(), engine.refused.c_str());
  for (const auto& p : engine.providers) std::printf(" %s", p.c_str());
  std::printf("\n");
  for (int i = 1; i < count; ++i) {
    try {
      const auto m = sluice::model::load(arguments[i]);
      std::printf("%s: %s of %lld rows:", arguments[i], m.is_batched() ? "batches" : "one case",
                  static_cast<long long>(m.largest_batch()));
      print(m.inputs());
      std::printf(" ->");
      print(m.outputs());
      std::printf("\n");
    } catch (const sluice::error& e) {
      std::printf("%s: %s: %s\n", arguments[i], std::string(name_of(e.code())).c_str(), e.what());
    }
  }
}

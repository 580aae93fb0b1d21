// mutate [FOLDER]: gives a fuzz target its seeds, and each of them changed in ways that are the same every time. FOLDER: the
// seeds are written there, for libFuzzer.
#include <algorithm>
#include <fstream>

#include "fuzz.hpp"

using namespace testing;

namespace {

// Changes one thing.
void mutate(std::string& bytes, const std::string& other, numbers& n) {
  if (bytes.empty()) return;
  const auto size = static_cast<std::int64_t>(bytes.size());
  const auto at = static_cast<std::size_t>(n.below(size));
  const auto length = static_cast<std::size_t>(1 + n.below(std::min<std::int64_t>(size, 64)));
  const std::string values[] = {std::string("\0", 1), "\xff",     std::string("\0\0\0\0", 4), "\xff\xff\xff\xff", "\x7f\xff",
                                "\xff\xd9",           "\xff\xda", std::string("\xff\0", 2)};
  switch (n.below(7)) {
    case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << n.below(8))); break;
    case 1: bytes[at] = static_cast<char>(n.next()); break;
    case 2: bytes.erase(at, length); break;
    case 3: bytes.insert(at, bytes.substr(static_cast<std::size_t>(n.below(size)), length)); break;
    case 4:
      bytes.insert(at, other.substr(static_cast<std::size_t>(n.below(static_cast<std::int64_t>(other.size()))), length));
      break;
    case 5: {
      const auto& value = values[n.below(std::size(values))];
      bytes.replace(at, value.size(), value);
      break;
    }
    default: bytes.resize(at);
  }
}

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  const auto seeds = fuzz_seeds();
  if (argc == 2) {
    for (std::size_t i = 0; i < seeds.size(); ++i)
      std::ofstream(argv[1] + ("/seed" + std::to_string(i)), std::ios::binary) << seeds[i];
    return 0;
  }
  numbers n(1);
  constexpr int times = 50'000;
  for (int i = 0; i < times; ++i) {
    std::string bytes = seeds[static_cast<std::size_t>(i) % seeds.size()];
    for (auto changes = n.below(4); changes >= 0 && i >= static_cast<int>(seeds.size()); --changes)
      mutate(bytes, seeds[static_cast<std::size_t>(n.below(static_cast<std::int64_t>(seeds.size())))], n);
    run(bytes);
  }
  std::printf("%d inputs, images decoded %zu times\n", times, accepted);
}

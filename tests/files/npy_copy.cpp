// npy_copy IN OUT [MEMBER]: reads an .npy, or a member of an .npz, and writes it again, for numpy_test.py.
#include <cstdio>

#include "sluice/npy.hpp"

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) return 2;
  try {
    sluice::write_npy(argv[2], argc == 4 ? sluice::read_npz(argv[1], argv[3]) : sluice::read_npy(argv[1]));
    return 0;
  } catch (const sluice::error& e) {
    std::fprintf(stderr, "%s: %s\n", std::string(name_of(e.code())).c_str(), e.what());
    return 1;
  }
}

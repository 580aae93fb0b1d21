// Stands in for an ONNX Runtime that is too old, or, with FAKE_WITHOUT_API, for one that gives nothing.
#include <cstdint>

namespace {

struct api_base {
  const void* (*table)(std::uint32_t);
  const char* (*version)();
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const api_base* OrtGetApiBase() {
#if defined(FAKE_WITHOUT_API)
  return nullptr;
#else
  static const api_base base{[](std::uint32_t version) -> const void* { return version <= 17 ? &base : nullptr; },
                             []() -> const char* { return "1.17.3"; }};
  return &base;
#endif
}

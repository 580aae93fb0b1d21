// Our numbers and values of ONNX Runtime's C API beside its own header, which the test's set-up fetches. A program by
// itself.
#include <onnxruntime_c_api.h>

#include <cstdio>
#include <type_traits>

#include "ort_api.hpp"

namespace {

int bad = 0;

void check(const char* name, std::size_t ours, std::size_t theirs) {
  if (ours == theirs) return;
  std::printf("%s is %zu here, %zu in the header\n", name, ours, theirs);
  ++bad;
}

// Parameters of a function, and whether it gives something: pointers, enumerations and numbers of one size each are as good
// as each other to a caller.
template <class F>
struct form;
template <class R, class... P>
struct form<R(P...)> {
  static constexpr std::size_t parameters = sizeof...(P);
  static constexpr bool is_void = std::is_void_v<R>;
  static constexpr std::size_t bytes = (0 + ... + sizeof(P));
};
template <class R, class... P>
struct form<R (*)(P...)> : form<R(P...)> {};
template <class R, class... P>
struct form<R (*)(P...) noexcept> : form<R(P...)> {};

template <class Ours, class Theirs>
void check_form(const char* name) {
  check(name, form<Ours>::parameters, form<Theirs>::parameters);
  check(name, form<Ours>::bytes, form<Theirs>::bytes);
  check(name, form<Ours>::is_void, form<Theirs>::is_void);
}

}  // namespace

int main() {
  namespace ort = sluice::ort;
  using namespace sluice::ort;  // types in the list
  int functions = 0;
#define CHECK_FUNCTION(name, theirs, number, ...)                               \
  check(#theirs, ort::name.position, offsetof(OrtApi, theirs) / sizeof(void*)); \
  check_form<__VA_ARGS__, decltype(OrtApi::theirs)>(#theirs);                   \
  ++functions;
  SLUICE_ORT_FUNCTIONS(CHECK_FUNCTION)
#define CHECK_VALUE(ours, theirs) check(#theirs, static_cast<std::size_t>(ort::ours), static_cast<std::size_t>(theirs));
  CHECK_VALUE(logging::fatal, ORT_LOGGING_LEVEL_FATAL)
  CHECK_VALUE(execution::sequential, ORT_SEQUENTIAL)
  CHECK_VALUE(allocation::device, OrtDeviceAllocator)
  CHECK_VALUE(memory_type::normal, OrtMemTypeDefault)
  CHECK_VALUE(value_type::tensor, ONNX_TYPE_TENSOR)
  CHECK_VALUE(error_kind::fail, ORT_FAIL)
  CHECK_VALUE(error_kind::invalid_argument, ORT_INVALID_ARGUMENT)
  CHECK_VALUE(error_kind::no_such_file, ORT_NO_SUCHFILE)
  CHECK_VALUE(error_kind::not_implemented, ORT_NOT_IMPLEMENTED)
  CHECK_VALUE(error_kind::provider_failed, ORT_EP_FAIL)
  CHECK_VALUE(element::f32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
  CHECK_VALUE(element::u8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8)
  CHECK_VALUE(element::i32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32)
  CHECK_VALUE(element::i64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64)
  CHECK_VALUE(element::f16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16)
  CHECK_VALUE(element::f64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE)
  CHECK_VALUE(element::bf16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16)
  check("OrtApiBase::GetApi", offsetof(ort::api_base, table), offsetof(OrtApiBase, GetApi));
  check("OrtApiBase::GetVersionString", offsetof(ort::api_base, version), offsetof(OrtApiBase, GetVersionString));
  if (ORT_API_VERSION < ort::api_version) check("ORT_API_VERSION", ort::api_version, ORT_API_VERSION);
  std::printf("%d functions, %d differences from the header of version %d\n", functions, bad, ORT_API_VERSION);
  return bad == 0 ? 0 : 1;
}

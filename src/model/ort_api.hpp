// The C API of ONNX Runtime, as far as it is used here: the table of API version 21 is append-only, so a function is its
// number in it and its type, and every later engine has it in the same place. tests/model compares numbers, values and the
// counts of parameters with the header of ONNX Runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

// The version of the table that is asked for; ONNX Runtime 1.21 is the first that has it.
inline constexpr std::uint32_t api_version = 21;

// Objects of the engine, known by their addresses.
struct status;
struct environment;
struct session;
struct session_options;
struct run_options;
struct value;
struct allocator;
struct memory_info;
struct type_info;
struct tensor_info;
struct io_binding;
struct cuda_options;

enum class logging { fatal = 4 };
enum class execution { sequential = 0 };
enum class allocation { device = 0 };
enum class memory_type { normal = 0 };
enum class value_type { tensor = 1 };

// What a status says, as far as it is told apart.
enum class error_kind { fail = 1, invalid_argument = 2, no_such_file = 3, not_implemented = 9, provider_failed = 11 };

// Of the element types those that sluice has.
enum class element { f32 = 1, u8 = 2, i32 = 6, i64 = 7, f16 = 10, f64 = 11, bf16 = 16 };

// clang-format off
// Every function in use: our name, the header's, its number, its type. Those that give a status give null for success.
#define SLUICE_ORT_FUNCTIONS(X) \
  X(error_kind_of, GetErrorCode, 1, error_kind(const status*)) \
  X(message_of, GetErrorMessage, 2, const char*(const status*)) \
  X(create_environment, CreateEnv, 3, status*(logging, const char* id, environment**)) \
  X(disable_telemetry, DisableTelemetryEvents, 6, status*(const environment*)) \
  X(create_session, CreateSessionFromArray, 8, \
    status*(const environment*, const void* bytes, std::size_t count, const session_options*, session**)) \
  X(run, Run, 9, \
    status*(session*, const run_options*, const char* const* inputs, const value* const*, std::size_t, \
            const char* const* outputs, std::size_t, value**)) \
  X(create_session_options, CreateSessionOptions, 10, status*(session_options**)) \
  X(set_execution, SetSessionExecutionMode, 13, status*(session_options*, execution)) \
  X(set_session_severity, SetSessionLogSeverityLevel, 22, status*(session_options*, int)) \
  X(set_intra_op_threads, SetIntraOpNumThreads, 24, status*(session_options*, int)) \
  X(set_inter_op_threads, SetInterOpNumThreads, 25, status*(session_options*, int)) \
  X(input_count, SessionGetInputCount, 30, status*(const session*, std::size_t*)) \
  X(output_count, SessionGetOutputCount, 31, status*(const session*, std::size_t*)) \
  X(input_type, SessionGetInputTypeInfo, 33, status*(const session*, std::size_t, type_info**)) \
  X(output_type, SessionGetOutputTypeInfo, 34, status*(const session*, std::size_t, type_info**)) \
  X(input_name, SessionGetInputName, 36, status*(const session*, std::size_t, allocator*, char**)) \
  X(output_name, SessionGetOutputName, 37, status*(const session*, std::size_t, allocator*, char**)) \
  X(create_run_options, CreateRunOptions, 39, status*(run_options**)) \
  X(set_run_severity, RunOptionsSetRunLogSeverityLevel, 41, status*(run_options*, int)) \
  X(create_value, CreateTensorWithDataAsOrtValue, 49, \
    status*(const memory_info*, void*, std::size_t bytes, const std::int64_t* extents, std::size_t rank, element, value**)) \
  X(is_tensor, IsTensor, 50, status*(const value*, int*)) \
  X(value_data, GetTensorMutableData, 51, status*(value*, void**)) \
  X(tensor_info_of_type, CastTypeInfoToTensorInfo, 55, status*(const type_info*, const tensor_info**)) \
  X(kind_of_type, GetOnnxTypeFromTypeInfo, 56, status*(const type_info*, value_type*)) \
  X(element_of, GetTensorElementType, 60, status*(const tensor_info*, element*)) \
  X(rank_of, GetDimensionsCount, 61, status*(const tensor_info*, std::size_t*)) \
  X(extents_of, GetDimensions, 62, status*(const tensor_info*, std::int64_t*, std::size_t)) \
  X(extent_names_of, GetSymbolicDimensions, 63, status*(const tensor_info*, const char**, std::size_t)) \
  X(tensor_info_of_value, GetTensorTypeAndShape, 65, status*(const value*, tensor_info**)) \
  X(create_memory_info, CreateMemoryInfo, 68, status*(const char* name, allocation, int device, memory_type, memory_info**)) \
  X(create_cpu_memory_info, CreateCpuMemoryInfo, 69, status*(allocation, memory_type, memory_info**)) \
  X(free_memory, AllocatorFree, 76, status*(allocator*, void*)) \
  X(default_allocator, GetAllocatorWithDefaultOptions, 78, status*(allocator**)) \
  X(release_status, ReleaseStatus, 93, void(status*)) \
  X(release_memory_info, ReleaseMemoryInfo, 94, void(memory_info*)) \
  X(release_session, ReleaseSession, 95, void(session*)) \
  X(release_value, ReleaseValue, 96, void(value*)) \
  X(release_run_options, ReleaseRunOptions, 97, void(run_options*)) \
  X(release_type_info, ReleaseTypeInfo, 98, void(type_info*)) \
  X(release_tensor_info, ReleaseTensorTypeAndShapeInfo, 99, void(tensor_info*)) \
  X(release_session_options, ReleaseSessionOptions, 100, void(session_options*)) \
  X(available_providers, GetAvailableProviders, 125, status*(char***, int*)) \
  X(release_providers, ReleaseAvailableProviders, 126, status*(char**, int)) \
  X(set_session_option, AddSessionConfigEntry, 130, status*(session_options*, const char* key, const char* value)) \
  X(run_bound, RunWithBinding, 133, status*(session*, const run_options*, const io_binding*)) \
  X(create_binding, CreateIoBinding, 134, status*(session*, io_binding**)) \
  X(release_binding, ReleaseIoBinding, 135, void(io_binding*)) \
  X(bind_input, BindInput, 136, status*(io_binding*, const char*, const value*)) \
  X(bind_output, BindOutput, 137, status*(io_binding*, const char*, const value*)) \
  X(set_run_option, AddRunConfigEntry, 165, status*(run_options*, const char* key, const char* value)) \
  X(append_cuda, SessionOptionsAppendExecutionProvider_CUDA_V2, 204, status*(session_options*, const cuda_options*)) \
  X(create_cuda_options, CreateCUDAProviderOptions, 205, status*(cuda_options**)) \
  X(set_cuda_options, UpdateCUDAProviderOptions, 206, \
    status*(cuda_options*, const char* const* keys, const char* const* values, std::size_t)) \
  X(release_cuda_options, ReleaseCUDAProviderOptions, 208, void(cuda_options*))
// clang-format on

// A function by its number.
template <class Function>
struct slot {
  std::size_t position;  // in the table
};

#define SLUICE_ORT_SLOT(name, theirs, number, ...) inline constexpr slot<__VA_ARGS__> name{number};
SLUICE_ORT_FUNCTIONS(SLUICE_ORT_SLOT)
#undef SLUICE_ORT_SLOT

// What the library's one symbol, OrtGetApiBase, gives.
struct api_base {
  const void* (*table)(std::uint32_t version);  // null: not that version
  const char* (*version)();                     // "1.32.0"
};
using api_base_function = const api_base*();

// The table of an engine.
class api {
 public:
  explicit api(const void* table) noexcept : functions_(static_cast<void* const*>(table)) {}

  template <class R, class... P>
  R operator()(slot<R(P...)> which, std::type_identity_t<P>... arguments) const {
    return reinterpret_cast<R (*)(P...)>(functions_[which.position])(arguments...);
  }

 private:
  void* const* functions_;
};

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

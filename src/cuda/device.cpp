// Devices: how many there are and why not, waking, what they say about themselves, and faults.
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <mutex>

#include "matmul_strict.hpp"
#include "memory.hpp"
#include "queue.hpp"
#include "sluice/impl/base/library.hpp"
#include "sluice/impl/base/thread.hpp"

namespace sluice::cuda {
namespace {

std::deque<device>& all() {
  static auto* devices = new std::deque<device>;  // never destroyed: tensors may outlive static destructors
  return *devices;
}

std::atomic<bool> is_forked_child{false};

// No call reaches a context again after one of these: only a new process brings the device back.
bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaErrorCudartUnloading:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorContextIsDestroyed:
    case cudaErrorExternalDevice:
    case cudaErrorMpsClientTerminated:
    case cudaErrorUnknown: return true;
    default: return false;
  }
}

#if defined(_WIN32)
constexpr const char* driver_library = "nvcuda.dll";
#else
constexpr const char* driver_library = "libcuda.so.1";  // there is no CUDA on macOS
#endif

// "580.159.04", where the system shows the driver's version.
bool kernel_module_version(char (&text)[32]) {
  std::ifstream in("/sys/module/nvidia/version");
  return static_cast<bool>(in.getline(text, sizeof text)) && text[0] != '\0';
}

// The driver's version, else the CUDA version that it supports, "13.0".
void driver_version(char (&text)[32]) {
  if (kernel_module_version(text)) return;
  int version = 0;
  static_cast<void>(cudaDriverGetVersion(&version));
  std::snprintf(text, sizeof text, "%d.%d", version / 1000, version % 1000 / 10);
}

// True if the process has a context on `index`: making the device current would create one.
bool has_context(int index) {
  using state_function = int (*)(int, unsigned*, int*);
  static const auto state =
      reinterpret_cast<state_function>(base::find_loaded(driver_library, "cuDevicePrimaryCtxGetState"));
  unsigned flags = 0;
  int active = 0;
  return state != nullptr && state(index, &flags, &active) == 0 && active != 0;
}

sluice_status no_devices(cudaError_t error, sluice_message* message) {
  int driver = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaGetLastError());
  if (driver == 0) return fail(SLUICE_UNAVAILABLE, message, "%s is not there: no NVIDIA driver", driver_library);
  if (error == cudaErrorInsufficientDriver)
    return fail(SLUICE_UNAVAILABLE, message, "driver %d.%d is older than runtime %d.%d", driver / 1000, driver % 1000 / 10,
                CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  return fail(SLUICE_UNAVAILABLE, message, "%s", cudaGetErrorString(error == cudaSuccess ? cudaErrorNoDevice : error));
}

}  // namespace

sluice_status fail(sluice_status status, sluice_message* message, const char* format, ...) {
  if (message == nullptr) return status;
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message->text, sizeof message->text, format, arguments);
  va_end(arguments);
  return status;
}

bool forked() { return is_forked_child.load(std::memory_order_relaxed); }

device& device_at(std::int32_t index) { return all()[static_cast<std::size_t>(index)]; }

sluice_status count_devices(std::int32_t* count, sluice_message* message) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  *count = 0;
  int found = 0;
  const cudaError_t error = cudaGetDeviceCount(&found);  // starts the driver, makes no context
  if (error != cudaSuccess || found == 0) return no_devices(error, message);
  static const bool once = (base::after_fork_in_child([] { is_forked_child.store(true); }), true);
  static_cast<void>(once);
  while (all().size() < static_cast<std::size_t>(found)) all().emplace_back(static_cast<std::int32_t>(all().size()));
  *count = found;
  return SLUICE_OK;
}

device::device(std::int32_t i) : index(i) {
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) static_cast<void>(cudaGetLastError());
  multiprocessors = properties.multiProcessorCount;
  compute_capability = properties.major * 10 + properties.minor;
  memory_total = properties.totalGlobalMem;
  char driver[32];
  driver_version(driver);
  std::snprintf(name_, sizeof name_, "%.60s, %d SMs, driver %.24s", properties.name, multiprocessors, driver);
}

// Called once a device, under core's lock.
sluice_status device::wake(sluice_message* message) {
  const device_scope scope(*this, message);
  if (scope.refused()) return scope.status();
  if (const auto s = check(cudaSetDevice(index), "starting the device", message); s != SLUICE_OK) return s;
  if (memory == nullptr) {
    const std::size_t limit = host().device_pool_bytes != 0 ? host().device_pool_bytes : memory_total / 4;
    memory = std::make_unique<memory_pool>("device", device_source(*this, limit), 512, limit);
    queues = std::make_unique<queue_pool>(*this, host().queues_per_device);
    products = std::make_unique<checked_products>();
  }
  // One kernel there and one copy back.
  sluice_queue* queue = nullptr;
  if (const auto s = queues->acquire(&queue, message); s != SLUICE_OK) return s;
  float answer = 0;
  sluice_status status = SLUICE_OK;
  {
    scratch s(*this, *memory, queue);
    status = s.allocate(sizeof answer, message);
    const sluice_array one{s.data(), SLUICE_F32, 1, {1}, {1}};
    if (status == SLUICE_OK) status = check(fill(*queue, one, 42.0), "the first kernel", message);
    if (status == SLUICE_OK)
      status = check(cudaMemcpyAsync(&answer, s.data(), sizeof answer, cudaMemcpyDeviceToHost, queue->stream),
                     "the first copy", message);
    if (status == SLUICE_OK) status = check(cudaStreamSynchronize(queue->stream), "the first kernel", message);
  }
  queues->release(queue);
  if (status == SLUICE_OK && answer != 42.0f)
    status = fail(SLUICE_UNAVAILABLE, message, "cuda:%d: its first kernel wrote %g instead of 42", index,
                  static_cast<double>(answer));
  if (status == SLUICE_OK) awake_.store(true, std::memory_order_release);
  return status;
}

void device::info(sluice_device_info* out) {
  *out = {};
  std::snprintf(out->description, sizeof out->description, "%s", name_);
  out->memory_total = memory_total;
  out->awake = awake() ? 1 : 0;
  if (awake() && !lost() && !forked()) {
    const device_scope scope(*this);
    std::size_t free = 0;
    std::size_t total = 0;
    if (check(cudaMemGetInfo(&free, &total), "asking for its memory", nullptr) == SLUICE_OK) out->memory_free = free;
  }
  out->healthy = lost() || forked() ? 0 : 1;
  if (lost()) std::memcpy(out->state, state_, sizeof out->state);
  if (forked()) std::snprintf(out->state, sizeof out->state, "CUDA does not survive fork");
}

void device::lose(cudaError_t error, const char* call) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (lost()) return;
  std::snprintf(state_, sizeof state_, "%s: %s; only a new process brings the device back", call, cudaGetErrorString(error));
  lost_.store(true, std::memory_order_release);
  if (error == cudaErrorCudartUnloading) return;  // the process is exiting
  char line[200];
  std::snprintf(line, sizeof line, "cuda:%d is lost: %s", index, state_);
  host().log(3, line);
}

sluice_status device::check(cudaError_t error, const char* call, sluice_message* message) {
  if (error == cudaSuccess) return SLUICE_OK;
  static_cast<void>(cudaGetLastError());  // what is not sticky ends here
  if (is_sticky(error)) {
    lose(error, call);
    return fail(SLUICE_DEVICE_LOST, message, "cuda:%d is lost: %s", index, state_);
  }
  return fail(error == cudaErrorMemoryAllocation ? SLUICE_OUT_OF_MEMORY : SLUICE_INTERNAL, message, "cuda:%d: %s: %s", index,
              call, cudaGetErrorString(error));
}

sluice_status device::check(cublasStatus_t status, const char* call, sluice_message* message) {
  if (status == CUBLAS_STATUS_SUCCESS) return SLUICE_OK;
  const cudaError_t error = cudaGetLastError();
  if (is_sticky(error)) return check(error, call, message);
  return fail(status == CUBLAS_STATUS_ALLOC_FAILED ? SLUICE_OUT_OF_MEMORY : SLUICE_INTERNAL, message, "cuda:%d: %s: %s",
              index, call, cublasGetStatusString(status));
}

sluice_status device::usable(sluice_message* message) const {
  if (forked())
    return fail(
        SLUICE_UNAVAILABLE, message,
        "CUDA does not survive fork: this process is the child of one that had started it; exec a new program, or fork "
        "before the first use of a device");
  if (lost()) return fail(SLUICE_DEVICE_LOST, message, "cuda:%d is lost: %s", index, state_);
  return SLUICE_OK;
}

device_scope::device_scope(const device& d, sluice_message* message) : status_(d.usable(message)) {
  if (refused()) return;
  cudaThreadExchangeStreamCaptureMode(&capture_);
  int current = -1;
  if (cudaGetDevice(&current) == cudaSuccess && current == d.index) return;
  if (cudaSetDevice(d.index) != cudaSuccess) static_cast<void>(cudaGetLastError());  // the slot's own calls will say why
  before_ = current;
}

device_scope::~device_scope() {
  if (refused()) return;
  cudaThreadExchangeStreamCaptureMode(&capture_);
  if (before_ >= 0 && has_context(before_)) cudaSetDevice(before_);
}

}  // namespace sluice::cuda

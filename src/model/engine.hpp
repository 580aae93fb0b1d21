// The process's ONNX Runtime: found and loaded once, and what it says turned into errors of ours.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "ort_api.hpp"
#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

// What the engine says of a failure.
struct failure {
  error_kind kind;
  std::string text;
};

// Calls functions of the engine by their slots.
class engine {
 public:
  engine(const void* table, environment* made) noexcept : api_(table), environment_(made) {}

  [[nodiscard]] const environment* shared() const noexcept { return environment_; }

  // Throws sluice::error (internal) where the function fails, which it does for want of memory.
  template <class... P>
  void operator()(slot<status*(P...)> which, std::type_identity_t<P>... arguments) const {
    if (status* failed = api_(which, arguments...)) [[unlikely]]
      throw_failure(taken(failed));
  }
  // Gives the failure.
  template <class... P>
  std::optional<failure> attempt(slot<status*(P...)> which, std::type_identity_t<P>... arguments) const {
    if (status* failed = api_(which, arguments...)) [[unlikely]]
      return taken(failed);
    return std::nullopt;
  }
  template <class T>
  void release(slot<void(T*)> which, T* object) const noexcept {
    api_(which, object);
  }

 private:
  [[nodiscard]] failure taken(status* failed) const;
  [[noreturn]] static void throw_failure(const failure& what);

  api api_;
  environment* environment_;
};

// The engine. Loads it at the first call; throws unavailable, with the reason, where there is none.
const engine& find_engine();

// An object of the engine, owned.
template <class T, auto Release>
class handle {
 public:
  handle() = default;
  explicit handle(T* object) noexcept : object_(object) {}
  handle(handle&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  handle& operator=(handle&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~handle() {
    if (object_ != nullptr) find_engine().release(Release, object_);
  }

  [[nodiscard]] T* get() const noexcept { return object_; }
  // For a function that gives the object: only while it is empty.
  [[nodiscard]] T** out() noexcept { return &object_; }

 private:
  T* object_ = nullptr;
};

using session_handle = handle<session, release_session>;
using session_options_handle = handle<session_options, release_session_options>;
using run_options_handle = handle<run_options, release_run_options>;
using value_handle = handle<value, release_value>;
using memory_info_handle = handle<memory_info, release_memory_info>;
using type_info_handle = handle<type_info, release_type_info>;
using tensor_info_handle = handle<tensor_info, release_tensor_info>;
using binding_handle = handle<io_binding, release_binding>;
using cuda_options_handle = handle<cuda_options, release_cuda_options>;

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice

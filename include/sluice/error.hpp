/// @file
/// One exception type, with a code to act on and a sentence to read.
///
///     try { auto c = sluice::matmul(a, b); }
///     catch (const sluice::error& e) {
///       if (e.code() == sluice::error_code::out_of_memory) retry_smaller();
///     }
///
/// The sentence names the operation, the numbers and the rule: "[matmul] a is (2, 3), b is (4, 5): a.extent(1) must equal
/// b.extent(0)".
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What a caller can act on. The first six are numbered as sluice_status in backend_api.h.
enum class error_code : int {
  invalid_argument = 1,  ///< a shape, dtype, name or option that the call does not take
  unsupported = 2,       ///< well-formed, but this device or build has no such operation
  out_of_memory = 3,     ///< the device's memory, or a limit on it
  device_lost = 4,       ///< the device had a sticky error: only a new process can use it again
  unavailable = 5,       ///< no such device, or it refused to start
  internal = 6,          ///< a defect in sluice or in a backend
  io = 7,                ///< the operating system refused to read or write; names the file and the offset
  malformed = 8,         ///< bytes that are not what they claim to be (an .npy header, a JSON body)
  cancelled = 9,         ///< the caller requested cancellation
  limit_exceeded = 10,   ///< larger than a limit in force
};

/// The code's name, as in `error_code`: "invalid_argument".
SLUICE_API std::string_view name_of(error_code code) noexcept;

/// What every function of the library throws.
class SLUICE_SHARED_TYPE error : public std::runtime_error {
 public:
  /// `sentence` is what() as it is.
  error(error_code code, const std::string& sentence) : std::runtime_error(sentence), code_(code) {}
  ~error() override;  ///< defined in the library, so that every module shares one type

  [[nodiscard]] error_code code() const noexcept { return code_; }  ///< what kind of failure

 private:
  error_code code_;
};

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/error.hpp"
#endif

/// @file
/// What an operation holds while it runs: the device that was chosen, and placement's account of the call. While the call is
/// under way other decisions see the device busy; once it is done its time corrects the profile.
#pragma once

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

struct work;
struct decision;

/// A call of the caller's own on the device that place() chose, while it lives: other decisions see the device busy, and the
/// time from here to succeeded() corrects the profile. Operations called meanwhile by the same thread are part of it.
///
///     sluice::call_account call(work, decision, false, true);
///     ...;                 // all of it, until the result is there
///     call.succeeded();
class call_account {
 public:
  call_account() = default;  ///< of a call on the CPU that is not accounted for
  /// Of a call on `where` that is not accounted for.
  explicit call_account(const device& where) noexcept : where_(where) {}
  /// Of `w` on `d.where`. `comes_back`: deliver() brings the result to the CPU. `watched`: the end of the call is the end of
  /// the work, which of work left under way on a device is not seen.
  SLUICE_API call_account(const work& w, const decision& d, bool comes_back, bool watched) noexcept;
  /// The end of the call.
  ~call_account() {
    if (live_ != nullptr) end();
  }
  call_account(const call_account&) = delete;             ///< it is one call
  call_account& operator=(const call_account&) = delete;  ///< likewise

  [[nodiscard]] const device& where() const noexcept { return where_; }   ///< the device that was chosen
  [[nodiscard]] double predicted() const noexcept { return predicted_; }  ///< seconds, 0: not known
  void succeeded() noexcept { succeeded_ = true; }                        ///< its time counts

  /// The operation's result, where its caller has his operands: the work of tensors on the CPU comes back to the CPU.
  [[nodiscard]] tensor deliver(tensor out) {
    tensor there = comes_back_ ? out.to(device::cpu) : std::move(out);
    succeeded_ = true;
    return there;
  }

 private:
  SLUICE_API void end() noexcept;

  device where_;
  bool comes_back_ = false;
  bool watched_ = false;
  bool succeeded_ = false;
  bool alone_ = false;
  std::uint32_t ticket_ = 0;
  int cell_ = -1;
  void* live_ = nullptr;  // of core's: the device's state, null when nothing is accounted
  double predicted_ = 0;
  double busy_ = 0;
  std::int64_t began_ = 0;  // ns
};

}  // namespace SLUICE_ABI
}  // namespace sluice

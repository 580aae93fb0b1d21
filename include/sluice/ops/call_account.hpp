// What an operation holds while it runs: the device that was chosen, and placement's account of the call. While the call is
// under way other decisions see the device busy; once it is done its time corrects the profile.
#pragma once

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace v0 {

struct work;
struct decision;

namespace detail {

class call_account {
 public:
  call_account() = default;
  explicit call_account(const device& where) noexcept : where_(where) {}
  // `comes_back`: deliver() brings the result to the CPU. `watched`: the end of the call is the end of the work, which of
  // work left under way on a device is not seen.
  SLUICE_API call_account(const work& w, const decision& d, bool comes_back, bool watched) noexcept;
  ~call_account() {
    if (live_ != nullptr) end();
  }
  call_account(const call_account&) = delete;
  call_account& operator=(const call_account&) = delete;

  [[nodiscard]] const device& where() const noexcept { return where_; }
  [[nodiscard]] double predicted() const noexcept { return predicted_; }  // seconds, 0: not known
  void succeeded() noexcept { succeeded_ = true; }

  // The operation's result, where its caller has his operands: the work of tensors on the CPU comes back to the CPU.
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

}  // namespace detail
}  // namespace v0
}  // namespace sluice

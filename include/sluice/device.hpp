/// @file
/// The devices that work runs on and tensors live on.
///
///     for (const auto& d : sluice::devices()) std::cout << d.where.str() << ": " << d.description << '\n';
///     for (const auto& r : sluice::refusals()) std::cout << r.str() << '\n';
///     auto c = sluice::matmul(a, b, "cuda:0");
///
/// Backends other than the CPU are modules named libsluice-NAME.so, searched for in the folders of SLUICE_BACKEND_PATH
/// (separated by colons), beside the sluice library (or beside the executable, where sluice is linked statically or
/// header-only), in PREFIX/lib for an executable in PREFIX/bin, and in the library folder of the package that the program
/// was built with (SLUICE_BACKEND_FOLDER, which sluice's CMake targets define). They are loaded when devices() is first
/// called or one of their devices is first named, and never unloaded.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// A device's name, a value: "cpu", "cuda:1", or "automatic", which lets placement choose.
class device {
 public:
  static const device automatic;  ///< placement chooses
  static const device cpu;        ///< always there

  constexpr device() = default;  ///< the CPU
  /// "cpu", "cuda" (that is "cuda:0"), "cuda:1", "automatic". Throws invalid_argument for text of another form. The
  /// device's existence is checked when it is used.
  device(std::string_view text) { *this = parse(text); }
  /// Likewise.
  device(const char* text) : device(std::string_view(text)) {}
  /// Likewise.
  device(const std::string& text) : device(std::string_view(text)) {}
  /// Device `index` of a backend. Throws invalid_argument for a name of more than 15 letters.
  constexpr device(std::string_view backend, int index) : index_(index) {
    if (backend.size() >= name_.size()) throw error(error_code::invalid_argument, "[device] a name has at most 15 letters");
    for (std::size_t i = 0; i < backend.size(); ++i) name_[i] = backend[i];
  }

  /// "cpu", "cuda", "automatic".
  [[nodiscard]] constexpr std::string_view backend() const noexcept { return std::string_view(name_.data()); }
  [[nodiscard]] constexpr int index() const noexcept { return index_; }          ///< among its backend's, from 0
  [[nodiscard]] constexpr bool is_cpu() const noexcept { return is_of("cpu"); }  ///< whether it is the CPU
  /// Whether it leaves the choice to placement.
  [[nodiscard]] constexpr bool is_automatic() const noexcept { return is_of("automatic"); }
  /// "cpu", "cuda:1", "automatic".
  [[nodiscard]] SLUICE_API std::string str() const;

  /// The same backend and index.
  [[gnu::always_inline]] friend constexpr bool operator==(const device& a, const device& b) noexcept {
    if (a.index_ != b.index_) return false;
    for (std::size_t i = 0; i < a.name_.size(); ++i)
      if (a.name_[i] != b.name_[i]) return false;
    return true;
  }

 private:
  SLUICE_API static device parse(std::string_view text);
  // Inlined, and without a call of strlen or memcmp: a decision asks this some twenty times.
  template <std::size_t N>
  [[gnu::always_inline]] constexpr bool is_of(const char (&letters)[N]) const noexcept {
    for (std::size_t i = 0; i < N; ++i)
      if (name_[i] != letters[i]) return false;
    return true;
  }

  std::array<char, 16> name_{'c', 'p', 'u'};
  int index_ = 0;
};

inline constexpr device device::automatic{"automatic", 0};
inline constexpr device device::cpu{"cpu", 0};

/// Which device a caller asks for. A device's name alone requires that device.
///
///     sluice::matmul(a, b, sluice::prefer("cuda"));   // another device while it is missing or lost
///     sluice::matmul(a, b, "cuda:0");                 // that device or an error; require("cuda:0") says the same
struct device_request {
  /// How much the caller insists.
  enum class strength {
    automatic,  ///< placement chooses
    preferred,  ///< `where`, unless it is missing, lost or too late
    required,   ///< `where`, or an error
  };

  device where = device::automatic;    ///< the device asked for
  strength how = strength::automatic;  ///< automatic exactly when `where` is

  constexpr device_request() = default;  ///< placement chooses
  /// A device. `automatic` stays automatic, whatever the strength.
  constexpr device_request(const device& d, strength s = strength::required)
      : where(d), how(d.is_automatic() ? strength::automatic : s) {}
  /// The device of that name, required. Throws as device's constructor does.
  template <class Name>
  requires(std::convertible_to<const Name&, std::string_view>) device_request(const Name& name)
      : device_request(device(std::string_view(name))) {}

  [[nodiscard]] constexpr bool is_automatic() const noexcept { return how == strength::automatic; }  ///< placement chooses
  [[nodiscard]] constexpr bool is_preferred() const noexcept { return how == strength::preferred; }  ///< `where` if possible
  [[nodiscard]] constexpr bool is_required() const noexcept { return how == strength::required; }    ///< `where` or an error
};

/// `d` while it is present, not lost and in time; otherwise placement chooses.
constexpr device_request prefer(const device& d) { return {d, device_request::strength::preferred}; }
/// `d` or an error: unavailable, or device_lost.
constexpr device_request require(const device& d) { return {d, device_request::strength::required}; }

/// What is known of a device without initialising it.
struct device_info {
  device where;                    ///< its name
  std::string description;         ///< "NVIDIA H200, 132 SMs"
  std::uint64_t memory_total = 0;  ///< bytes; 0 while asking would initialise the device
  std::uint64_t memory_free = 0;   ///< bytes; likewise
  bool awake = false;              ///< a context exists
  bool healthy = true;             ///< false after a sticky error, or when it failed to initialise
  bool lost = false;               ///< after a sticky error: only a new process can use it again
  std::string state;               ///< why it is not healthy
};

/// A backend that was found and refused, a device that failed to initialise, or, where no module was found at all, a folder
/// that was searched.
struct refusal {
  std::string backend;  ///< "cuda"; empty for a folder
  std::string path;     ///< of the module; or the folder
  std::string reason;   ///< "libcublas.so.13: cannot open shared object file"

  /// "cuda was refused: libcublas.so.13: cannot open ...", "no module libsluice-*.so is in /usr/bin".
  [[nodiscard]] std::string str() const { return backend.empty() ? reason : backend + " was refused: " + reason; }
};

/// The devices of every backend, the CPU first. Loads the modules on first use; initialises no device.
SLUICE_API std::vector<device_info> devices();

/// Why each backend that is not among devices() was refused; every folder that was searched, where none holds a module.
SLUICE_API std::vector<refusal> refusals();

/// `wanted` if it is initialised and not lost; for automatic the first such device other than the CPU; else the CPU. Queries
/// no device, loads no module and does not block: for preparing work that may run on a device.
SLUICE_API device awake_device(const device& wanted = device::automatic) noexcept;

/// Counters of a pool of memory.
struct memory_stats {
  std::uint64_t in_use = 0;       ///< bytes handed out now
  std::uint64_t pooled = 0;       ///< bytes kept for reuse
  std::uint64_t peak = 0;         ///< most bytes handed out at once
  std::uint64_t limit = 0;        ///< bytes the pool may keep
  std::uint64_t allocations = 0;  ///< served since start
  std::uint64_t reused = 0;       ///< of these, from the pool
};

/// Which of a device's memories.
enum class memory {
  device = 0,  ///< its own; for the CPU, host memory
  pinned = 1   ///< host memory that the device copies at full speed
};

/// Counters of a device's memory pool. Throws unavailable when there is no such device.
SLUICE_API memory_stats memory_statistics(const device& where, memory kind = memory::device);

/// Returns the pool's unused memory to the system. Throws unavailable when there is no such device.
SLUICE_API void memory_trim(const device& where, memory kind = memory::device);

namespace detail {
SLUICE_API void add_backend_folder(const char* folder);  // before the modules are loaded
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/device.hpp"
#endif

#if defined(SLUICE_BACKEND_FOLDER)
namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {
// Ahead of every variable below this header, and so of every static initialiser that asks for a device.
inline const bool backend_folder_added = (add_backend_folder(SLUICE_BACKEND_FOLDER), true);
}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice
#endif

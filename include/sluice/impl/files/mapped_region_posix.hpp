// Linux and macOS: mapped regions and the handler of SIGBUS that they need. Included by file.hpp.
//
// Two threads over a file in the page cache, written in blocks of 4 MiB (two cores, memory alone 31 GB/s), summed 31 GB/s in
// regions of 8 MiB, 25 of 2 MiB, 10 of 1 MiB, and 24 by pread.
#pragma once

#include <sys/mman.h>
#include <unistd.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/impl/files/file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// A live region, for the handler, which may run at any time and takes no lock.
struct live_region {
  std::atomic<std::uintptr_t> begin{0};  // 0: free, 1: being filled
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> cut{false};
};
inline std::array<live_region, 256> live_regions;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

inline struct sigaction previous_action {};  // of SIGBUS, before ours

inline std::uintptr_t page_bytes() {
  static const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// Maps zeros over the rest of a region.
inline bool replaced_by_zeros(std::uintptr_t address) {
  for (auto& s : live_regions) {
    const std::uintptr_t begin = s.begin.load(std::memory_order_acquire);
    const std::uintptr_t end = s.end.load(std::memory_order_acquire);
    if (begin <= 1 || address < begin || address >= end) continue;
    const std::uintptr_t page = address / page_bytes() * page_bytes();
    s.cut.store(true);
    return ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
  }
  return false;
}

inline void call_previous_action(int number, siginfo_t* info, void* context) {
  const bool sent = info->si_code <= 0;  // by a process; a fault cannot be ignored
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) return previous_action.sa_sigaction(number, info, context);
  if (previous_action.sa_handler == SIG_IGN && sent) return;
  if (previous_action.sa_handler != SIG_IGN && previous_action.sa_handler != SIG_DFL)
    return previous_action.sa_handler(number);
  // Ends the process by this signal: at the fault, which repeats, or when this handler returns.
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(number, &usual, nullptr);
  if (sent) ::raise(number);
}

inline void on_sigbus(int number, siginfo_t* info, void* context) {
  const int kept = errno;
  if (info->si_code <= 0 || !replaced_by_zeros(reinterpret_cast<std::uintptr_t>(info->si_addr)))
    call_previous_action(number, info, context);
  errno = kept;
}

// True while the handler of SIGBUS is ours. An application that replaces it later reads without mapping.
inline bool is_guarded() {
  static const bool installed = [] {
    page_bytes();  // before the handler calls it
    struct sigaction ours {};
    if (::sigaction(SIGBUS, nullptr, &previous_action) != 0) return false;
    ours.sa_sigaction = on_sigbus;
    ours.sa_mask = previous_action.sa_mask;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous_action.sa_flags & (SA_NODEFER | SA_RESTART));
    return ::sigaction(SIGBUS, &ours, nullptr) == 0;
  }();
  struct sigaction now {};
  return installed && ::sigaction(SIGBUS, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
         now.sa_sigaction == on_sigbus;
}

inline int register_region(std::span<const std::byte> pages) {
  for (std::size_t i = 0; i < live_regions.size(); ++i) {
    std::uintptr_t free = 0;
    if (live_regions[i].begin.load(std::memory_order_relaxed) != 0 ||
        !live_regions[i].begin.compare_exchange_strong(free, 1))
      continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(pages.data());
    live_regions[i].cut.store(false);
    live_regions[i].end.store(begin + pages.size());
    live_regions[i].begin.store(begin, std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;
}

inline mapped_region file::map(std::int64_t offset, std::int64_t bytes) const {
  if (!is_guarded()) return {};
  const auto before_it = static_cast<std::size_t>(static_cast<std::uintptr_t>(offset) % page_bytes());
  const std::size_t length = before_it + static_cast<std::size_t>(bytes);
  void* const at =
      ::mmap(nullptr, length, PROT_READ, MAP_SHARED, descriptor_.get(), offset - static_cast<std::int64_t>(before_it));
  if (at == MAP_FAILED) return {};
  mapped_region w;
  w.pages_ = {static_cast<std::byte*>(at), length};
  w.entry_ = register_region(w.pages_);
  w.in_ = this;
  w.end_ = offset + bytes;
  if (w.entry_ < 0) return {};
    // Pages come by their first touch, 16 at a time: to have them all beforehand (MAP_POPULATE) is as fast where the page
    // cache is made of large pages, and slower by a third where it is not. In large ones a file that is not in memory comes
    // faster, and is read at 44 GB/s the next time.
#ifdef MADV_HUGEPAGE
  ::madvise(at, length, MADV_HUGEPAGE);
#endif
  w.bytes_ = std::span<const std::byte>(w.pages_).subspan(before_it);
  return w;
}

inline mapped_region::~mapped_region() {
  if (pages_.empty()) return;
  if (entry_ >= 0) live_regions[static_cast<std::size_t>(entry_)].begin.store(0, std::memory_order_release);
  ::munmap(pages_.data(), pages_.size());
}

inline bool mapped_region::in_memory() const noexcept {
#if defined(__linux__)
  const std::size_t last = pages_.empty() ? 0 : (pages_.size() - 1) / page_bytes();
  for (const std::size_t page : {std::size_t{0}, last / 2, last}) {
    unsigned char there = 1;
    if (!pages_.empty() && ::mincore(pages_.data() + page * page_bytes(), 1, &there) == 0 && (there & 1) == 0) return false;
  }
#endif
  return true;
}

inline void mapped_region::check() const {
  if (pages_.empty()) return;
  // The rest of a file's last page reads as zeros without a signal: only its size shows the loss.
  in_->check_reaches(end_);
  if (live_regions[static_cast<std::size_t>(entry_)].cut.load())
    throw error(error_code::io, fmt::format("[{}] {}: bytes {} to {} could not all be read", in_->operation(), in_->path(),
                                            end_ - static_cast<std::int64_t>(bytes_.size()), end_));
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

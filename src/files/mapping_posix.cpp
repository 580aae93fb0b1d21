// Windows, and the handler of SIGBUS that they need. Two threads over a file in the page cache, written in pieces of 4 MiB
// (two cores, memory alone 31 GB/s), summed 31 GB/s in windows of 8 MiB, 25 of 2 MiB, 10 of 1 MiB, and 24 by pread.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include <fmt/format.h>

#include "file.hpp"
#include "sluice/error.hpp"

namespace sluice::files {
namespace {

// A live window, for the handler: it may look at any time, and takes no lock.
struct slot {
  std::atomic<std::uintptr_t> begin{0};  // 0: free, 1: being filled
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> cut{false};
};
std::array<slot, 256> slots;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

struct sigaction before {};  // ours was installed

std::uintptr_t page_size() {
  static const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// Puts zeros where the rest of a window was.
bool patched(std::uintptr_t address) {
  for (auto& s : slots) {
    const std::uintptr_t begin = s.begin.load(std::memory_order_acquire);
    const std::uintptr_t end = s.end.load(std::memory_order_acquire);
    if (begin <= 1 || address < begin || address >= end) continue;
    const std::uintptr_t page = address / page_size() * page_size();
    s.cut.store(true);
    return ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
  }
  return false;
}

void pass_on(int number, siginfo_t* info, void* context) {
  const bool sent = info->si_code <= 0;  // by a process; the kernel does not let a fault be ignored
  if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(number, info, context);
  if (before.sa_handler == SIG_IGN && sent) return;
  if (before.sa_handler != SIG_IGN && before.sa_handler != SIG_DFL) return before.sa_handler(number);
  // The end of the process, by this signal: at the fault, which happens again, or when this handler is left.
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(number, &usual, nullptr);
  if (sent) ::raise(number);
}

void on_sigbus(int number, siginfo_t* info, void* context) {
  const int kept = errno;
  if (info->si_code <= 0 || !patched(reinterpret_cast<std::uintptr_t>(info->si_addr))) pass_on(number, info, context);
  errno = kept;
}

// Whether the handler of SIGBUS is ours. An application that put its own in our place later reads without windows.
bool is_guarded() {
  static const bool installed = [] {
    page_size();  // before any handler asks
    struct sigaction ours {};
    if (::sigaction(SIGBUS, nullptr, &before) != 0) return false;
    ours.sa_sigaction = on_sigbus;
    ours.sa_mask = before.sa_mask;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (before.sa_flags & (SA_NODEFER | SA_RESTART));
    return ::sigaction(SIGBUS, &ours, nullptr) == 0;
  }();
  struct sigaction now {};
  return installed && ::sigaction(SIGBUS, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
         now.sa_sigaction == on_sigbus;
}

int take_slot(std::span<const std::byte> pages) {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    std::uintptr_t free = 0;
    if (slots[i].begin.load(std::memory_order_relaxed) != 0 || !slots[i].begin.compare_exchange_strong(free, 1)) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(pages.data());
    slots[i].cut.store(false);
    slots[i].end.store(begin + pages.size());
    slots[i].begin.store(begin, std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

window file::map(std::int64_t offset, std::int64_t bytes) const {
  if (!is_guarded()) return {};
  const auto before_it = static_cast<std::size_t>(static_cast<std::uintptr_t>(offset) % page_size());
  const std::size_t length = before_it + static_cast<std::size_t>(bytes);
  void* const at =
      ::mmap(nullptr, length, PROT_READ, MAP_SHARED, descriptor_.get(), offset - static_cast<std::int64_t>(before_it));
  if (at == MAP_FAILED) return {};
  window w;
  w.pages_ = {static_cast<std::byte*>(at), length};
  w.slot_ = take_slot(w.pages_);
  w.in_ = this;
  w.end_ = offset + bytes;
  if (w.slot_ < 0) return {};
    // Pages come by their first touch, 16 at a time: to have them all beforehand (MAP_POPULATE) is as fast where the page
    // cache is made of large pages, and slower by a third where it is not. In large ones a file that is not in memory comes
    // faster, and is read at 44 GB/s the next time.
#ifdef MADV_HUGEPAGE
  ::madvise(at, length, MADV_HUGEPAGE);
#endif
  w.bytes_ = std::span<const std::byte>(w.pages_).subspan(before_it);
  return w;
}

window::~window() {
  if (pages_.empty()) return;
  if (slot_ >= 0) slots[static_cast<std::size_t>(slot_)].begin.store(0, std::memory_order_release);
  ::munmap(pages_.data(), pages_.size());
}

bool window::in_memory() const noexcept {
#if defined(__linux__)
  const std::size_t last = pages_.empty() ? 0 : (pages_.size() - 1) / page_size();
  for (const std::size_t page : {std::size_t{0}, last / 2, last}) {
    unsigned char there = 1;
    if (!pages_.empty() && ::mincore(pages_.data() + page * page_size(), 1, &there) == 0 && (there & 1) == 0) return false;
  }
#endif
  return true;
}

void window::check() const {
  if (pages_.empty()) return;
  // The rest of a file's last page reads as zeros without a signal: its size tells.
  in_->check_reaches(end_);
  if (slots[static_cast<std::size_t>(slot_)].cut.load())
    throw error(error_code::io, fmt::format("[{}] {}: bytes {} to {} could not all be read", in_->operation(), in_->path(),
                                            end_ - static_cast<std::int64_t>(bytes_.size()), end_));
}

}  // namespace sluice::files

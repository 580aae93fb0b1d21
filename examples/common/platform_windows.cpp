// Windows: a console's handlers run on threads of their own, so that no pipe is needed.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <atomic>
#include <semaphore>
#include <system_error>
#include <thread>
#include <utility>

#include "platform.hpp"

namespace {

std::counting_semaphore<> woken(0);
std::atomic<int> first{0};  // signal, by the numbers of other systems
std::atomic<bool> wanted{false};
std::thread waiting;

BOOL WINAPI forward(DWORD event) {
  int none = 0;
  if (!first.compare_exchange_strong(none, event == CTRL_C_EVENT ? 2 : 15)) return FALSE;  // the default ends the process
  wanted = true;
  woken.release();
  // When this returns from one of the others the process ends: that is left to main(), for as long as the system waits.
  if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT) ::Sleep(INFINITE);
  return TRUE;
}

}  // namespace

interrupt::interrupt(std::function<void()> on_stop) {
  waiting = std::thread([on_stop = std::move(on_stop)] {
    woken.acquire();
    if (wanted) on_stop();
  });
  ::SetConsoleCtrlHandler(forward, TRUE);
}

interrupt::~interrupt() {
  ::SetConsoleCtrlHandler(forward, FALSE);
  woken.release();
  waiting.join();
}

void interrupt::stop() noexcept {
  wanted = true;
  woken.release();
}

int interrupt::exit_code() noexcept { return first == 0 ? 0 : 128 + first; }

bool error_is_terminal() {
  DWORD mode = 0;
  return ::GetConsoleMode(::GetStdHandle(STD_ERROR_HANDLE), &mode) && (mode & ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
}

int error_columns() {
  CONSOLE_SCREEN_BUFFER_INFO info{};
  return ::GetConsoleScreenBufferInfo(::GetStdHandle(STD_ERROR_HANDLE), &info) ? info.srWindow.Right - info.srWindow.Left + 1
                                                                               : 80;
}

void raise_descriptors() {}  // handles have no such limit

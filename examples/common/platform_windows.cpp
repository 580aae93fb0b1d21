// Windows: a console's handlers run on threads of their own, so that no pipe is needed.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <fcntl.h>
#include <io.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
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

void keep_standard_streams() {}  // handles have no such numbers

void keep_files_private() {}  // the folder says who may read

bool output_is_terminal() { return ::_isatty(1) != 0; }

bool output_is(const std::string&) { return false; }  // a file that is read cannot be truncated there

std::error_code write_to_output(std::span<const std::byte> bytes, std::size_t& done) {
  static const int binary = ::_setmode(1, _O_BINARY);
  static_cast<void>(binary);
  for (done = 0; done < bytes.size();) {
    const auto step = std::min<std::size_t>(bytes.size() - done, std::size_t{1} << 20);
    const int n = ::_write(1, bytes.data() + done, static_cast<unsigned>(step));
    if (n <= 0) return {errno, std::generic_category()};
    done += static_cast<std::size_t>(n);
  }
  return {};
}

std::error_code close_output() {
  return ::_close(1) == 0 ? std::error_code() : std::error_code(errno, std::generic_category());
}

std::function<std::size_t(std::span<std::byte>)> open_stream(const std::string& path) {
  const int number = ::_open(path.c_str(), _O_RDONLY | _O_BINARY);
  if (number < 0) throw std::system_error(errno, std::generic_category(), path);
  const std::shared_ptr<int> opened(new int(number), [](int* n) {
    ::_close(*n);
    delete n;
  });
  return [opened, path](std::span<std::byte> out) {
    const int n =
        ::_read(*opened, out.data(), static_cast<unsigned>(std::min<std::size_t>(out.size(), std::size_t{1} << 20)));
    if (n < 0) throw std::system_error(errno, std::generic_category(), path);
    return static_cast<std::size_t>(n);
  };
}

void raise_descriptors() {}  // handles have no such limit

std::string unknown_host(const std::string&) { return {}; }  // httplib alone knows the sockets here

// Windows: files are handles below the C runtime's numbers. Paths are narrow strings as std::filesystem::path reads them.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <vector>

#include "http/system.hpp"

namespace sluice::serving {
namespace {

constexpr DWORD shared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;  // as files are on other systems

std::error_code because(std::errc why) { return std::make_error_code(why); }

std::error_code because(DWORD number) {
  switch (number) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME: return because(std::errc::no_such_file_or_directory);
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION: return because(std::errc::permission_denied);
    case ERROR_LOCK_VIOLATION: return because(std::errc::operation_would_block);
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
    case ERROR_FILE_TOO_LARGE: return because(std::errc::no_space_on_device);
    default: return {static_cast<int>(number), std::system_category()};
  }
}

std::error_code reason(bool failed) { return failed ? because(::GetLastError()) : std::error_code(); }

HANDLE handle_of(const descriptor& file) {
  return file.get() < 0 ? INVALID_HANDLE_VALUE : reinterpret_cast<HANDLE>(::_get_osfhandle(file.get()));
}

std::error_code opened_as(HANDLE handle, descriptor& opened) {
  if (handle == INVALID_HANDLE_VALUE) return reason(true);
  opened = descriptor(::_open_osfhandle(reinterpret_cast<std::intptr_t>(handle), _O_BINARY | _O_NOINHERIT));
  if (opened.get() >= 0) return {};
  ::CloseHandle(handle);
  return because(std::errc::too_many_files_open);
}

std::error_code open(const std::wstring& path, DWORD access, DWORD share, DWORD how, DWORD flags, descriptor& opened) {
  return opened_as(::CreateFileW(path.c_str(), access, share, nullptr, how, flags, nullptr), opened);
}

constexpr DWORD as_it_is = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;  // folders too, and links themselves

// What a handle leads to, and nothing where that cannot be told.
DWORD attributes_of(const descriptor& file) {
  BY_HANDLE_FILE_INFORMATION s{};
  return ::GetFileInformationByHandle(handle_of(file), &s) ? s.dwFileAttributes : 0;
}

// The path of an open folder as the system itself has it, "\\?\C:\data": what is added to it is taken letter for letter.
std::error_code path_of(const descriptor& folder, std::wstring& path) {
  path.resize(32768);
  const auto room = static_cast<DWORD>(path.size());
  const DWORD size = ::GetFinalPathNameByHandleW(handle_of(folder), path.data(), room, VOLUME_NAME_DOS);
  if (size == 0) return reason(true);  // a volume without a letter, among others
  if (size >= room) return because(std::errc::filename_too_long);
  path.resize(size);
  return {};
}

OVERLAPPED at(std::int64_t offset) {
  OVERLAPPED o{};
  o.Offset = static_cast<DWORD>(offset & 0xffffffff);
  o.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return o;
}

constexpr std::size_t most = 1 << 30;  // bytes in one call

}  // namespace

descriptor::~descriptor() {
  if (fd_ >= 0) ::_close(fd_);
}

namespace system {

std::error_code open_file(const std::string& path, descriptor& opened) {
  return open(std::filesystem::path(path).wstring(), GENERIC_READ, shared, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT,
              opened);
}

std::error_code open_folder(const std::string& path, descriptor& opened) {
  // Not shared for removal: its name stays its own as long as it is open.
  const auto why = open(std::filesystem::path(path).wstring(), FILE_LIST_DIRECTORY, FILE_SHARE_READ | FILE_SHARE_WRITE,
                        OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, opened);
  if (!why && (attributes_of(opened) & FILE_ATTRIBUTE_DIRECTORY) == 0) return because(std::errc::not_a_directory);
  return why;
}

// Each folder on the way is held open, so that nobody puts a link in its place meanwhile.
std::error_code open_beneath(const descriptor& root, std::string_view path, bool, descriptor& opened) {
  std::wstring at;
  if (const auto why = path_of(root, at); why) return why;
  std::vector<descriptor> held;
  for (;;) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    path.remove_prefix(slash);
    while (path.starts_with('/')) path.remove_prefix(1);
    if (name == ".." || name.find_first_of("\\:") != name.npos) return because(std::errc::cross_device_link);
    if (name != ".") at += L'\\' + std::filesystem::path(name).wstring();
    const bool last = path.empty();
    const DWORD access = last ? GENERIC_READ : FILE_LIST_DIRECTORY;
    const DWORD share = last ? shared : FILE_SHARE_READ | FILE_SHARE_WRITE;
    descriptor next;
    if (const auto why = open(at, access, share, OPEN_EXISTING, as_it_is, next); why) return why;
    const DWORD attributes = attributes_of(next);
    if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return because(std::errc::too_many_symbolic_link_levels);
    if (last) return opened = std::move(next), std::error_code();
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY) == 0) return because(std::errc::not_a_directory);
    held.push_back(std::move(next));
  }
}

std::error_code make_unnamed(const std::string& folder, descriptor& made) {
  std::random_device number;
  for (;;) {  // until the name is new
    const std::wstring name = L"spool-" + std::to_wstring(number()) + L'-' + std::to_wstring(number());
    const auto why = open((std::filesystem::path(folder) / name).wstring(), GENERIC_READ | GENERIC_WRITE, 0, CREATE_NEW,
                          FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, made);
    if (why != std::error_code(ERROR_FILE_EXISTS, std::system_category())) return why;
  }
}

std::error_code open_locked(const std::string& path, descriptor& opened) {
  const auto why = open(std::filesystem::path(path).wstring(), GENERIC_READ | GENERIC_WRITE, shared, OPEN_ALWAYS,
                        FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, opened);
  if (why) return why;
  OVERLAPPED where = at(0);
  constexpr DWORD flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
  return reason(!::LockFileEx(handle_of(opened), flags, 0, 1, 0, &where));
}

std::error_code remove_file(const std::string& path) noexcept try {
  return reason(!::DeleteFileW(std::filesystem::path(path).c_str()));
} catch (...) {
  return because(std::errc::not_enough_memory);
}

std::error_code look(const descriptor& file, facts& found) {
  BY_HANDLE_FILE_INFORMATION s{};
  if (!::GetFileInformationByHandle(handle_of(file), &s)) return reason(true);
  found.size = static_cast<std::int64_t>(static_cast<std::uint64_t>(s.nFileSizeHigh) << 32 | s.nFileSizeLow);
  constexpr DWORD others = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_DEVICE;
  found.regular = ::GetFileType(handle_of(file)) == FILE_TYPE_DISK && (s.dwFileAttributes & others) == 0;
  return {};
}

std::error_code read(const descriptor& file, std::int64_t offset, std::span<char> out, std::size_t& done) {
  OVERLAPPED where = at(offset);
  DWORD n = 0;
  const bool had = ::ReadFile(handle_of(file), out.data(), static_cast<DWORD>(std::min(out.size(), most)), &n, &where) != 0;
  done = n;
  return reason(!had && ::GetLastError() != ERROR_HANDLE_EOF);
}

std::error_code write(const descriptor& file, std::int64_t offset, std::string_view bytes, std::size_t& done) {
  OVERLAPPED where = at(offset);
  DWORD n = 0;
  const auto wanted = static_cast<DWORD>(std::min(bytes.size(), most));
  const bool had = ::WriteFile(handle_of(file), bytes.data(), wanted, &n, &where) != 0;
  done = n;
  return reason(!had);
}

bool is_full(std::error_code why) noexcept { return why == std::errc::no_space_on_device; }

void lower_priority(int nice) noexcept {
  if (nice > 0)
    ::SetThreadPriority(::GetCurrentThread(), nice >= 15 ? THREAD_PRIORITY_LOWEST : THREAD_PRIORITY_BELOW_NORMAL);
}

// No signal comes to a thread of ours here.
quiet_threads::quiet_threads() noexcept : before_{} {}
quiet_threads::~quiet_threads() = default;

}  // namespace system
}  // namespace sluice::serving

// Windows: files are handles below the C runtime's numbers. Paths are narrow strings as std::filesystem::path reads them.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <algorithm>
#include <filesystem>

#include "system.hpp"

namespace sluice::files {
namespace {

constexpr DWORD shared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;  // as files are on other systems
constexpr std::size_t most = 1 << 30;                                             // bytes in one call

std::error_code last_reason() {
  const auto number = static_cast<int>(::GetLastError());
  if (number == ERROR_FILE_NOT_FOUND || number == ERROR_PATH_NOT_FOUND)
    return std::make_error_code(std::errc::no_such_file_or_directory);
  return {number, std::system_category()};
}

std::error_code reason(bool failed) { return failed ? last_reason() : std::error_code(); }

HANDLE handle_of(int number) {
  return number < 0 ? INVALID_HANDLE_VALUE : reinterpret_cast<HANDLE>(::_get_osfhandle(number));
}

std::error_code opened_as(HANDLE handle, int flags, descriptor& opened) {
  if (handle == INVALID_HANDLE_VALUE) return last_reason();
  opened = descriptor(::_open_osfhandle(reinterpret_cast<std::intptr_t>(handle), flags | _O_BINARY | _O_NOINHERIT));
  if (opened) return {};
  ::CloseHandle(handle);
  return std::make_error_code(std::errc::too_many_files_open);
}

const char* kind_of(DWORD type, DWORD attributes) {
  if (type == FILE_TYPE_PIPE) return "a pipe";
  if (type == FILE_TYPE_CHAR) return "a character device";
  if (type != FILE_TYPE_DISK) return "of an unknown kind";
  if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return "a symbolic link";
  return (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? "a directory" : nullptr;
}

std::error_code look_at(HANDLE handle, system::facts& found) {
  if (handle == INVALID_HANDLE_VALUE) return std::make_error_code(std::errc::bad_file_descriptor);
  const DWORD type = ::GetFileType(handle);
  BY_HANDLE_FILE_INFORMATION s{};
  if (type == FILE_TYPE_DISK && !::GetFileInformationByHandle(handle, &s)) return last_reason();
  const auto joined = [](DWORD high, DWORD low) { return static_cast<std::uint64_t>(high) << 32 | low; };
  found = {.id = {s.dwVolumeSerialNumber, joined(s.nFileIndexHigh, s.nFileIndexLow)},
           .size = static_cast<std::int64_t>(joined(s.nFileSizeHigh, s.nFileSizeLow)),
           .changed = static_cast<std::int64_t>(joined(s.ftLastWriteTime.dwHighDateTime, s.ftLastWriteTime.dwLowDateTime)),
           .permissions = 0,
           .other = kind_of(type, s.dwFileAttributes)};
  // Units of 100 ns since 1601, and 1970 is what others count from.
  found.changed = (found.changed - 116'444'736'000'000'000) * 100;
  return {};
}

OVERLAPPED at(std::int64_t offset) {
  OVERLAPPED o{};
  o.Offset = static_cast<DWORD>(offset & 0xffffffff);
  o.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return o;
}

// The end of a file, or of a pipe, is no failure.
std::error_code read_from(HANDLE handle, OVERLAPPED* where, std::span<std::byte> out, std::size_t& done) {
  DWORD n = 0;
  const bool read = ::ReadFile(handle, out.data(), static_cast<DWORD>(std::min(out.size(), most)), &n, where) != 0;
  done = n;
  const DWORD number = read ? ERROR_SUCCESS : ::GetLastError();
  return reason(number != ERROR_SUCCESS && number != ERROR_HANDLE_EOF && number != ERROR_BROKEN_PIPE);
}

}  // namespace

descriptor::~descriptor() {
  if (number_ >= 0) ::_close(number_);
}

namespace system {

std::error_code look(const descriptor& file, facts& found) { return look_at(handle_of(file.get()), found); }

std::error_code look(const std::string& path, links last, facts& found) {
  const DWORD flags = FILE_FLAG_BACKUP_SEMANTICS | (last == links::keep ? FILE_FLAG_OPEN_REPARSE_POINT : 0u);
  const HANDLE handle =
      ::CreateFileW(std::filesystem::path(path).c_str(), 0, shared, nullptr, OPEN_EXISTING, flags, nullptr);
  if (handle == INVALID_HANDLE_VALUE) return last_reason();
  const std::error_code why = look_at(handle, found);
  ::CloseHandle(handle);
  return why;
}

std::error_code open_to_read(const std::string& path, descriptor& opened) {
  // Without the second flag a folder would be refused in other words.
  constexpr DWORD flags = FILE_FLAG_SEQUENTIAL_SCAN | FILE_FLAG_BACKUP_SEMANTICS;
  return opened_as(
      ::CreateFileW(std::filesystem::path(path).c_str(), GENERIC_READ, shared, nullptr, OPEN_EXISTING, flags, nullptr),
      _O_RDONLY, opened);
}

std::error_code open_to_write(const std::string& path, descriptor& opened) {
  constexpr DWORD flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
  return opened_as(::CreateFileW(std::filesystem::path(path).c_str(), GENERIC_READ | GENERIC_WRITE, shared, nullptr,
                                 OPEN_ALWAYS, flags, nullptr),
                   _O_RDWR, opened);
}

std::error_code duplicate(int number, descriptor& opened) {
  const HANDLE given = handle_of(number);
  if (given == INVALID_HANDLE_VALUE) return std::make_error_code(std::errc::bad_file_descriptor);
  const HANDLE own = ::GetCurrentProcess();
  HANDLE copy = nullptr;
  if (!::DuplicateHandle(own, given, own, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) return last_reason();
  return opened_as(copy, _O_RDONLY, opened);
}

void read_in_order(const descriptor&) noexcept {}  // said when it was opened

std::error_code read(const descriptor& file, std::int64_t offset, std::span<std::byte> out, std::size_t& done) {
  OVERLAPPED where = at(offset);
  return read_from(handle_of(file.get()), &where, out, done);
}

std::error_code write(const descriptor& file, std::int64_t offset, std::span<const std::byte> data, std::size_t& done) {
  OVERLAPPED where = at(offset);
  DWORD n = 0;
  const auto wanted = static_cast<DWORD>(std::min(data.size(), most));
  const bool written = ::WriteFile(handle_of(file.get()), data.data(), wanted, &n, &where) != 0;
  done = n;
  return reason(!written);
}

std::error_code resize(const descriptor& file, std::int64_t bytes) {
  FILE_END_OF_FILE_INFO end{};
  end.EndOfFile.QuadPart = bytes;
  return reason(!::SetFileInformationByHandle(handle_of(file.get()), FileEndOfFileInfo, &end, sizeof end));
}

std::error_code sync(const descriptor& file) { return reason(!::FlushFileBuffers(handle_of(file.get()))); }

std::error_code sync_folder(const std::string&) { return {}; }  // rename() waits for the disk

// A byte far behind every file's end: what is locked here is kept from readers too.
std::error_code lock(const descriptor& file) {
  OVERLAPPED where = at(std::int64_t{1} << 62);
  constexpr DWORD flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
  if (::LockFileEx(handle_of(file.get()), flags, 0, 1, 0, &where) || ::GetLastError() != ERROR_LOCK_VIOLATION) return {};
  return std::make_error_code(std::errc::operation_would_block);
}

std::error_code set_permissions(const descriptor&, unsigned, bool) { return {}; }

std::error_code rename(const std::string& from, const std::string& to) {
  const std::filesystem::path source(from), target(to);
  return reason(!::MoveFileExW(source.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
}

std::error_code remove(const std::string& path) noexcept try {
  return reason(!::DeleteFileW(std::filesystem::path(path).c_str()));
} catch (...) {
  return std::make_error_code(std::errc::not_enough_memory);
}

std::error_code look_at_standard_input(facts& found) { return look_at(handle_of(standard_input), found); }

std::error_code position_of_standard_input(std::int64_t& position) {
  LARGE_INTEGER none{}, found{};
  const bool told = ::SetFilePointerEx(handle_of(standard_input), none, &found, FILE_CURRENT) != 0;
  position = found.QuadPart;
  return reason(!told);
}

std::error_code read_standard_input(std::span<std::byte> out, std::size_t& done) {
  return read_from(handle_of(standard_input), nullptr, out, done);
}

}  // namespace system
}  // namespace sluice::files

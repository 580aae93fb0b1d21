// Windows: files are handles below the C runtime's numbers. Included by file.hpp.
#pragma once

#include "sluice/impl/base/windows.hpp"

#include <fcntl.h>
#include <io.h>

#include <random>

#include "sluice/impl/base/file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline constexpr DWORD share_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;  // as other systems share files
inline constexpr std::size_t most_in_one_call = 1 << 30;                                    // bytes

inline std::error_code system_code(DWORD number) {
  switch (number) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME: return std::make_error_code(std::errc::no_such_file_or_directory);
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION: return std::make_error_code(std::errc::permission_denied);
    case ERROR_LOCK_VIOLATION: return std::make_error_code(std::errc::operation_would_block);
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
    case ERROR_FILE_TOO_LARGE: return std::make_error_code(std::errc::no_space_on_device);
    default: return {static_cast<int>(number), std::system_category()};
  }
}
inline std::error_code last_error_if(bool failed) { return failed ? system_code(::GetLastError()) : std::error_code(); }

inline HANDLE handle_of(int number) {
  return number < 0 ? INVALID_HANDLE_VALUE : reinterpret_cast<HANDLE>(::_get_osfhandle(number));
}

inline std::error_code opened_as(HANDLE handle, int flags, file_descriptor& opened) {
  if (handle == INVALID_HANDLE_VALUE) return last_error_if(true);
  opened = file_descriptor(::_open_osfhandle(reinterpret_cast<std::intptr_t>(handle), flags | _O_BINARY | _O_NOINHERIT));
  if (opened) return {};
  ::CloseHandle(handle);
  return std::make_error_code(std::errc::too_many_files_open);
}

inline std::error_code open_handle(const std::wstring& path, DWORD access, DWORD share, DWORD how, DWORD flags,
                                   file_descriptor& opened, int runtime_flags = 0) {
  return opened_as(::CreateFileW(path.c_str(), access, share, nullptr, how, flags, nullptr), runtime_flags, opened);
}

inline const char* kind_of_file(DWORD type, DWORD attributes) {
  if (type == FILE_TYPE_PIPE) return "a pipe";
  if (type == FILE_TYPE_CHAR) return "a character device";
  if (type != FILE_TYPE_DISK) return "of an unknown kind";
  if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return "a symbolic link";
  return (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? "a directory" : nullptr;
}

inline std::error_code status_of_handle(HANDLE handle, file_status& found) {
  if (handle == INVALID_HANDLE_VALUE) return std::make_error_code(std::errc::bad_file_descriptor);
  const DWORD type = ::GetFileType(handle);
  BY_HANDLE_FILE_INFORMATION s{};
  if (type == FILE_TYPE_DISK && !::GetFileInformationByHandle(handle, &s)) return last_error_if(true);
  const auto joined = [](DWORD high, DWORD low) { return static_cast<std::uint64_t>(high) << 32 | low; };
  found = {.id = {s.dwVolumeSerialNumber, joined(s.nFileIndexHigh, s.nFileIndexLow)},
           .size = static_cast<std::int64_t>(joined(s.nFileSizeHigh, s.nFileSizeLow)),
           .changed = static_cast<std::int64_t>(joined(s.ftLastWriteTime.dwHighDateTime, s.ftLastWriteTime.dwLowDateTime)),
           .status_changed = 0,
           .permissions = 0,
           .owner = 0,
           .links = s.nNumberOfLinks,
           .other = kind_of_file(type, s.dwFileAttributes)};
  FILE_BASIC_INFO times{};
  if (type == FILE_TYPE_DISK && ::GetFileInformationByHandleEx(handle, FileBasicInfo, &times, sizeof times))
    found.status_changed = times.ChangeTime.QuadPart * 100;         // of any beginning: it is compared alone
  found.changed = (found.changed - 116'444'736'000'000'000) * 100;  // from units of 100 ns since 1601
  return {};
}

inline OVERLAPPED at_offset(std::int64_t offset) {
  OVERLAPPED o{};
  o.Offset = static_cast<DWORD>(offset & 0xffffffff);
  o.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return o;
}

// The end of a file, or of a pipe, is not an error.
inline std::error_code read_handle(HANDLE handle, OVERLAPPED* where, std::span<std::byte> out, std::size_t& done) {
  DWORD n = 0;
  const bool read =
      ::ReadFile(handle, out.data(), static_cast<DWORD>(std::min(out.size(), most_in_one_call)), &n, where) != 0;
  done = n;
  const DWORD number = read ? ERROR_SUCCESS : ::GetLastError();
  return last_error_if(number != ERROR_SUCCESS && number != ERROR_HANDLE_EOF && number != ERROR_BROKEN_PIPE);
}

// The attributes of what a handle leads to; 0 where they are unknown.
inline DWORD attributes_of(const file_descriptor& file) {
  BY_HANDLE_FILE_INFORMATION s{};
  return ::GetFileInformationByHandle(handle_of(file.get()), &s) ? s.dwFileAttributes : 0;
}

// The path of an open folder as the system has it, "\\?\C:\data": what is appended is taken letter for letter.
inline std::error_code path_of_folder(const file_descriptor& folder, std::wstring& path) {
  path.resize(32768);
  const auto capacity = static_cast<DWORD>(path.size());
  const DWORD size = ::GetFinalPathNameByHandleW(handle_of(folder.get()), path.data(), capacity, VOLUME_NAME_DOS);
  if (size == 0) return last_error_if(true);  // a volume without a letter, among others
  if (size >= capacity) return std::make_error_code(std::errc::filename_too_long);
  path.resize(size);
  return {};
}

inline file_descriptor::~file_descriptor() {
  if (number_ >= 0) ::_close(number_);
}

inline std::error_code status_of(const file_descriptor& file, file_status& found) {
  return status_of_handle(handle_of(file.get()), found);
}

inline std::string current_path(const file_descriptor&) { return ""; }

inline std::error_code status_of(const std::string& path, links last, file_status& found) {
  const DWORD flags = FILE_FLAG_BACKUP_SEMANTICS | (last == links::keep ? FILE_FLAG_OPEN_REPARSE_POINT : 0u);
  const HANDLE handle =
      ::CreateFileW(std::filesystem::path(path).c_str(), 0, share_all, nullptr, OPEN_EXISTING, flags, nullptr);
  if (handle == INVALID_HANDLE_VALUE) return last_error_if(true);
  const std::error_code why = status_of_handle(handle, found);
  ::CloseHandle(handle);
  return why;
}

inline std::error_code open_to_read(const std::string& path, links last, file_descriptor& opened) {
  // With FILE_FLAG_BACKUP_SEMANTICS a folder opens, and is refused as what it is.
  const DWORD flags =
      last == links::keep ? FILE_FLAG_OPEN_REPARSE_POINT : FILE_FLAG_SEQUENTIAL_SCAN | FILE_FLAG_BACKUP_SEMANTICS;
  return open_handle(std::filesystem::path(path).wstring(), GENERIC_READ, share_all, OPEN_EXISTING, flags, opened,
                     _O_RDONLY);
}

inline std::error_code open_to_write(const std::string& path, unsigned, file_descriptor& opened) {
  constexpr DWORD flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
  return open_handle(std::filesystem::path(path).wstring(), GENERIC_READ | GENERIC_WRITE, share_all, OPEN_ALWAYS, flags,
                     opened, _O_RDWR);
}

inline std::error_code make_folders(const std::string& path, unsigned) {  // its rights are those of the folder above
  std::error_code why;
  std::filesystem::create_directories(path, why);
  return why;
}

inline std::error_code open_folder(const std::string& path, file_descriptor& opened) {
  // Not shared for removal: its name stays valid while it is open.
  const auto why = open_handle(std::filesystem::path(path).wstring(), FILE_LIST_DIRECTORY,
                               FILE_SHARE_READ | FILE_SHARE_WRITE, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, opened);
  if (!why && (attributes_of(opened) & FILE_ATTRIBUTE_DIRECTORY) == 0)
    return std::make_error_code(std::errc::not_a_directory);
  return why;
}

// Each folder on the way is held open, so that nobody replaces it by a link meanwhile.
inline std::error_code open_beneath(const file_descriptor& root, std::string_view path, bool, file_descriptor& opened) {
  constexpr DWORD unresolved =
      FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;  // folders too, and links themselves
  std::wstring at;
  if (const auto why = path_of_folder(root, at); why) return why;
  std::vector<file_descriptor> held;
  for (;;) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    path.remove_prefix(slash);
    while (path.starts_with('/')) path.remove_prefix(1);
    if (name == ".." || name.find_first_of("\\:") != name.npos) return std::make_error_code(std::errc::cross_device_link);
    if (name != ".") at += L'\\' + std::filesystem::path(name).wstring();
    const bool last = path.empty();
    const DWORD access = last ? GENERIC_READ : FILE_LIST_DIRECTORY;
    const DWORD share = last ? share_all : FILE_SHARE_READ | FILE_SHARE_WRITE;
    file_descriptor next;
    if (const auto why = open_handle(at, access, share, OPEN_EXISTING, unresolved, next); why) return why;
    const DWORD attributes = attributes_of(next);
    if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
      return std::make_error_code(std::errc::too_many_symbolic_link_levels);
    if (last) return opened = std::move(next), std::error_code();
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY) == 0) return std::make_error_code(std::errc::not_a_directory);
    held.push_back(std::move(next));
  }
}

inline std::error_code make_unnamed(const std::string& folder, file_descriptor& made) {
  std::random_device number;
  for (;;) {  // until the name is new
    const std::wstring name = L"spool-" + std::to_wstring(number()) + L'-' + std::to_wstring(number());
    const auto why = open_handle((std::filesystem::path(folder) / name).wstring(), GENERIC_READ | GENERIC_WRITE, 0,
                                 CREATE_NEW, FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, made);
    if (why != std::error_code(ERROR_FILE_EXISTS, std::system_category())) return why;
  }
}

inline std::error_code duplicate(int number, file_descriptor& opened) {
  const HANDLE given = handle_of(number);
  if (given == INVALID_HANDLE_VALUE) return std::make_error_code(std::errc::bad_file_descriptor);
  const HANDLE own = ::GetCurrentProcess();
  HANDLE copy = nullptr;
  if (!::DuplicateHandle(own, given, own, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) return last_error_if(true);
  return opened_as(copy, _O_RDONLY, opened);
}

inline void expect_sequential(const file_descriptor&) noexcept {}  // open_to_read says it

inline std::error_code read_at(const file_descriptor& file, std::int64_t offset, std::span<std::byte> out,
                               std::size_t& done) {
  OVERLAPPED where = at_offset(offset);
  return read_handle(handle_of(file.get()), &where, out, done);
}

inline std::error_code write_at(const file_descriptor& file, std::int64_t offset, std::span<const std::byte> data,
                                std::size_t& done) {
  OVERLAPPED where = at_offset(offset);
  DWORD n = 0;
  const auto wanted = static_cast<DWORD>(std::min(data.size(), most_in_one_call));
  const bool written = ::WriteFile(handle_of(file.get()), data.data(), wanted, &n, &where) != 0;
  done = n;
  return last_error_if(!written);
}

inline std::error_code resize(const file_descriptor& file, std::int64_t bytes) {
  FILE_END_OF_FILE_INFO end{};
  end.EndOfFile.QuadPart = bytes;
  return last_error_if(!::SetFileInformationByHandle(handle_of(file.get()), FileEndOfFileInfo, &end, sizeof end));
}

inline std::error_code sync(const file_descriptor& file) {
  return last_error_if(!::FlushFileBuffers(handle_of(file.get())));
}

inline std::error_code sync_folder(const std::string&) { return {}; }  // rename_file waits for the disk

// A byte beyond any file's end: readers are excluded from a locked range too.
inline std::error_code lock(const file_descriptor& file, bool required) {
  OVERLAPPED where = at_offset(std::int64_t{1} << 62);
  constexpr DWORD flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
  if (::LockFileEx(handle_of(file.get()), flags, 0, 1, 0, &where)) return {};
  return last_error_if(required || ::GetLastError() == ERROR_LOCK_VIOLATION);
}

inline std::error_code set_permissions(const file_descriptor&, unsigned, bool) { return {}; }

inline std::error_code rename_file(const std::string& from, const std::string& to) {
  const std::filesystem::path source(from), target(to);
  return last_error_if(!::MoveFileExW(source.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
}

inline std::error_code remove_file(const std::string& path) noexcept try {
  return last_error_if(!::DeleteFileW(std::filesystem::path(path).c_str()));
} catch (...) {
  return std::make_error_code(std::errc::not_enough_memory);
}

inline bool is_full(std::error_code why) noexcept { return why == std::errc::no_space_on_device; }

inline std::error_code status_of_standard_input(file_status& found) {
  return status_of_handle(handle_of(standard_input), found);
}

inline std::error_code position_of_standard_input(std::int64_t& position) {
  LARGE_INTEGER none{}, found{};
  const bool told = ::SetFilePointerEx(handle_of(standard_input), none, &found, FILE_CURRENT) != 0;
  position = found.QuadPart;
  return last_error_if(!told);
}

inline std::error_code read_standard_input(std::span<std::byte> out, std::size_t& done) {
  return read_handle(handle_of(standard_input), nullptr, out, done);
}

inline std::string replace_file(const std::string& path, const std::string& text) {
  const auto failed = [&](const char* doing) {
    return path + " cannot be " + doing + ": " + std::system_category().message(static_cast<int>(::GetLastError()));
  };
  const std::filesystem::path target(path);
  std::error_code made;
  std::filesystem::create_directories(target.parent_path(), made);
  const std::wstring beside = target.wstring() + L'.' + std::to_wstring(::GetCurrentThreadId());
  const HANDLE file =
      ::CreateFileW(beside.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return failed("written");
  std::string reason;
  for (std::size_t at = 0; at < text.size() && reason.empty();) {
    DWORD n = 0;
    if (!::WriteFile(file, text.data() + at, static_cast<DWORD>(std::min(text.size() - at, most_in_one_call)), &n, nullptr))
      reason = failed("written");
    at += n;
  }
  if (reason.empty() && !::FlushFileBuffers(file)) reason = failed("synced");
  ::CloseHandle(file);
  if (reason.empty() && !::MoveFileExW(beside.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
    reason = failed("put in place");
  if (!reason.empty()) ::DeleteFileW(beside.c_str());
  return reason;
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

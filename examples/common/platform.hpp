// What the example programs ask of the operating system: platform_posix.cpp and platform_windows.cpp answer, of which a
// build has one.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <span>
#include <string>
#include <system_error>

// Ctrl-C and a request to end (SIGTERM; on Windows the closing of the console too) as one call on a thread of its own.
// Signals that the program was started with as ignored stay so. One a process.
//
//     interrupt on_signal([&] { server.stop(); });
class interrupt {
 public:
  // `on_stop` is called once, after the first signal or stop(). The second signal finds no handler, and ends the process.
  explicit interrupt(std::function<void()> on_stop);
  ~interrupt();
  interrupt(const interrupt&) = delete;
  interrupt& operator=(const interrupt&) = delete;

  void stop() noexcept;

  // As shells count: 130 after Ctrl-C. 0 while no signal has come.
  [[nodiscard]] static int exit_code() noexcept;
};

// Of standard error: whether a person looks at it, and how many characters have room in a line.
bool error_is_terminal();
int error_columns();

// Before anything is opened: a standard stream that the program was started without would give its number to a file, which
// what is printed would then be written to. Its reads and writes fail from then on.
void keep_standard_streams();

// From here on, what this process creates is its user's alone.
void keep_files_private();

// Standard output, as bytes. From the first call on, a pipe that nobody reads any more is a reason and ends no process.
bool output_is_terminal();
// Whether it is the regular file at `path`; "-" is standard input.
bool output_is(const std::string& path);
// Writes all of them, or returns why not; `done` of them in any case.
std::error_code write_to_output(std::span<const std::byte> bytes, std::size_t& done);
// The last write to some file systems fails here.
std::error_code close_output();

// Reads what comes once and in order, a pipe or a device, of which it waits for a writer. It puts at least one byte into
// `out`, or returns 0 at the end. Both throw std::system_error.
std::function<std::size_t(std::span<std::byte> out)> open_stream(const std::string& path);

// Why there is no address for this name; empty when there is one.
std::string unknown_host(const std::string& name);

// As many open files as the system lets this process have: thousands of connections need as many.
void raise_descriptors();

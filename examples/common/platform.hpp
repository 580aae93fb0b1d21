// What the example programs ask of the operating system: platform_posix.cpp and platform_windows.cpp answer, of which a
// build has one.
#pragma once

#include <functional>

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

// As many open files as the system lets this process have: thousands of connections need as many.
void raise_descriptors();

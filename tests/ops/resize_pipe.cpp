// resize_pipe <COMMANDS: resizes what it is sent, for resize_pillow_test.py. A command is a line
//   COUNT HEIGHT WIDTH CHANNELS STEP HEIGHT WIDTH TOP LEFT ROWS COLUMNS ORDER
// and the bytes of COUNT x HEIGHT x WIDTH x STEP samples, of which the first CHANNELS of every STEP are the pixels. The
// answer is the bytes of the result. SLUICE_TEST_DEVICE names a device.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "sluice/sluice.hpp"

int main() {
  const char* const device = std::getenv("SLUICE_TEST_DEVICE");
  const sluice::device where(device != nullptr ? device : "cpu");
  std::int64_t n = 0, h = 0, w = 0, c = 0, step = 0, height = 0, width = 0, order = 0;
  sluice::resize_options o;
  auto& [top, left, rows, columns] = o.window;
  while (std::cin >> n >> h >> w >> c >> step >> height >> width >> top >> left >> rows >> columns >> order) {
    std::cin.get();
    sluice::tensor in({n, h, w, step}, sluice::dtype::u8);
    std::cin.read(static_cast<char*>(in.data()), static_cast<std::streamsize>(in.bytes()));
    if (step != c) in = in.slice(3, 0, c);
    if (n == 1) in = in[0];
    if (n == 1 && c == 1) in = in.transpose(0, 2)[0].transpose();  // (H, W)
    o.order = order == 0 ? sluice::resize_order::automatic : sluice::resize_order::width_first;
    const auto out = sluice::resize(in.to(where), height, width, o, where).to("cpu").contiguous();
    std::cout.write(static_cast<const char*>(out.data()), static_cast<std::streamsize>(out.bytes()));
    std::cout.flush();
  }
}

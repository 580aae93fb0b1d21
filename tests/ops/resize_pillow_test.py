"""resize beside Pillow: not one sample may differ. Usage: resize_pillow_test.py PROGRAM FOLDER [CASES]

FOLDER gets a virtual environment with Pillow and NumPy; where they cannot be had, the test is skipped (77). Pillow before 13
resizes the width first, but of images more than 100 times as high as wide: beside it, order width_first is compared, and these
are left out."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment

PROGRAM, FOLDER = sys.argv[1:3]
environment.enter(FOLDER, "PIL.Image", ["Pillow", "numpy"])

import numpy as np
import PIL
from PIL import Image

CASES = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
ORDER = 0 if int(PIL.__version__.split(".")[0]) >= 13 else 1


class Resizer:
    def __init__(self):
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, images, channels, height, width, window, order=ORDER):
        """`images` is (n, h, w, step)."""
        rows = window[2] or height - window[0]
        columns = window[3] or width - window[1]
        n = images.shape[0]
        line = [*images.shape[:3], channels, images.shape[3], height, width, *window, order]
        self.process.stdin.write((" ".join(map(str, line)) + "\n").encode() + images.tobytes())
        self.process.stdin.flush()
        got = self.process.stdout.read(n * rows * columns * channels)
        return np.frombuffer(got, np.uint8).reshape(n, rows, columns, channels)

    def end(self):
        self.process.stdin.close()
        assert self.process.wait() == 0, "the program failed"


def pillow(image, height, width):
    image = image[..., 0] if image.shape[2] == 1 else image
    resized = np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.BILINEAR))
    return resized if resized.ndim == 3 else resized[..., None]


def extents(r, i):
    """Heights and widths before and after: small, large, one pixel, extreme ratios, equal ones."""
    kind = i % 8
    if kind < 3:
        a = r.integers(1, 100, 4)
    elif kind == 3:
        a = r.integers(1, 700, 4)
    elif kind == 4:
        a = np.where(r.random(4) < 0.4, 1, r.integers(1, 300, 4))
    elif kind == 5:  # a long direction becomes short, or the other way
        a = r.integers(1, 12, 4)
        a[r.integers(0, 4)] = r.integers(1000, 9000)
    elif kind == 6:  # one direction stays
        a = r.integers(1, 200, 4)
        side = r.integers(0, 2)
        a[2 + side] = a[side]
    else:  # in proportion, as models take them
        a = r.integers(20, 500, 4)
        a[2:] = np.maximum(1, a[:2] * r.integers(8, 96) // a[:2].min())
    return [int(x) for x in a]


def samples(r, i, shape):
    kind = i % 5
    if kind == 0:
        return r.integers(0, 256, shape, dtype=np.uint8)
    if kind == 1:  # the sums are at their ends
        return np.where(r.random(shape) < 0.5, 255, 0).astype(np.uint8)
    if kind == 2:
        return np.full(shape, 255, np.uint8)
    y, x = np.mgrid[0:shape[1], 0:shape[2]]
    waves = 127 * np.sin(x / (3 + i % 17))[..., None] * np.cos(y / (2 + i % 13))[..., None] + 128
    return np.broadcast_to(waves, shape).astype(np.uint8) if kind == 3 else (waves + r.integers(0, 20, shape)).clip(0, 255).astype(np.uint8)


def main():
    r = np.random.default_rng(20)
    resizer = Resizer()
    differ = results = 0
    for i in range(CASES):
        h, w, height, width = extents(r, i)
        if ORDER == 1 and h > 100 * w:
            continue
        channels = 1 if r.random() < 0.4 else 3
        step = channels if r.random() < 0.8 else channels + int(r.integers(1, 3))
        n = int(r.integers(2, 4)) if i % 8 < 3 and r.random() < 0.3 else 1
        images = samples(r, i, (n, h, w, step))
        window = (0, 0, 0, 0)
        if r.random() < 0.4:
            top, left = int(r.integers(0, height)), int(r.integers(0, width))
            window = (top, left, int(r.integers(1, height - top + 1)), int(r.integers(1, width - left + 1)))
        wanted = np.stack([pillow(image[..., :channels], height, width) for image in images])
        wanted = wanted[:, window[0]:, window[1]:]
        if window[2]:
            wanted = wanted[:, :window[2], :window[3]]
        got = resizer.ask(images, channels, height, width, window)
        results += 1
        if not np.array_equal(got, wanted):
            differ += 1
            count = int((got != wanted).sum())
            if differ <= 20:
                print(f"{n} x {h} x {w} x {channels} of {step} to {height} x {width}, window {window}: {count} of {wanted.size} samples differ")
    resizer.end()
    print(f"{results} results, Pillow {PIL.__version__}: {differ} differ")
    sys.exit(1 if differ or not results else 0)


if __name__ == "__main__":
    main()

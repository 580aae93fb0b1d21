#!/usr/bin/env python3
"""JPEG and PNG in and out by sluice::image, Pillow and OpenCV, in turns, on one thread: milliseconds of CPU time a megapixel.

    build/venv/bin/python bench/peers/image.py build/bin/image_peer [ROUNDS]

The Python has Pillow, opencv-python-headless and scikit-image, whose photographs are used, at 1920 x 1080. JPEGs are 4:2:0 of quality 90.
Figures are medians over rounds (15) and photographs. Pixels are compared first: JPEG's are the same of all three; grey of a PNG in
colour may differ by 1 between them."""
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
import skimage.data
from PIL import Image

PEER, ROUNDS = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 15
HEIGHT, WIDTH = 1080, 1920
cv2.setNumThreads(1)


TIMES = 3  # calls of a turn, of which the median counts: the first finds others' data in the caches


def timed(call):
    all_times = []
    for _ in range(TIMES):
        start = time.thread_time()
        result = call()
        all_times.append((time.thread_time() - start) * 1e3)
    return statistics.median(all_times), result


class Program:
    def __init__(self):
        self.process = subprocess.Popen([PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write("\t".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        milliseconds, size = self.process.stdout.readline().split()
        return float(milliseconds), int(size)


def pillow_encoded(pixels, kind, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def pillow_decoded(content, mode):
    image = Image.open(io.BytesIO(content))
    if mode == "L":
        image.draft("L", None)
    return np.asarray(image.convert(mode))


def cv2_decoded(content, grey):
    flags = (cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags)


def photographs(folder):
    """(pixels, edges) by name, as .npy in `folder`, too."""
    made = {}
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        pixels = cv2.resize(getattr(skimage.data, name)(), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        edges = cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 100, 200)
        np.save(f"{folder}/{name}.npy", pixels)
        np.save(f"{folder}/{name}_edges.npy", edges)
        made[name] = (pixels, edges)
    return made


def cases(folder, name, pixels, edges, program):
    """(what, by, a call that gives milliseconds and bytes)"""
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    stored = {
        "JPEG": pillow_encoded(pixels, "JPEG", quality=90),
        "progressive JPEG": pillow_encoded(pixels, "JPEG", quality=90, progressive=True),
        "PNG": pillow_encoded(pixels, "PNG", compress_level=6),
    }
    for what, content in stored.items():
        path = f"{folder}/{name}.{what.replace(' ', '_')}"
        with open(path, "wb") as file:
            file.write(content)
        same = cv2_decoded(content, False)[..., ::-1]
        if np.abs(same.astype(int) - pillow_decoded(content, "RGB")).max() > 0:
            print(f"OpenCV and Pillow decode the {what} of {name} to different pixels")
        for to, channels, mode in (("grey", 1, "L"), ("RGB", 3, "RGB")):
            yield f"{what} to {to}", "sluice", lambda p=path, c=channels: program.ask("decode", c, p, TIMES)
            yield f"{what} to {to}", "Pillow", lambda b=content, m=mode: timed(lambda: pillow_decoded(b, m).nbytes)
            yield f"{what} to {to}", "OpenCV", lambda b=content, c=channels: timed(lambda: cv2_decoded(b, c == 1).nbytes)
    for what, suffix, p, b in (("photograph", "", pixels, bgr), ("edges", "_edges", edges, edges)):
        path = f"{folder}/{name}{suffix}.npy"
        yield f"{what} to JPEG", "sluice", lambda path=path: program.ask("encode", "jpeg", 90, 0, path, TIMES)
        yield f"{what} to JPEG", "Pillow", lambda p=p: timed(lambda: len(pillow_encoded(p, "JPEG", quality=90)))
        yield f"{what} to JPEG", "OpenCV", lambda b=b: timed(lambda: len(cv2.imencode(".jpg", b, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]))
        yield f"{what} to PNG", "sluice", lambda path=path: program.ask("encode", "png", 90, 0, path, TIMES)
        yield f"{what} to PNG", "Pillow", lambda p=p: timed(lambda: len(pillow_encoded(p, "PNG", compress_level=1)))
        yield f"{what} to PNG", "OpenCV", lambda b=b: timed(lambda: len(cv2.imencode(".png", b)[1]))
    path = f"{folder}/{name}_edges.npy"
    yield "edges to PNG of 1 bit", "sluice", lambda: program.ask("encode", "png", 90, 1, path, TIMES)
    yield "edges to PNG of 1 bit", "Pillow", lambda: timed(lambda: len(pillow_encoded(edges != 0, "PNG", compress_level=1)))
    yield "edges to PNG of 1 bit", "OpenCV", lambda: timed(lambda: len(cv2.imencode(".png", edges, [cv2.IMWRITE_PNG_BILEVEL, 1])[1]))


def main():
    program = Program()
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, (pixels, edges) in photographs(folder).items():
            rows = list(cases(folder, name, pixels, edges, program))
            for _ in range(ROUNDS):
                for what, by, call in rows:
                    found.setdefault((what, by), []).append(call())
    print(f"Pillow {Image.__version__}, OpenCV {cv2.__version__}; ms a megapixel, and kB where something is written\n")
    print("| | sluice | Pillow | OpenCV |\n|---|---|---|---|")
    for what in dict.fromkeys(w for w, _ in found):
        def cell(by):
            milliseconds = statistics.median(m for m, _ in found[what, by]) / (WIDTH * HEIGHT / 1e6)
            kilobytes = statistics.mean(b for _, b in found[what, by]) / 1000
            return f"{milliseconds:.2f}" + (f" ({kilobytes:.0f} kB)" if " to JPEG" in what or " to PNG" in what else "")
        print(f"| {what} | {' | '.join(cell(by) for by in ('sluice', 'Pillow', 'OpenCV'))} |")


if __name__ == "__main__":
    main()

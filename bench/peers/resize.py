#!/usr/bin/env python3
"""Images of another size, and pictures prepared for a model, by sluice, Pillow and Pillow-SIMD, in turns: milliseconds a picture.

    build/venv/bin/python bench/peers/resize.py build/bin/image_peer [--rounds N] [--simd PYTHON]

The Python has Pillow and NumPy, PYTHON has pillow-simd in Pillow's place. With opencv-python-headless there is a column of INTER_AREA,
which gives other pixels. sluice runs on one thread and on two; the others have one. Figures are medians over rounds (15), of CPU time
of the thread, and with two threads of the clock. Results are compared first, bit for bit: Pillow-SIMD's weights have fewer bits. What a model takes is a crop of 224 x 224 of the picture with a short side of 256, as f32
(1, 3, 224, 224), with mean and deviation: by Pillow and NumPy otherwise."""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import PIL
from PIL import Image

TIMES = 5  # calls of a turn, of which the median counts
MEAN, STD = np.float32([0.485, 0.456, 0.406])[:, None, None], np.float32([0.229, 0.224, 0.225])[:, None, None]
CASES = [("1080p, to a short side of 256", (1080, 1920, 3), (256, 455)), ("the same, grey", (1080, 1920), (256, 455)),
         ("4K, to a short side of 256", (2160, 3840, 3), (256, 455)), ("500 x 375, to a short side of 256", (375, 500, 3), (256, 341)),
         ("1080p, to half", (1080, 1920, 3), (540, 960)), ("256 x 256, to 1024 x 1024", (256, 256, 3), (1024, 1024))]
PREPARED = [("1080p, for a model", (1080, 1920, 3)), ("4K, for a model", (2160, 3840, 3)), ("500 x 375, for a model", (375, 500, 3))]


def prepared(image):
    short, (w, h) = 256, image.size
    size = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
    image = image.resize(size, Image.BILINEAR)
    left, top = int(round((size[0] - 224) / 2.0)), int(round((size[1] - 224) / 2.0))
    x = np.asarray(image.crop((left, top, left + 224, top + 224))).astype(np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray((x / np.float32(255) - MEAN) / STD)[None]


def timed(call):
    times = []
    for _ in range(TIMES):
        start = time.thread_time()
        call()
        times.append((time.thread_time() - start) * 1e3)
    return statistics.median(times)


def serve():
    """This program as a side of its own, for another Python: commands as image_peer takes them."""
    images = {}
    print(PIL.__version__, flush=True)
    for line in sys.stdin:
        what, *words = line.strip().split("\t")
        path, _, out = words[-3:]
        if path not in images:
            images[path] = Image.fromarray(np.load(path))
        image = images[path]
        size = (int(words[1]), int(words[0])) if what == "resize" else None
        call = (lambda: image.resize(size, Image.BILINEAR)) if size else lambda: prepared(image)
        np.save(out, np.asarray(call()))
        print(timed(call), flush=True)


class Side:
    def __init__(self, command, env=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})

    def ask(self, *words):
        self.process.stdin.write("\t".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])


def photograph(shape, seed):
    """Smooth areas, edges and grain."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:shape[0], 0:shape[1]]
    p = (x * 3 + y * 5) % 256 * 0.5 + ((x // 70 + y // 50) % 2) * 90
    return np.clip((p if len(shape) == 2 else p[..., None]) + r.integers(0, 30, shape), 0, 255).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--simd")
    o = parser.parse_args()
    me = os.path.abspath(__file__)
    sides = {"sluice": Side([o.peer], {"SLUICE_THREADS": "1"}), "sluice, 2 threads": Side([o.peer], {"SLUICE_THREADS": "2"})}
    for name, python in (("Pillow", sys.executable), ("Pillow-SIMD", o.simd)):
        if python:
            side = Side([python, me, "--serve"])
            sides[f"{name} {side.process.stdout.readline().strip()}"] = side
    try:
        import cv2
        cv2.setNumThreads(1)
    except ImportError:
        cv2 = None
    with tempfile.TemporaryDirectory() as folder:
        found, questions, areas = {}, [], {}
        for i, (what, shape, *to) in enumerate(CASES + PREPARED):
            path = f"{folder}/{i}.npy"
            pixels = photograph(shape, i)
            np.save(path, pixels)
            questions.append((what, ("resize", *to[0], path) if to else ("prepare", path)))
            if to and cv2:
                areas[what] = lambda p=pixels, s=to[0][::-1]: cv2.resize(p, s, interpolation=cv2.INTER_AREA)
        for round in range(o.rounds):
            for what, words in questions:
                for k, (by, side) in enumerate(sides.items()):
                    found.setdefault((what, by), []).append(side.ask(*words, TIMES, f"{folder}/out{k}.npy"))
                results = [np.load(f"{folder}/out{k}.npy") for k in range(len(sides))]
                for by, result in list(zip(sides, results))[1:] if round == 0 else []:
                    if not np.array_equal(results[0].view(np.uint8), result.view(np.uint8)):
                        far = np.abs(results[0].astype(float) - result).max()
                        print(f"{what}: {by} has other bits than sluice, by at most {far:.3g}")
                if what in areas:
                    found.setdefault((what, "INTER_AREA"), []).append(timed(areas[what]))
    names = [*sides, *(["INTER_AREA"] if cv2 else [])]
    print("| ms | " + " | ".join(names) + " | Pillow / sluice |\n|---" + "|---" * (len(names) + 1) + "|")
    for what, _ in questions:
        middle = {by: statistics.median(found[what, by]) for by in names if (what, by) in found}
        pillow = next(v for by, v in middle.items() if by.startswith("Pillow "))
        print(f"| {what} | " + " | ".join(f"{middle[by]:.3f}" if by in middle else "" for by in names) + f" | {pillow / middle['sluice']:.1f} |")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()

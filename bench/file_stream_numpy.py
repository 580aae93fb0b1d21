"""file_stream_numpy.py RAW COLUMNS: row sums of a raw f32 file as one would write them with NumPy, three ways, and with CuPy
where it and a GPU are there; GB/s, best of 3."""

import resource
import sys
import time

import numpy as np

path, columns = sys.argv[1], int(sys.argv[2])
chunk = 64 << 20


def read_loop():
    with open(path, "rb") as f:
        return np.concatenate([np.frombuffer(b, "<f4").reshape(-1, columns).sum(1) for b in iter(lambda: f.read(chunk), b"")])


def readinto_loop():
    buffer = np.empty(chunk // 4, "<f4")
    sums = []
    with open(path, "rb", buffering=0) as f:
        while n := f.readinto(memoryview(buffer).cast("B")):
            sums.append(buffer[: n // 4].reshape(-1, columns).sum(1))
    return np.concatenate(sums)


def memmap():
    return np.memmap(path, "<f4", "r").reshape(-1, columns).sum(1)


def cupy_loop():
    sums = []
    with open(path, "rb") as f:
        for b in iter(lambda: f.read(chunk), b""):
            sums.append(cupy.asnumpy(cupy.asarray(np.frombuffer(b, "<f4").reshape(-1, columns)).sum(1)))
    return np.concatenate(sums)


def cupy_pinned_loop():
    """The same by way of one pinned buffer, as the careful write it."""
    buffer = np.frombuffer(cupy.cuda.alloc_pinned_memory(chunk), "<f4", chunk // 4)
    there = cupy.empty(chunk // 4, "<f4")
    sums = []
    with open(path, "rb", buffering=0) as f:
        while n := f.readinto(memoryview(buffer).cast("B")):
            there[: n // 4].set(buffer[: n // 4])
            sums.append(cupy.asnumpy(there[: n // 4].reshape(-1, columns).sum(1)))
    return np.concatenate(sums)


ways = [read_loop, readinto_loop, memmap]
try:
    import cupy

    cupy.cuda.runtime.getDeviceCount()
    ways += [cupy_loop, cupy_pinned_loop]
except Exception as missing:  # no CuPy, or no GPU: each has errors of its own
    print(f"CuPy: {missing}")

for way in ways:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        sums = way()
        best = min(best, time.perf_counter() - start)
    print(f"{way.__name__}: {sums.size * columns * 4 / best / 1e9:.1f} GB/s, "
          f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB so far")

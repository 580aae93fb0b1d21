"""What users have in Python: products, row sums, copies and files by NumPy, PyTorch or CuPy, called by the names of sluice's own
benchmarks, so that bench/run puts them side by side. Answers are compared with sums in f64 before any timing. On a GPU times are
those of CUDA events where the work stays there, and of the clock where it begins and ends on the host.

    arrays.py numpy|torch|torch-cuda|cupy OUT.json [tiny|quick|full]
"""
import json
import os
import sys
import tempfile
import time

import numpy as np

LIBRARY, OUT = sys.argv[1:3]
RUN = sys.argv[3] if len(sys.argv) > 3 else "full"
GPU = LIBRARY in ("torch-cuda", "cupy")
WHERE = "cuda:0" if GPU else "cpu"
ROUNDS, AT_LEAST = {"tiny": (1, 0), "quick": (3, 0.03), "full": (5, 0.1)}[RUN]
ELEMENTS = {"tiny": 1 << 14, "quick": 1 << 26, "full": 1 << 28}[RUN]


class NumPy:
    name = "NumPy"
    types = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i32": np.int32, "i64": np.int64, "u8": np.uint8}

    def put(self, host):
        return host

    def get(self, there):
        return there

    def cast(self, a, dtype):
        return a.astype(self.types[dtype])

    def copied(self, a):
        return a.copy()

    def transposed(self, a):
        return np.ascontiguousarray(a.T)

    def elapsed(self, call, count):
        start = time.perf_counter()
        for _ in range(count):
            call()
        return time.perf_counter() - start


class Torch(NumPy):
    name = "PyTorch"

    def __init__(self):
        import torch

        self.torch = torch
        self.types = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16,
                      "i32": torch.int32, "i64": torch.int64, "u8": torch.uint8}
        torch.backends.cuda.matmul.allow_tf32 = False
        if GPU and not torch.cuda.is_available():
            raise ImportError("PyTorch sees no GPU")

    def put(self, host):
        there = self.torch.from_numpy(host)
        return there.cuda() if GPU else there

    def get(self, there):
        there = there.cpu()
        return (there.float() if there.dtype == self.torch.bfloat16 else there).numpy()

    def cast(self, a, dtype):
        return a.to(self.types[dtype])

    def copied(self, a):
        return a.clone()

    def transposed(self, a):
        return a.t().contiguous()

    def elapsed(self, call, count):
        if not GPU:
            return super().elapsed(call, count)
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(count):
            call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e-3


class CuPy(NumPy):
    name = "CuPy"

    def __init__(self):
        import cupy

        cupy.cuda.runtime.getDeviceCount()
        self.cupy = cupy

    def put(self, host):
        return self.cupy.asarray(host)

    def get(self, there):
        return self.cupy.asnumpy(there)

    def transposed(self, a):
        return self.cupy.ascontiguousarray(a.T)

    def elapsed(self, call, count):
        begin, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        begin.record()
        for _ in range(count):
            call()
        end.record()
        end.synchronize()
        return self.cupy.cuda.get_elapsed_time(begin, end) * 1e-3


rows = []


def record(library, operation, dtype, size, call, work=0.0, unit="", host=False):
    """Times `call`: seconds of each round, and the rate of `work` in it."""
    measure = NumPy.elapsed.__get__(library) if host else library.elapsed
    call()
    once = max(measure(call, 1), 1e-7)
    count = max(1, min(100_000, int(AT_LEAST / once)))
    seconds = [measure(call, count) / count for _ in range(ROUNDS)]
    rows.append({"op": operation, "by": library.name, "where": WHERE, "dtype": dtype, "size": size, "seconds": seconds,
                 "rates": [work / s for s in seconds] if unit else [], "unit": unit})


def agree(name, found, wanted, tolerance):
    if not np.allclose(np.asarray(found, np.float64), wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max()):
        sys.exit(f"arrays.py: {name} is wrong")


def matmuls(library):
    squares = [(n, n, n) for n in (8, 16, 32, 64, 128, 256, 512, 1024, 2048)]
    shapes = [(8, 8, 8)] if RUN == "tiny" else squares + [(1, 1024, 1024), (1024, 1024, 8), (64, 4096, 64)]
    random = np.random.default_rng(1)
    middle = (8, 8, 8) if RUN == "tiny" else (1024, 1024, 1024)
    half = [("f16", 5e-3)] if LIBRARY != "numpy" else []  # NumPy multiplies halves one by one
    half += [("bf16", 4e-2)] if "bf16" in library.types else []
    for dtype, tolerance, (m, k, n) in ([("f32", 1e-4, shape) for shape in shapes] +
                                        [(dtype, t, middle) for dtype, t in [("f64", 1e-9), *half]]):
        x, y = (random.uniform(-1, 1, shape).astype(np.float32) for shape in ((m, k), (k, n)))
        a, b = library.cast(library.put(x), dtype), library.cast(library.put(y), dtype)
        size = f"{m}x{k}x{n}"
        agree(f"matmul {dtype} {size}", library.get((a @ b)[:1]), x[:1].astype(np.float64) @ y, tolerance)
        record(library, "matmul", dtype, size, lambda: a @ b, 2.0 * m * k * n, "flop/s")
        if dtype == "f32":
            record(library, "matmul from host", dtype, size, lambda: library.get(library.put(x) @ library.put(y)), 2.0 * m * k * n,
                   "flop/s", host=True)


def rowsums(library):
    flat = np.tile(np.random.default_rng(1).uniform(-100, 100, ELEMENTS // 16).astype(np.float32), 16)
    there = library.put(flat)
    for columns in [c for c in (1, 3, 16, 17, 64, 100, 1000, 1024, 65536) if c < ELEMENTS] + [ELEMENTS]:
        length = ELEMENTS // columns * columns
        a = there[:length].reshape(-1, columns)
        wanted = flat[:columns].sum(dtype=np.float64)
        size = "one row" if columns == ELEMENTS else f"{columns} columns"
        agree(f"rowsum {size}", library.get(a[:1].sum(1)), np.array([wanted]), max(1e-4, 1e-6 * columns**0.5))
        record(library, "rowsum", "f32", size, lambda: a.sum(1), 4.0 * length, "B/s")
    for dtype in ("f64", "f16", "bf16", "i64", "i32", "u8"):
        if dtype not in library.types:
            continue
        a = library.cast(there.reshape(-1, 1024), dtype)
        record(library, "rowsum", dtype, "1024 columns", lambda: a.sum(1), 1.0 * a.nbytes, "B/s")
    for count in [4**i for i in range(9) if 4**i * 1024 <= ELEMENTS]:
        x = flat[:count * 1024].reshape(-1, 1024)
        record(library, "rowsum from host", "f32", f"{count} rows of 1024", lambda: library.get(library.put(x).sum(1)), 1.0 * x.nbytes,
               "B/s", host=True)


def copies(library):
    count = {"tiny": 1 << 12, "quick": 1 << 24, "full": 1 << 26}[RUN]
    side = {"tiny": 64, "quick": 4096, "full": 8192}[RUN]
    size = f"{count >> 8} KiB" if count < 1 << 18 else f"{count >> 18} MiB"
    a = library.put(np.arange(count, dtype=np.float32) % 1021)
    record(library, "copy within", "f32", size, lambda: library.copied(a), 8.0 * count, "B/s")
    for to, each in (("bf16", 6), ("f16", 6), ("f64", 12)):
        if to in library.types:
            record(library, f"convert to {to}", "f32", size, lambda: library.cast(a, to), 1.0 * each * count, "B/s")
    square = library.put(np.arange(side * side, dtype=np.float32).reshape(side, side))
    record(library, "transposed copy", "f32", f"{side}x{side}", lambda: library.transposed(square), 8.0 * side * side, "B/s")
    if not GPU:
        return
    for size_bytes in (4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20):
        if RUN == "tiny" and size_bytes > 1 << 16:
            break
        size = f"{size_bytes >> 10} KiB" if size_bytes < 1 << 20 else f"{size_bytes >> 20} MiB"
        x = np.zeros(size_bytes // 4, np.float32)
        there = library.put(x)
        done = library.torch.cuda.synchronize if LIBRARY == "torch-cuda" else library.cupy.cuda.Device().synchronize
        record(library, "host to device, ordinary", "f32", size, lambda: (library.put(x), done()), 1.0 * size_bytes, "B/s", host=True)
        record(library, "device to host, ordinary", "f32", size, lambda: library.get(there), 1.0 * size_bytes, "B/s", host=True)


def files(library):
    """Row sums of a file in the page cache, as one writes them: by read, by readinto into one buffer, mapped."""
    mebibytes = {"tiny": 16, "quick": 256, "full": 1024}[RUN]
    chunk, columns = 64 << 20, 1024

    def read():
        with open(path, "rb") as f:
            pieces = iter(lambda: f.read(chunk), b"")
            return np.concatenate([library.get(library.put(np.frombuffer(bytearray(b), np.float32).reshape(-1, columns)).sum(1))
                                   for b in pieces])

    def readinto():
        buffer, sums = np.empty(chunk // 4, np.float32), []
        with open(path, "rb", buffering=0) as f:
            while n := f.readinto(memoryview(buffer).cast("B")):
                sums.append(library.get(library.put(buffer[:n // 4].reshape(-1, columns)).sum(1)).copy())
        return np.concatenate(sums)

    def mapped():
        return np.memmap(path, np.float32, "r").reshape(-1, columns).sum(1)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "in.bin")
        some = np.random.default_rng(1).random((4096, columns), dtype=np.float32)
        with open(path, "wb") as f:
            for _ in range(mebibytes // 16):
                some.tofile(f)
        wanted = np.tile(some.sum(1, dtype=np.float64), mebibytes // 16)
        for name, way in (("read", readinto), ("read", read), ("mapped", mapped)):
            if name == "mapped" and LIBRARY != "numpy":
                continue
            agree(f"file rowsum, {name}", way(), wanted, 1e-4)
            record(library, f"file rowsum, {name}", "f32", f"{mebibytes} MiB", way, float(mebibytes << 20), "B/s", host=True)
            rows[-1]["by"] += {read: ", read", readinto: ", readinto", mapped: ", memmap"}[way]


if __name__ == "__main__":
    try:
        library = {"numpy": NumPy, "torch": Torch, "torch-cuda": Torch, "cupy": CuPy}[LIBRARY]()
    except Exception as missing:  # each has errors of its own where it, or a GPU, is not there
        print(f"{LIBRARY}: {missing}")
        sys.exit(77)
    for part in (matmuls, rowsums, copies, files):
        part(library)
    with open(OUT, "w") as f:
        json.dump(rows, f)

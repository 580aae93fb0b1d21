"""What users have today, on the same GPU: row sums, products and round trips with PyTorch and CuPy, where they are installed.

    python3 bench/gpu_peers.py [--quick]
"""
import statistics
import sys
import time

import numpy as np

QUICK = "--quick" in sys.argv


def median_time(call, done, calls, rounds=3 if QUICK else 5):
    call()
    done()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        done()
        times.append((time.perf_counter() - begin) / calls)
    return statistics.median(times)


def show(name, value, unit):
    print(f"{name:44} {value:10.4g} {unit}", flush=True)


def row_sums(library, flat, total, done):
    for width in (16, 17, 64, 100, 256, 1000, 1023, 1024, 4096, 65536, total):
        rows = total // width
        a = flat[: rows * width].reshape(rows, width)
        seconds = median_time(lambda: a.sum(1), done, 3)
        show(f"{library} row sums f32, {width} columns", 4e-9 * rows * (width + 1) / seconds, "GB/s")


def with_torch():
    import torch

    done = torch.cuda.synchronize
    total = 2**27 if QUICK else 2**30
    row_sums("PyTorch", torch.rand(total, device="cuda"), total, done)
    for name, dtype, tf32 in (("f32", torch.float32, False), ("TF32", torch.float32, True), ("bf16", torch.bfloat16, False),
                              ("f64", torch.float64, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        for n in (1024, 4096) if QUICK else (1024, 4096, 8192):
            a = torch.rand(n, n, device="cuda", dtype=torch.float32).to(dtype)
            seconds = median_time(lambda: a @ a, done, 50 if n == 1024 else 5)
            show(f"PyTorch matmul {name}, n = {n}", 2e-12 * n**3 / seconds, "TFLOP/s")
    torch.backends.cuda.matmul.allow_tf32 = False
    for n in (8, 1024):
        a = torch.rand(n, n)
        show(f"PyTorch there and back, ordinary, {n}x{n}", 1e6 * median_time(lambda: (a.cuda() @ a.cuda()).cpu(), done, 30), "us")


def with_cupy():
    import cupy

    done = cupy.cuda.Device().synchronize
    total = 2**27 if QUICK else 2**30
    row_sums("CuPy", cupy.random.random(total, dtype=cupy.float32), total, done)
    for n in (8, 1024):
        a = np.random.rand(n, n).astype(np.float32)
        show(f"CuPy there and back, ordinary, {n}x{n}",
             1e6 * median_time(lambda: cupy.asnumpy(cupy.asarray(a) @ cupy.asarray(a)), done, 30), "us")


if __name__ == "__main__":
    for run in (with_torch, with_cupy):
        try:
            run()
        except ImportError as missing:
            print(f"{run.__name__}: {missing}")

"""Row sums of 1 GiB of f32 with NumPy, on the shapes of rowsum_bench: GB/s, best of 5, and the largest error over the sum of
magnitudes."""

import time

import numpy as np

elements = 1 << 28
data = np.random.default_rng(1).uniform(-100, 100, elements // 16).astype("<f4")
data = np.tile(data, 16)

print(f"NumPy {np.__version__}")
for columns in 1, 3, 16, 17, 64, 100, 1000, 1024, 65536, elements:
    rows = elements // columns
    a = data[: rows * columns].reshape(rows, columns)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        sums = a.sum(1)
        seconds.append(time.perf_counter() - start)
    some = a[: max(1, (1 << 24) // columns)]
    error = np.abs(some.sum(1, dtype=np.longdouble) - sums[: len(some)])
    magnitudes = np.abs(some).sum(1, dtype=np.longdouble)
    worst = np.max(error[magnitudes > 0] / magnitudes[magnitudes > 0])
    print(f"{columns:>9} columns {a.nbytes / min(seconds) / 1e9:6.1f} GB/s  error {float(worst):.1e}")

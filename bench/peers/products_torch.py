"""PyTorch's side of bench/peers/products: the protocol of products_driver.hpp. torch.mm writes into memory that is there."""
import json
import statistics
import sys
import threading
import time

import torch

TYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16}


def batch_after_warming(call, seconds):
    clock = time.perf_counter
    end, once = clock() + seconds / 4, 0
    while not once or clock() < end:
        start = clock()
        call()
        once = clock() - start
    return range(int(min(max(20e-6 / max(once, 1e-7), 1), 1e4)))


def timed(call, batch, seconds):
    """Seconds a call of each batch; calls; the first and the last moment."""
    clock = time.perf_counter
    each, first = [], clock()
    last = first
    while last < first + seconds:
        start = clock()
        for _ in batch:
            call()
        last = clock()
        each.append((last - start) / len(batch))
    return each, len(each) * len(batch), first, last


def turn(calls, seconds):
    all_times = [None] * len(calls)
    if len(calls) == 1:
        all_times[0] = timed(calls[0], batch_after_warming(calls[0], seconds), seconds)
    else:
        together = threading.Barrier(len(calls))

        def caller(i):
            batch = batch_after_warming(calls[i], seconds)
            together.wait()
            all_times[i] = timed(calls[i], batch, seconds)

        threads = [threading.Thread(target=caller, args=(i,)) for i in range(len(calls))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    each = [s for t in all_times for s in t[0]]
    median = statistics.median(each)
    took = max(t[3] for t in all_times) - min(t[2] for t in all_times)
    rate = 1 / median if len(calls) == 1 else sum(t[1] for t in all_times) / took
    return {"rate": rate, "fastest": 1 / min(each) if len(calls) == 1 else rate, "median": median, "longest": max(each)}


def work(dtype, m, k, n, callers):
    a, b = (torch.randint(-128, 128, shape).to(torch.float32).div(128).to(TYPES[dtype]) for shape in ((m, k), (k, n)))
    results = [torch.empty((m, n), dtype=TYPES[dtype]) for _ in range(callers)]
    torch.mm(a, b, out=results[0])
    rows = slice(0, m, max(1, m // 4))
    wanted = a[rows].double() @ b.double()
    tolerance = {"f32": 1e-5, "f64": 1e-14, "bf16": 1e-2}[dtype] * (1 + a[rows].double().abs() @ b.double().abs())
    if not ((results[0][rows].double() - wanted).abs() <= tolerance).all():
        raise RuntimeError("wrong answer")
    return [lambda c=c: torch.mm(a, b, out=c) for c in results]


def main():
    torch.set_grad_enabled(False)
    libraries = [line.strip(" -") for line in torch.__config__.show().splitlines() if "MKL" in line and "Build" not in line[:20]]
    print(json.dumps({"version": f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()}; " + "; ".join(libraries)}), flush=True)
    last = calls = None
    for line in sys.stdin:
        dtype, m, k, n, callers, seconds = line.split()
        wanted = dtype, int(m), int(k), int(n), int(callers)
        try:
            if last != wanted:
                calls, last = work(*wanted), wanted
            print(json.dumps(turn(calls, float(seconds))), flush=True)
        except RuntimeError as why:
            last = None
            print(json.dumps({"none": str(why).splitlines()[0]}), flush=True)


main()

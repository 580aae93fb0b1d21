"""pipeline_kill_test.py PIPELINE_KILL [KILLS]: runs are killed (-9) at random moments and resumed until they end; every
result is that of an undisturbed run, byte for byte. 20 kills unless told, over files of three sizes."""

import filecmp
import os
import random
import subprocess
import sys
import tempfile
import time

program, kills = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
shapes = [("rowsum", 100, 4_000_000), ("rowsum", 30_000, 3_000_000), ("matmul", 512, 5_000_000)]  # columns, about elements
random.seed(1)


def command(folder, name, job, columns):
    totals = [f"{folder}/{name}.totals"] if job == "rowsum" else []
    return [program, job, f"{folder}/in", str(columns), f"{folder}/{name}.npy", *totals], totals


def run(arguments, seconds):
    """The bytes that were done before; None when it was killed."""
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return None
    if child.returncode != 0:
        sys.exit(f"{arguments}: {errors.decode()}")
    return int(out)


def duration(arguments):
    start = time.perf_counter()
    run(arguments, 60)
    return time.perf_counter() - start


def killed_till_it_ends(folder, job, columns, whole, wanted):
    """Kills run after run; returns how many were killed and how many went on from somewhere."""
    killed = went_on = 0
    arguments, totals = command(folder, "out", job, columns)
    while killed < wanted:
        started_from = run(arguments, random.uniform(0.1, 1.1) * whole)
        if started_from is None:
            killed += 1
            continue
        went_on += started_from > 0
        for end in [".npy"] + ([".totals"] if totals else []):
            if not filecmp.cmp(f"{folder}/whole{end}", f"{folder}/out{end}", shallow=False):
                sys.exit(f"{job} of {columns} columns: a result differs after {killed} kills")
        for left in (".npy.partial", ".npy.journal"):
            if os.path.exists(f"{folder}/out{left}"):
                sys.exit(f"out{left} is left behind")
        os.remove(f"{folder}/out.npy")
    return killed, went_on


total = resumed = 0
for i, (job, columns, elements) in enumerate(shapes):
    with tempfile.TemporaryDirectory() as folder:
        rows = elements // columns
        with open(f"{folder}/in", "wb") as f:
            f.write(random.randbytes(rows * columns * 4).replace(b"\x7f", b"\x3f").replace(b"\xff", b"\xbf"))
        arguments, _ = command(folder, "whole", job, columns)
        whole = min(duration(arguments) for _ in range(2))
        k, r = killed_till_it_ends(folder, job, columns, whole, (kills + i) // len(shapes))
        total, resumed = total + k, resumed + r
print(f"{total} runs were killed; {resumed} of those that ended were resumed from a journal")
if kills >= 20 and resumed == 0:
    sys.exit("no run went on from a journal: the kills came too early or too late")

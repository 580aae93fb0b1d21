"""rowsum_file_test.py SLUICE_ROWSUM MEBIBYTES: sluice-rowsum from the shell. Large files may take MEBIBYTES more memory than small ones,
0: no limit."""

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

program, limit = sys.argv[1], int(sys.argv[2])


def run(*arguments, **more):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, **more)
    return done.returncode, done.stdout, done.stderr


def fails(code, words, *arguments):
    got, out, err = run(*arguments)
    assert got == code and out == "" and err.count("\n") == 1 and err.startswith("sluice-rowsum: "), (arguments, got, out, err)
    assert all(word in err for word in words), (words, err)


def body(path):
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    return data[10 + struct.unpack("<H", data[8:10])[0]:]


def sparse(path, size):
    with open(path, "wb") as f:
        f.truncate(size)


folder = tempfile.mkdtemp()
os.chdir(folder)

# Sums, and what is said of them.
with open("raw.bin", "wb") as f:
    f.write(b"skip" + struct.pack("<6f", 1, 2, 3, 4, 5, 6))
code, out, err = run("raw.bin", "--columns", "3", "--offset", "4", "-o", "sums.npy")
said = out.split("\n")
assert code == 0 and err == "" and said[0].startswith("2 rows") and "GB/s" in said[0] and said[0].endswith(", cpu"), (code, out, err)
assert said[1].startswith("at work: read ") and said[2].startswith("cpu: ") and len(said) == 4, out
assert body("sums.npy") == struct.pack("<2f", 6, 15)
assert run("raw.bin", "--columns", "7", "--dtype", "i32", "-o", "sums.npy", "--quiet") == (0, "", "")
assert len(body("sums.npy")) == 8

# Several files as one, standard input, totals of columns, and the same in JSON.
assert run("raw.bin", "raw.bin", "--columns", "3", "--offset", "4", "-o", "sums.npy", "--column-totals", "totals.npy", "-q") == (0, "", "")
assert body("sums.npy") == struct.pack("<4f", 6, 15, 6, 15) and body("totals.npy") == struct.pack("<3f", 10, 14, 18)
with open("raw.bin", "rb") as f:
    code, out, err = run("-", "--columns", "3", "--offset", "4", "-o", "sums.npy", "--progress", "json", stdin=f)
assert code == 0 and body("sums.npy") == struct.pack("<2f", 6, 15), (code, out, err)
last = json.loads(err.split("\n")[-2])
assert last["bytes_done"] == 24 and last["rows_done"] == 2, err
done = json.loads(out)
assert done["rows"] == 2 and done["bytes"] == 24 and done["devices"] == ["cpu"] and done["slowest_stage"] in done["stages"], out
code, out, err = run("-", "--columns", "3", "-o", "sums.npy", "--progress", "none", input=struct.pack("<6f", 1, 2, 3, 4, 5, 6).decode("latin1"), encoding="latin1")
assert code == 0 and body("sums.npy") == struct.pack("<2f", 6, 15), (code, out, err)
os.remove("totals.npy")

assert run("--version")[1].startswith("sluice-rowsum ")
assert "--columns" in run("--help")[1]

# What it does not take.
fails(2, ["IN is required"])
fails(2, ["--output is required"], "raw.bin")
for wrong in ["0", "-1", "1.5", "seven", "99999999999999999999"]:
    fails(2, ["--columns", wrong, "whole number"], "raw.bin", "--columns", wrong, "-o", "no.npy")
fails(2, ["--dtype", "f33"], "raw.bin", "--dtype", "f33", "-o", "no.npy")
fails(2, ["--device", "!"], "raw.bin", "--device", "!", "-o", "no.npy")
fails(2, ["--chunk"], "raw.bin", "--chunk", "0", "-o", "no.npy")
fails(2, ["--readers"], "raw.bin", "--readers", "0", "-o", "no.npy")
fails(2, ["--progress"], "raw.bin", "--progress", "loud", "-o", "no.npy")
fails(2, ["--resume", "--fresh"], "raw.bin", "--resume", "--fresh", "-o", "no.npy")
fails(1, ["raw.bin", "--columns"[2:]], "raw.bin", "-", "-o", "no.npy")
fails(1, ["no.npy"], "raw.bin", "--columns", "7", "-o", "no.npy", "--resume")
fails(1, ["needs columns"], "raw.bin", "-o", "no.npy")
fails(1, ["28 bytes", "16"], "raw.bin", "--columns", "4", "-o", "no.npy")
fails(1, ["none.bin", "No such file"], "none.bin", "--columns", "4", "-o", "no.npy")
fails(1, ["a directory"], ".", "--columns", "4", "-o", "no.npy")
fails(1, ["is the input"], "raw.bin", "--columns", "7", "-o", "raw.bin")
fails(1, ["a directory"], "raw.bin", "--columns", "7", "-o", ".")
assert sorted(os.listdir(".")) == ["raw.bin", "sums.npy"]

# One row of 1 GiB, and 2^25 rows of one byte whose sums are as large: in bounded memory, above what the runs so far took (where
# there is a GPU, that is its driver's libraries for the most part).
peak = lambda: resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
before = peak()
sparse("wide.bin", 1 << 30)
sparse("tall.bin", 1 << 25)
for threads in [{}, {"SLUICE_THREADS": "16"}, {"SLUICE_THREADS": "64"}]:  # all of them share one budget
    env = {**os.environ, **threads}
    for columns, sums in [(1 << 28, 1), (1024, 1 << 18)]:
        assert run("wide.bin", "--columns", str(columns), "-o", "wide.npy", env=env)[0] == 0
        assert body("wide.npy") == bytes(4 * sums)
    with subprocess.Popen(["cat", "wide.bin"], stdout=subprocess.PIPE) as pipe:
        assert run("-", "--columns", "1024", "-o", "wide.npy", stdin=pipe.stdout, env=env)[0] == 0
    assert body("wide.npy") == bytes(4 << 18)
    assert run("wide.bin", "--columns", "2048", "-o", "wide.npy", "--column-totals", "totals.npy", env=env)[0] == 0
    assert body("totals.npy") == bytes(4 * 2048)
    os.remove("totals.npy")
    assert run("tall.bin", "--columns", "1", "--dtype", "u8", "-o", "tall.npy", env=env)[0] == 0
    assert os.path.getsize("tall.npy") == 128 + (8 << 25)
assert limit == 0 or peak() - before < limit, f"peak memory {before} MiB, then {peak()} MiB"

# Stopped on the way, the next run goes on, and its result is that of an undisturbed one.
stopped = subprocess.Popen([program, "wide.bin", "wide.bin", "wide.bin", "wide.bin", "--columns", "64", "--sync", "0.001",
                            "-o", "again.npy"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
while not os.path.exists("again.npy.journal") and stopped.poll() is None:
    time.sleep(0.001)
stopped.send_signal(signal.SIGINT)
_, err = stopped.communicate(timeout=120)
if stopped.returncode == 130:  # else it was done before
    assert b"cancelled after" in err and os.path.exists("again.npy.journal") and not os.path.exists("again.npy"), err
    fails(1, ["again.npy.journal"], "wide.bin", "--columns", "64", "-o", "again.npy", "-q")  # another job
    code, out, err = run(*["wide.bin"] * 4, "--columns", "64", "--device", "cpu", "--resume", "--progress", "none", "-o", "again.npy")
    assert code == 0 and "resumed: the first" in out, (code, out, err)
assert body("again.npy") == bytes(4 * (1 << 24))
assert not os.path.exists("again.npy.partial") and not os.path.exists("again.npy.journal")

# Last, for naming a device of another backend loads the modules, and libraries such as cuBLAS with them.
fails(1, ["cuda:99"], "raw.bin", "--columns", "7", "-o", "no.npy", "--device", "cuda:99")

for name in ["wide.bin", "wide.npy", "tall.bin", "tall.npy"]:
    os.remove(name)

for name in os.listdir("."):
    os.remove(name)
os.rmdir(folder)

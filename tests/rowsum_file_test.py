"""rowsum_file_test.py SLUICE_ROWSUM MEBIBYTES: sluice-rowsum from the shell. Its peak memory is held to MEBIBYTES, 0 for no limit."""

import os
import resource
import struct
import subprocess
import sys
import tempfile

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
assert code == 0 and err == "" and out.startswith("2 rows") and "GB/s" in out and out.endswith(", cpu\n"), (code, out, err)
assert body("sums.npy") == struct.pack("<2f", 6, 15)
assert run("raw.bin", "--columns", "7", "--dtype", "i32", "-o", "sums.npy", "--quiet") == (0, "", "")
assert len(body("sums.npy")) == 8
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
fails(1, ["needs columns"], "raw.bin", "-o", "no.npy")
fails(1, ["28 bytes", "16"], "raw.bin", "--columns", "4", "-o", "no.npy")
fails(1, ["none.bin", "No such file"], "none.bin", "--columns", "4", "-o", "no.npy")
fails(1, ["a directory"], ".", "--columns", "4", "-o", "no.npy")
fails(1, ["is the input"], "raw.bin", "--columns", "7", "-o", "raw.bin")
fails(1, ["a directory"], "raw.bin", "--columns", "7", "-o", ".")
assert sorted(os.listdir(".")) == ["raw.bin", "sums.npy"]

# One row of 1 GiB, and 2^25 rows of one byte whose sums are as large: in bounded memory.
sparse("wide.bin", 1 << 30)
for columns, sums in [(1 << 28, 1), (1024, 1 << 18)]:
    assert run("wide.bin", "--columns", str(columns), "-o", "wide.npy")[0] == 0
    assert body("wide.npy") == bytes(4 * sums)
sparse("tall.bin", 1 << 25)
assert run("tall.bin", "--columns", "1", "--dtype", "u8", "-o", "tall.npy")[0] == 0
assert os.path.getsize("tall.npy") == 128 + (8 << 25)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
assert limit == 0 or peak < limit, f"peak memory {peak} MiB"
# Last, for naming a device of another backend loads the modules, and libraries such as cuBLAS with them.
fails(1, ["cuda:99"], "raw.bin", "--columns", "7", "-o", "no.npy", "--device", "cuda:99")

for name in ["wide.bin", "wide.npy", "tall.bin", "tall.npy"]:
    os.remove(name)

for name in os.listdir("."):
    os.remove(name)
os.rmdir(folder)

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

# Sums in a dtype by choice, of which a run with another one is not resumed.
assert run("raw.bin", "--columns", "3", "--offset", "4", "--result-dtype", "f64", "-o", "sums.npy", "-q") == (0, "", "")
assert body("sums.npy") == struct.pack("<2d", 6, 15)
assert run("raw.bin", "--columns", "3", "--offset", "4", "--result-dtype", "float16", "-o", "sums.npy", "-q") == (0, "", "")
assert body("sums.npy") == struct.pack("<2e", 6, 15)
fails(1, ["sums of f32 are rounded to one of f64, f32, f16, bf16, not to i64"], "raw.bin", "--columns", "3", "--offset", "4",
      "--result-dtype", "i64", "-o", "no.npy")
fails(1, ["bf16 has no .npy type"], "raw.bin", "--columns", "3", "--offset", "4", "--result-dtype", "bf16", "-o", "no.npy")
fails(2, ["--result-dtype", "f8", "none of"], "raw.bin", "--columns", "3", "--result-dtype", "f8", "-o", "no.npy")

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
fails(2, ["-", "only IN", "./-"], "raw.bin", "-", "--columns", "3", "-o", "no.npy")
fails(1, ["no.npy"], "raw.bin", "--columns", "7", "-o", "no.npy", "--resume")
fails(1, ["needs columns"], "raw.bin", "-o", "no.npy")
fails(1, ["28 bytes", "16"], "raw.bin", "--columns", "4", "-o", "no.npy")
fails(1, ["none.bin", "No such file"], "none.bin", "--columns", "4", "-o", "no.npy")
fails(1, ["a directory"], ".", "--columns", "4", "-o", "no.npy")
fails(1, ["is the input"], "raw.bin", "--columns", "7", "-o", "raw.bin")
fails(1, ["a directory"], "raw.bin", "--columns", "7", "-o", ".")
fails(1, ["/dev/null", "a character device", "-o -"], "raw.bin", "--columns", "7", "-o", "/dev/null")
for option in [["--resume"], ["--fresh"], ["--sync", "1"]]:
    fails(2, [option[0], "-o -"], "raw.bin", "--columns", "7", "-o", "-", *option)
fails(2, ["--column-totals -"], "raw.bin", "--columns", "7", "-o", "no.npy", "--column-totals", "-")
assert sorted(os.listdir(".")) == ["raw.bin", "sums.npy"]


def bytes_of(*arguments, **more):
    """Standard output as it is, and what was said."""
    done = subprocess.run([program, *arguments], stdout=more.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, timeout=120, **more)
    return done.returncode, done.stdout, done.stderr.decode()


# Standard output takes the .npy, and standard error what is said; a file called - is ./-.
raw = ["--columns", "3", "--offset", "4"]
assert run("raw.bin", *raw, "-o", "sums.npy", "-q") == (0, "", "")
with open("sums.npy", "rb") as f:
    sums = f.read()
code, out, err = bytes_of("raw.bin", *raw, "-o", "-")
assert (code, out) == (0, sums) and err.startswith("2 rows"), (code, out, err)
code, out, err = bytes_of("raw.bin", *raw, "-o", "-", "--progress", "json", "--column-totals", "totals.npy")
assert (code, out) == (0, sums) and json.loads(err.split("\n")[-2])["rows"] == 2, (code, out, err)
assert body("totals.npy") == struct.pack("<3f", 5, 7, 9)
os.remove("totals.npy")
assert "-" not in os.listdir(".")
assert run("raw.bin", *raw, "-o", "./-", "-q") == (0, "", "")
os.remove("-")

# Pipes: an .npy says how many rows it has, raw bytes do not.
header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header + b" " * (117 - len(header)) + b"\n" + struct.pack("<6f", 1, 2, 3, 4, 5, 6)
for name in ["-", "/dev/stdin", "/proc/self/fd/0"]:
    assert bytes_of(name, "-o", "-", "-q", input=npy) == (0, sums, ""), name
    assert bytes_of(name, "--columns", "3", "-o", "sums.npy", "-q", input=npy[128:]) == (0, b"", ""), name
    assert body("sums.npy") == struct.pack("<2f", 6, 15)
    code, out, err = bytes_of(name, "--columns", "3", "-o", "-", "-q", input=npy[128:])
    assert (code, out) == (1, b"") and "number of its rows" in err and "write to a path" in err, (code, out, err)
os.mkfifo("pipe")
for arguments, content in [(["pipe"], npy), (["pipe", "--columns", "3"], npy[128:])]:
    with subprocess.Popen([program, *arguments, "-o", "sums.npy", "-q"]) as child:
        time.sleep(0.05)  # it waits for the writer
        with open("pipe", "wb") as f:
            f.write(content)
        assert child.wait(60) == 0
    assert body("sums.npy") == struct.pack("<2f", 6, 15)
fails(2, ["pipe", "only IN"], "pipe", "raw.bin", "--columns", "3", "-o", "no.npy")
os.remove("pipe")

# A reader that goes, a full disk, no standard output, or one that is the input: each is told, and nothing is taken for whole.
with open("/dev/full", "wb") as full:
    code, _, err = bytes_of("raw.bin", *raw, "-o", "-", "-q", stdout=full)
assert code == 1 and "standard output: No space left on device at byte 0" in err and err.count("\n") == 1, (code, err)
shell = lambda end, *arguments: subprocess.run(["sh", "-c", f'"$0" "$@" {end}', program, *arguments], capture_output=True, timeout=120)
closed = shell(">&-", "raw.bin", *raw, "-o", "-", "-q")
assert closed.returncode == 1 and b"standard output: Bad file descriptor at byte 0" in closed.stderr, closed
own = shell("1<>raw.bin", "raw.bin", *raw, "-o", "-", "-q")
assert own.returncode == 2 and b"would be overwritten" in own.stderr and os.path.getsize("raw.bin") == 28, own
# No file gets the number of a standard stream, which the bar would then be written to.
for end in ["<&- 2>&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"]:
    done = shell(end, "raw.bin", *raw, "-o", "sums.npy", "--progress", "bar", "--column-totals", "totals.npy")
    assert done.returncode == 0 and body("sums.npy") == struct.pack("<2f", 6, 15) and body("totals.npy") == struct.pack("<3f", 5, 7, 9), end
os.remove("totals.npy")

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

# A million sums to a pipe; a reader that goes ends the run, with a reason.
code, out, err = bytes_of("wide.bin", "--columns", "256", "-o", "-", "-q")
assert (code, len(out), err) == (0, 128 + (4 << 20), "") and out[128:] == bytes(4 << 20)
with subprocess.Popen([program, "wide.bin", "--columns", "256", "-o", "-", "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
    assert child.stdout.read(6) == b"\x93NUMPY"
    child.stdout.close()
    err = child.stderr.read().decode()
    assert child.wait(60) == 1 and "standard output: Broken pipe at byte " in err and err.count("\n") == 1, (child.returncode, err)

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

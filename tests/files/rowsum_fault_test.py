"""rowsum_fault_test.py SLUICE_ROWSUM FAULT_LIBRARY: sluice-rowsum where the operating system fails it (fault/fault.cpp)."""

import errno
import os
import struct
import subprocess
import sys
import tempfile

program, library = sys.argv[1:]
folder = tempfile.mkdtemp()
os.chdir(folder)
with open("in.bin", "wb") as f:
    f.write(b"".join(struct.pack("<f", i % 1000) for i in range(1 << 20)))
size = os.path.getsize("in.bin")


def run(concerned="", rules="", *arguments, **more):
    environment = dict(os.environ, LD_PRELOAD=library, SLUICE_FAULT_FILE=concerned, SLUICE_FAULT=rules)
    done = subprocess.run([program, "in.bin", "--columns", "64", "-o", "out.npy", "--column-totals", "totals.npy", "-q", "--sync",
                           "0", *arguments], env=environment, capture_output=True, text=True, timeout=120, **more)
    return done.returncode, done.stdout, done.stderr


def results():
    pair = []
    for name in ["out.npy", "totals.npy"]:
        with open(name, "rb") as f:
            pair.append(f.read())
        os.remove(name)
    assert os.listdir(".") == ["in.bin"], os.listdir(".")
    return pair


assert run() == (0, "", "")
right = results()
for rules in ["short", "eintr", "short eintr"]:
    for concerned in ["in.bin", "out.npy", "totals.npy", folder]:
        assert run(concerned, rules, "--no-map") == (0, "", ""), (concerned, rules)
        assert results() == right, (concerned, rules)


# One sentence with the file, the reason and the byte; no result; and the next run ends as if nothing had happened.
def fails(concerned, kind, error, at, *words):
    code, out, err = run(concerned, f"{kind}={error}@{at}", "--no-map")
    assert code == 1 and out == "" and err.count("\n") == 1, (kind, at, code, out, err)
    assert all(word in err for word in (os.strerror(error), *words)), (kind, at, err)
    assert not os.path.exists("out.npy"), (kind, at)
    assert run() == (0, "", "")
    assert results() == right, (kind, at)


for at in [0, 1, size // 2, size - 1]:
    fails("in.bin", "read", errno.EIO, at, f"at byte {at}")
for at in [0, 127, 128, 40000]:
    fails("out.npy.partial", "write", errno.ENOSPC, at, f"at byte {at}")
fails("totals.npy.partial", "write", errno.ENOSPC, 200, "at byte 200")
fails("out.npy.partial", "sync", errno.EIO, 1)
fails("totals.npy.partial", "sync", errno.EDQUOT, 1)
fails("out.npy.partial", "rename", errno.EACCES, 1)
fails("totals.npy.partial", "rename", errno.EROFS, 1)

os.remove("in.bin")
os.rmdir(folder)

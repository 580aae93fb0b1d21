"""numpy_test.py NPY_COPY [SLUICE_ROWSUM]: .npy files both ways between NumPy and sluice. Exits with 77 when NumPy is missing."""

import itertools
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: this Python has no NumPy")
    sys.exit(77)

copy = sys.argv[1]
rowsum = sys.argv[2] if len(sys.argv) > 2 else None


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


os.chdir(tempfile.mkdtemp())
os.environ["PYTHONWARNINGS"] = "ignore"
random = np.random.default_rng(5)
types = ["f8", "f4", "f2", "i8", "i4", "u1"]
shapes = [(), (0,), (1,), (7,), (3, 4), (4, 1), (2, 3, 4), (0, 3), (1, 2, 1, 2, 1, 2, 1, 2)]

for kind, shape, order, version in itertools.product(types, shapes, "CF", [(1, 0), (2, 0), (3, 0)]):
    a = np.asarray(random.integers(0, 200, shape)).astype(kind)
    a = np.asfortranarray(a) if order == "F" else np.ascontiguousarray(a).reshape(shape)
    with open("in.npy", "wb") as f:
        np.lib.format.write_array(f, a, version=version)
    code, said = run(copy, "in.npy", "out.npy")
    assert code == 0, (kind, shape, order, version, said)
    assert same(np.load("out.npy"), a), (kind, shape, order, version)

    if rowsum and shape and (order == "C" or a.flags.c_contiguous):
        code, said = run(rowsum, "in.npy", "-o", "sums.npy", "-q")
        assert code == 0, said
        result = np.dtype("i8" if kind[0] in "iu" else "f8" if kind == "f8" else "f4")
        assert same(np.load("sums.npy"), np.asarray(a.sum(axis=-1, dtype=result))), (kind, shape)

# Types and orders of bytes that tensors have not become the next that hold every value.
converted = {"?": "u1", "i1": "i4", "i2": "i4", "u2": "i4", "u4": "i8", "u8": "i8"} | {t: t for t in types}
for kind, shape, order, swap in itertools.product(converted, [(), (0, 3), (3, 4), (300, 1000)], "CF", (False, True)):
    if kind == "?":
        a = random.integers(0, 2, shape).astype(bool)
    elif kind[0] == "f":
        a = np.asarray(random.standard_normal(shape)).astype(kind)
    else:
        most = np.iinfo("i8" if kind == "u8" else kind)
        a = random.integers(np.iinfo(kind).min, most.max, shape, "i8", endpoint=True).astype(kind)
    a = np.asarray(a).astype(np.dtype(kind).newbyteorder(">" if swap else "<"))
    if order == "F" and shape != (3, 4):
        continue
    a = np.asfortranarray(a) if order == "F" else np.ascontiguousarray(a).reshape(shape)
    np.save("in.npy", a)
    code, said = run(copy, "in.npy", "out.npy")
    assert code == 0, (kind, shape, order, swap, said)
    expected = a.astype(converted[kind])
    assert same(np.load("out.npy"), expected), (kind, shape, order, swap)
    if rowsum and shape and order == "C":
        native = "native.npy"
        np.save(native, expected)
        with open("in.npy", "rb") as piped:
            for source in ["in.npy", "-"]:
                done = subprocess.run([rowsum, source, "-o", "sums.npy", "-q"], stdin=piped, capture_output=True, text=True)
                assert done.returncode == 0, (kind, shape, swap, done.stderr)
                assert run(rowsum, native, "-o", "native-sums.npy", "-q")[0] == 0
                assert same(np.load("sums.npy"), np.load("native-sums.npy")), (kind, shape, swap)

members = {
    "a": random.standard_normal((300, 1000)),
    "empty": np.zeros((0, 3), "f4"),
    "scalar": np.float32(2),
    "é/../x": random.integers(0, 9, (3, 4)).astype(">i8"),
}
for save in [np.savez, np.savez_compressed]:
    save("in.npz", random.integers(0, 2, 9).astype(bool), **members, **{f"m{i}": np.full(i, i) for i in range(100)})
    for name, a in members.items():
        code, said = run(copy, "in.npz", "out.npy", name)
        assert code == 0, (save, name, said)
        assert same(np.load("out.npy"), np.asarray(a).astype(np.asarray(a).dtype.newbyteorder("<"))), (save, name)
    assert run(copy, "in.npz", "out.npy", "arr_0")[0] == 0 and np.load("out.npy").dtype == "u1"
    code, said = run(copy, "in.npz", "none.npy", "absent")
    assert code == 1 and "no member 'absent': it has 'a', 'empty', 'scalar', " in said, said
with open("pipe.npz", "wb") as f:  # as to a pipe: sizes follow the members

    class Pipe:
        read, write, flush = f.read, f.write, f.flush

    np.savez(Pipe(), **members)
assert run(copy, "pipe.npz", "out.npy", "a")[0] == 0 and same(np.load("out.npy"), members["a"])

np.save("in.npy", np.array([[1, 2], [3, 2**63]], "u8"))
for program, out in [(copy, []), (rowsum, ["-q", "-o"])]:
    if program:
        code, said = run(program, "in.npy", *out, "none.npy")
        assert code == 1 and "u64 number 3 is 9223372036854775808" in said and "astype" in said, said
for name in os.listdir("."):  # a run that ends so leaves its beginnings
    if name.startswith("none.npy"):
        os.remove(name)

if rowsum:  # right to the last bit or beside it, where NumPy adds in f64 in another order
    for columns in [1, 17, 1000, 300_000]:
        a = random.standard_normal((600_000 // columns, columns)).astype("f4")
        np.save("in.npy", a)
        code, said = run(rowsum, "in.npy", "-o", "sums.npy", "-q")
        assert code == 0, said
        expected = a.sum(axis=1, dtype="f8")
        assert np.all(np.abs(np.load("sums.npy") - expected) <= np.spacing(np.abs(expected).astype("f4")))

refused = {
    "objects": np.array([None, 1], dtype=object),
    "structured": np.zeros(3, [("a", "<f4"), ("b", "<i4")]),
    "text": np.array(["a", "b"]),
    "complex": np.zeros(3, "c8"),
    "big-endian complex": np.zeros(3, ">c8"),
    "time": np.zeros(3, "M8[ns]"),
    "void": np.zeros(3, "V2"),
    "9 dimensions": np.zeros((1,) * 9, "f4"),
}
for name, a in refused.items():
    np.save("in.npy", a, allow_pickle=True)
    code, said = run(copy, "in.npy", "none.npy")
    assert code == 1 and said.startswith("unsupported: [npy] "), (name, code, said)
    assert not os.path.exists("none.npy"), name

for name in os.listdir("."):
    os.remove(name)
os.rmdir(os.getcwd())

"""Which ONNX Runtime is loaded, and why one is refused. Usage: engine_test.py MODEL_PROBE OLD_LIBRARY EMPTY_LIBRARY MODELS [ENGINE]

ENGINE: the folder of a real one; without it, what needs one is left out and the test counts as skipped (77) once the rest passed."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, OLD, EMPTY, MODELS = sys.argv[1:5]
ENGINE = sys.argv[5] if len(sys.argv) > 5 and os.path.exists(os.path.join(sys.argv[5], "version.txt")) else None


def probe(value, *files, folder=None, path=None):
    """(found, version, path, refused, the lines after)"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_") and k != "LD_LIBRARY_PATH"}
    if value is not None:
        environment["SLUICE_ONNXRUNTIME"] = value
    if path is not None:
        environment["LD_LIBRARY_PATH"] = path
    done = subprocess.run([PROGRAM, *files], env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    first, *others = done.stdout.splitlines()
    found, version, where, refused = re.match(r'found (\d) version "(.*?)" path "(.*?)" refused "(.*)" providers', first).groups()
    return found == "1", version, where, refused, others


class Refused(unittest.TestCase):
    def refused(self, value, words, **more):
        found, _, _, refused, lines = probe(value, "model.onnx", **more)
        self.assertFalse(found)
        self.assertRegex(refused, words)
        self.assertEqual(lines, [f"model.onnx: unavailable: [model] there is no ONNX Runtime: {refused}"])

    def test_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            self.refused(folder, f'^SLUICE_ONNXRUNTIME="{folder}": the folder holds no libonnxruntime.so.1 and no other')
            self.refused(folder + "/none.so", "none.so: cannot open shared object file: No such file")
            for name in ("libonnxruntime.so.2", "libonnxruntime.so.1x", "libonnxruntime_providers_shared.so", "onnxruntime.so"):
                open(os.path.join(folder, name), "w").close()
            self.refused(folder, "the folder holds no")

    def test_relative(self):
        for value in (".", "folder", "libonnxruntime.so.1", "./libonnxruntime.so.1"):
            self.refused(value, "is relative: it takes an absolute path")

    def test_no_library(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "libonnxruntime.so.1")
            with open(path, "w") as file:
                file.write("no library")
            self.refused(folder, "libonnxruntime.so.1: (file too short|invalid ELF header)")

    def test_other_libraries(self):
        self.refused(OLD, r"is ONNX Runtime 1\.17\.3, which has no API of version 21: 1\.21 or newer is needed$")
        self.refused(EMPTY, "is not ONNX Runtime: it gives no API$")
        library = next(p for p in open("/proc/self/maps").read().split() if re.search(r"/libc(-[\d.]+)?\.so", p))
        self.refused(library, "is not ONNX Runtime: it has no symbol OrtGetApiBase$")

    def test_working_directory(self):
        """What lies there is not loaded, by any name."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("libonnxruntime.so.1", "libonnxruntime.so"):
                shutil.copy(OLD, os.path.join(folder, name))
            _, version, _, refused, _ = probe(None, folder=folder)
            self.assertNotIn("1.17.3", version + refused)

    def test_loader(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(OLD, os.path.join(folder, "libonnxruntime.so.1"))
            self.refused(None, r"ONNX Runtime 1\.17\.3", path=folder)


class Found(unittest.TestCase):
    def setUp(self):
        if ENGINE is None:
            self.skipTest("no engine")
        self.version = open(os.path.join(ENGINE, "version.txt")).read().strip()
        self.library = os.path.join(ENGINE, "libonnxruntime.so." + self.version)

    def test_ways_to_name_it(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("libonnxruntime.so.1", "libonnxruntime.so.1.9.9"):
                link = os.path.join(folder, name, "libonnxruntime.so.1")
                os.makedirs(os.path.dirname(link))
                os.symlink(self.library, link)
                found, version, path, _, _ = probe(os.path.dirname(link))
                self.assertEqual((found, version), (True, self.version))
            newest = os.path.join(folder, "several")
            os.makedirs(newest)
            shutil.copy(OLD, os.path.join(newest, "libonnxruntime.so.1.9.9"))
            os.symlink(self.library, os.path.join(newest, "libonnxruntime.so.1.32.0"))
            self.assertEqual(probe(newest)[:2], (True, self.version))
        for value in (ENGINE, self.library):
            found, version, path, refused, _ = probe(value)
            self.assertEqual((found, version, path, refused), (True, self.version, self.library, ""))

    def test_models(self):
        lines = probe(ENGINE, "mlp.onnx", "fixed.onnx", "none.onnx", "bad/op.onnx", folder=MODELS)[4]
        self.assertEqual(lines[0], "mlp.onnx: batches of 32 rows: x:f32(-1,4) -> y:f32(-1,3)")
        self.assertEqual(lines[1], "fixed.onnx: one case of 1 rows: x:f32(2,4) -> y:f32(2,3)")
        self.assertEqual(lines[2], "none.onnx: io: [model] none.onnx: No such file or directory")
        self.assertRegex(lines[3], r"^bad/op.onnx: unsupported: \[model\] bad/op.onnx: .*NoSuchOp")


result = unittest.main(argv=sys.argv[:1], exit=False).result
if not result.wasSuccessful():
    sys.exit(1)
if ENGINE is None:
    print("skipped: without an engine only refusals were tested")
    sys.exit(77)

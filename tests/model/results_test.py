"""Results of sluice::model beside those of ONNX Runtime in Python, on the same files. Usage: results_test.py MODEL_RUN MODELS"""
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnxruntime

PROGRAM, MODELS = sys.argv[1:3]
RANDOM = np.random.default_rng(3)


def expected(path, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {given.name: value for given, value in zip(session.get_inputs(), inputs)})


class Results(unittest.TestCase):
    def compare(self, name, *inputs, largest=0, within=1e-4):
        path = os.path.join(MODELS, name)
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for i, value in enumerate(inputs):
                files.append(os.path.join(folder, f"in{i}.npy"))
                np.save(files[-1], value)
            out = os.path.join(folder, "out")
            done = subprocess.run([PROGRAM, path, str(largest), out, *files], capture_output=True, text=True, timeout=200)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            wanted = expected(path, inputs)
            for i, value in enumerate(wanted):
                given = np.load(f"{out}{i}.npy")
                self.assertEqual((given.shape, given.dtype), (value.shape, value.dtype))
                worst = np.max(np.abs(given.astype(np.float64) - value), initial=0)
                self.assertLess(worst, within, f"{name}, output {i}, largest batch {largest}")
                self.assertGreater(np.std(value), 0)

    def test_resnet18(self):
        for rows, largest in ((1, 0), (3, 0), (5, 2)):
            self.compare("resnet18.onnx", RANDOM.normal(size=(rows, 3, 224, 224)).astype(np.float32), largest=largest)

    def test_resnet18_with_batch_normalization(self):
        self.compare("resnet18_bn.onnx", RANDOM.normal(size=(2, 3, 224, 224)).astype(np.float32))

    def test_resnet18_in_f16(self):
        self.compare("resnet18_f16.onnx", RANDOM.normal(size=(2, 3, 224, 224)).astype(np.float16), within=2e-2)

    def test_small_ones(self):
        for rows in (1, 2, 33, 70):
            x = RANDOM.normal(size=(rows, 4)).astype(np.float32)
            for name in ("mlp.onnx", "unnamed.onnx", "renamed.onnx"):
                for largest in (0, 7):
                    self.compare(name, x, largest=largest)
            self.compare("two.onnx", x[:, :3], RANDOM.integers(-9, 9, size=(rows, 3)), largest=8)
        self.compare("fixed.onnx", RANDOM.normal(size=(2, 4)).astype(np.float32))
        self.compare("strangers.onnx", *(RANDOM.normal(size=(n, 3)).astype(np.float32) for n in (2, 5)))

    def test_external_data(self):
        x = RANDOM.normal(size=(3, 4)).astype(np.float32)
        for name in ("good", "good_below", "good_link"):
            self.compare(f"external/{name}.onnx", x)


unittest.main(argv=sys.argv[:1])

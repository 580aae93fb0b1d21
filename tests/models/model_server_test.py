"""sluice-server --models as its users meet it. Usage: with_models FOLDER PYTHON model_server_test.py SLUICE-SERVER

SLUICE_TEST_RELOADS sets how often a model is loaded anew under load, and has the growth of the server's memory printed."""
import base64
import concurrent.futures
import json
import os
import shutil
import struct
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import example_server

SERVER = sys.argv.pop()
MODELS = os.environ["SLUICE_TEST_MODELS"]
RELOADS = int(os.environ.get("SLUICE_TEST_RELOADS", "10"))
SCORES = np.array([[4, 0, 0, -1], [0, 4, 0, -1], [0, 0, 4, -1]], np.float32)  # of the channels' means
IMAGE_JSON = {"resize": 10, "crop": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def write_colours(path, scores=SCORES):
    """Scores of a picture's mean colours: (n, 3, 8, 8) to (n, classes)."""
    nodes = [helper.make_node("GlobalAveragePool", ["pixels"], ["means"]), helper.make_node("Flatten", ["means"], ["flat"]),
             helper.make_node("MatMul", ["flat", "weights"], ["scores"])]
    value = lambda name, extents: helper.make_tensor_value_info(name, TensorProto.FLOAT, extents)
    graph = helper.make_graph(nodes, "colours", [value("pixels", ["n", 3, 8, 8])], [value("scores", ["n", scores.shape[1]])],
                              [numpy_helper.from_array(scores, "weights")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def png_of(colour, side=20):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * side) * side
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def probabilities(colour):
    scores = (np.array(colour, np.float32) / 255 - 0.5) / 0.5 @ SCORES
    e = np.exp(scores - scores.max())
    return e / e.sum()


class Folder:
    """A folder of models."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = self.folder.name

    def add(self, name, version, source):
        """A file of MODELS, bytes, or a function that writes to a path; as a copy ends, the file is renamed into its place."""
        folder = os.path.join(self.path, name, str(version))
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "model.onnx")
        if callable(source):
            source(path + ".new")
        elif isinstance(source, bytes):
            with open(path + ".new", "wb") as file:
                file.write(source)
        else:
            shutil.copy(os.path.join(MODELS, source), path + ".new")
        os.replace(path + ".new", path)
        return self

    def add_colours(self, name="colours", version=1, labels=("red", "green", "blue", "none"), **settings):
        self.add(name, version, write_colours)
        self.write(f"{name}/image.json", json.dumps({**IMAGE_JSON, **settings}))
        if labels:
            self.write(f"{name}/labels.txt", "\n".join(labels) + "\n")
        return self

    def write(self, path, text):
        with open(os.path.join(self.path, path), "w") as file:
            file.write(text)


def content(name):
    with open(os.path.join(MODELS, name), "rb") as file:
        return file.read()


class Case(unittest.TestCase):
    def start(self, folder, *options, wait=True):
        self.folder = folder
        self.server = example_server.Server(SERVER, "--models", folder.path, "--allow-model-control", *options)
        self.addCleanup(folder.folder.cleanup)
        self.addCleanup(self.server.stop)
        if wait:
            self.until(lambda: not any(m["state"] == "LOADING" for m in self.index()))

    def until(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it took too long")
            time.sleep(0.02)

    def ask(self, path, body=None, kind="application/json", accept="application/json"):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        status, _, text = self.server.ask(path, data, Content_Type=kind, Accept=accept)
        return status, json.loads(text) if text else None

    def index(self):
        return self.ask("/v2/repository/index", {})[1]

    def state(self, name):
        return {m["version"]: (m["state"], m["reason"]) for m in self.index() if m["name"] == name}

    def control(self, what, name):
        return self.ask(f"/v2/repository/models/{urllib.parse.quote(name, safe='')}/{what}", {})

    def is_ready(self):
        return self.ask("/health/ready")[0] == 200

    def mlp(self, rows=1, path="/v1/mlp"):
        return self.ask(path, {"x": np.ones((rows, 4)).tolist()})

    def same(self, predictions, colour):
        wanted = probabilities(colour)
        order = np.argsort(-wanted, kind="stable")[:len(predictions)]
        self.assertEqual([p["index"] for p in predictions], order.tolist())
        np.testing.assert_allclose([p["probability"] for p in predictions], wanted[order], atol=1e-5)


class TestPictures(Case):
    RED = (250, 20, 60)

    def setUp(self):
        self.start(Folder().add_colours())

    def test_files_and_base64_are_classified(self):
        text = base64.b64encode(png_of(self.RED)).decode()
        for body, kind in ((png_of(self.RED), "image/png"), ({"image": text}, "application/json"),
                           ({"image": "data:image/png;base64," + text}, "application/json")):
            status, answer = self.ask("/v1/colours", body, kind)
            self.assertEqual(status, 200, answer)
            self.same(answer["predictions"], self.RED)
            self.assertEqual([p["label"] for p in answer["predictions"]], ["red", "none", "blue", "green"])
            self.assertEqual(answer["device"], "cpu")

    def test_a_jpeg_is_classified(self):
        black = {"image": np.zeros((16, 16), int).tolist()}
        status, _, jpeg = self.server.ask("/v1/canny", json.dumps(black).encode(), Content_Type="application/json", Accept="image/jpeg")
        self.assertEqual((status, jpeg[:2]), (200, b"\xff\xd8"))
        status, answer = self.ask("/v1/colours", jpeg, "image/jpeg")
        self.assertEqual(status, 200, answer)
        self.same(answer["predictions"], (0, 0, 0))

    def test_top(self):
        for top in (1, 2, 4):
            status, answer = self.ask(f"/v1/colours?top={top}", png_of(self.RED), "image/png")
            self.assertEqual((status, len(answer["predictions"])), (200, top), answer)
        text = base64.b64encode(png_of(self.RED)).decode()
        self.assertEqual(len(self.ask("/v1/colours", {"image": text, "top": 1})[1]["predictions"]), 1)
        for top in ("0", "5", "1.5", "-1"):
            status, answer = self.ask(f"/v1/colours?top={top}", png_of(self.RED), "image/png")
            self.assertEqual(status, 422, answer)
            self.assertIn("1 to 4", answer["detail"])

    def test_as_a_model_of_v2(self):
        metadata = self.ask("/v2/models/colours")[1]
        self.assertEqual((metadata["versions"], metadata["platform"]), (["1"], "onnxruntime_onnx"))
        self.assertEqual([(i["name"], i["datatype"]) for i in metadata["inputs"]], [("image", "BYTES")])
        self.assertEqual([(o["name"], o["datatype"]) for o in metadata["outputs"]],
                         [("label", "BYTES"), ("index", "INT64"), ("probability", "FP32")])
        raw = self.ask("/v2/models/colours_raw/versions/1")[1]
        self.assertEqual(raw["inputs"], [{"name": "pixels", "datatype": "FP32", "shape": [-1, 3, 8, 8]}])
        self.assertEqual(raw["outputs"], [{"name": "scores", "datatype": "FP32", "shape": [-1, 4]}])
        text = base64.b64encode(png_of(self.RED)).decode()
        asked = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}], "parameters": {"top": 2}}
        status, answer = self.ask("/v2/models/colours/infer", asked)
        self.assertEqual(status, 200, answer)
        found = {o["name"]: o["data"] for o in answer["outputs"]}
        self.assertEqual((found["label"], found["index"]), (["red", "none"], [0, 3]))
        np.testing.assert_allclose(found["probability"], probabilities(self.RED)[[0, 3]], atol=1e-5)

    def test_the_files_own_tensors(self):
        pixels = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
        status, answer = self.ask("/v1/colours_raw", {"pixels": pixels.tolist()})
        self.assertEqual(status, 200, answer)
        np.testing.assert_allclose(next(iter(answer.values())), pixels.mean((2, 3)) @ SCORES, atol=1e-5)

    def test_only_the_corrupt_one_of_32_fails(self):
        good = png_of(self.RED, 200)
        bad = good[:60] + bytes([good[60] ^ 1]) + good[61:]
        bodies = [good] * 17 + [bad] + [good] * 14
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            for _ in range(3):
                answers = list(pool.map(lambda body: self.ask("/v1/colours", body, "image/png"), bodies))
                self.assertEqual([status for status, _ in answers], [200] * 17 + [422] + [200] * 14)
                for status, answer in answers:
                    if status == 200:
                        self.same(answer["predictions"], self.RED)

    def test_what_is_no_picture_is_refused(self):
        good = png_of(self.RED)
        for status, body, kind in ((415, b"no picture", "image/png"), (422, good[:-30], "image/png"), (415, b"", "image/jpeg"),
                                   (400, {"image": "a"}, "application/json"), (422, {"image": [[1, 2], [3, 4]]}, "application/json"),
                                   (422, {"image": np.zeros((4, 4, 4), int).tolist()}, "application/json"),
                                   (422, {}, "application/json"), (415, good, "text/plain")):
            found, answer = self.ask("/v1/colours", body, kind)
            self.assertEqual(found, status, (body, answer))


class TestTensors(Case):
    def setUp(self):
        self.start(Folder().add("mlp", 1, "mlp.onnx").add("two", 3, "two.onnx").add("fixed", 1, "fixed.onnx"))

    def test_rows_are_joined_and_split(self):
        one = self.mlp()[1]
        name = next(iter(one))
        for rows in (1, 31, 33, 70):
            status, answer = self.mlp(rows)
            self.assertEqual((status, len(answer[name])), (200, rows), answer)
            np.testing.assert_allclose(answer[name], one[name] * rows, atol=1e-6)
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            for rows, (status, answer) in zip([1, 5, 33, 2] * 16, pool.map(self.mlp, [1, 5, 33, 2] * 16)):
                self.assertEqual((status, len(answer[name])), (200, rows), answer)
                np.testing.assert_allclose(answer[name], one[name] * rows, atol=1e-6)

    def test_wrong_shapes_and_dtypes_are_422(self):
        for body, words in (({"x": [[1, 2, 3]]}, "4"), ({"x": [1, 2, 3, 4]}, "(-1, 4)"), ({"x": [[[1, 2, 3, 4]]]}, "(-1, 4)"),
                            ({"x": [[1, 2, 3, 4]], "dtype": "i64"}, "f32"), ({"y": [[1, 2, 3, 4]]}, "y"), ({"x": [["a", 2, 3, 4]]}, "")):
            status, answer = self.ask("/v1/mlp", body)
            self.assertEqual(status // 100, 4, answer)
            self.assertIn(words, answer["detail"])
        status, answer = self.ask("/v1/fixed", {"x": [[1, 2, 3, 4]]})
        self.assertEqual(status, 422, answer)
        self.assertIn("2", answer["detail"])
        status, answer = self.ask("/v1/two", {"a": [[1, 2, 3]], "b": [[1, 2, 3], [4, 5, 6]]})
        self.assertEqual(status, 400 if status == 400 else 422, answer)

    def test_nan_is_an_answer_that_json_has_not(self):
        asked = {"id": "1", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}]}
        head = json.dumps(asked).encode()
        status, _, text = self.server.ask("/v2/models/mlp/infer", head + struct.pack("<4f", *[float("nan")] * 4),
                                          Inference_Header_Content_Length=str(len(head)))
        self.assertIn(status, (400, 422), text)
        self.assertIn(b"NaN", text)
        self.assertEqual(self.mlp()[0], 200)

    def test_a_version_has_its_address(self):
        self.assertEqual(self.ask("/v2/models/two/versions/3/ready")[0], 200)
        self.assertEqual(self.ask("/v2/models/two/versions/1")[0], 404)
        self.assertEqual(self.ask("/v2/models/two")[1]["versions"], ["3"])

    def test_the_documents_list_models(self):
        self.assertIn("/v1/mlp", self.ask("/openapi.json")[1]["paths"])


class TestRepository(Case):
    BAD = {"half": lambda: content("mlp.onnx")[:200], "empty": lambda: b"", "text": lambda: b"no model", "op": lambda: content("bad/op.onnx"),
           "outside": lambda: content("external/parent.onnx"), "newer": lambda: content("bad/version.onnx")}

    def test_bad_models_leave_the_others_serving(self):
        folder = Folder().add("mlp", 1, "mlp.onnx")
        for name, bytes_of in self.BAD.items():
            folder.add(name, 1, bytes_of())
        folder.add_colours("labelled", labels=("one", "two")).add_colours("cropped", crop=9)
        folder.add("settings", 1, "mlp.onnx").write("settings/image.json", '{"size": 1}')
        folder.add("matmul", 1, "mlp.onnx")
        self.start(folder)
        self.assertEqual(self.mlp()[0], 200)
        self.assertTrue(self.is_ready())
        words = {"op": "NoSuchOp", "outside": "outside", "labelled": "2 lines, and the model 4 classes", "cropped": "(1, 3, 9, 9)",
                 "settings": "unknown", "matmul": "another endpoint"}
        for name in [*self.BAD, "labelled", "cropped", "settings", "matmul"]:
            ((state, reason),) = self.state(name).values()
            self.assertIn(words.get(name, "model.onnx"), reason)
            if name != "matmul":  # which is served, as the op that it is
                self.assertEqual(state, "UNAVAILABLE")
                self.assertIn(self.ask(f"/v1/{name}", {"x": [[1, 2, 3, 4]]})[0], (404, 503))
                self.assertNotEqual(self.ask(f"/v2/models/{name}/ready")[0], 200)
        self.assertEqual(self.ask("/v1/matmul", {"a": [[2]], "b": [[3]]})[1]["result"], [[6]])

    def test_readiness_waits_for_what_is_named(self):
        self.start(Folder().add("mlp", 1, "mlp.onnx"), "--model", "mlp", "--model", "later")
        self.assertFalse(self.is_ready())
        self.assertIn("later", json.dumps(self.ask("/health/ready")[1]) + json.dumps(self.index()))
        self.assertEqual(self.mlp()[0], 200)
        self.assertEqual(self.control("load", "later")[0] // 100, 4)
        self.folder.add("later", 1, lambda path: shutil.copy(os.path.join(MODELS, "mlp.onnx"), path))
        self.assertEqual(self.control("load", "later")[0], 200)
        self.assertTrue(self.is_ready())
        self.assertEqual(self.mlp(path="/v1/later")[0], 200)

    def test_only_what_is_named_is_loaded(self):
        self.start(Folder().add("mlp", 1, "mlp.onnx").add("other", 1, "mlp.onnx"), "--model", "mlp")
        self.assertTrue(self.is_ready())
        self.assertEqual(self.mlp(path="/v1/other")[0], 404)
        self.assertEqual(self.control("load", "other")[0], 200)
        self.assertEqual(self.mlp(path="/v1/other")[0], 200)

    def test_versions_take_the_place_of_one_another(self):
        self.start(Folder().add("mlp", 9, "mlp.onnx").add("mlp", 2, "mlp.onnx"))
        self.assertEqual(list(self.state("mlp")), ["9"])
        self.folder.add("mlp", 10, content("mlp.onnx")[:100])
        status, answer = self.control("load", "mlp")
        self.assertIn(status // 100, (4, 5), answer)
        self.assertNotEqual(status, 500)
        self.assertEqual({v: s for v, (s, _) in self.state("mlp").items()}, {"9": "READY", "10": "UNAVAILABLE"})
        self.assertEqual(self.mlp()[0], 200)
        self.folder.add("mlp", 10, "mlp.onnx")
        self.assertEqual(self.control("load", "mlp")[0], 200)
        self.assertEqual({v: s for v, (s, _) in self.state("mlp").items()}, {"10": "READY"})
        self.assertEqual(self.ask("/v2/models/mlp")[1]["versions"], ["10"])

    def test_what_is_served_stays_where_its_file_becomes_bad(self):
        self.start(Folder().add("mlp", 1, "mlp.onnx"))
        self.folder.add("mlp", 1, b"no model")
        self.assertNotEqual(self.control("load", "mlp")[0], 200)
        ((state, reason),) = self.state("mlp").values()
        self.assertEqual(state, "READY")
        self.assertIn("model.onnx", reason)
        self.assertEqual(self.mlp()[0], 200)

    def test_the_highest_version_that_can_be_loaded_is_served_at_the_start(self):
        self.start(Folder().add("mlp", 1, "mlp.onnx").add("mlp", 2, b"no model"), "--model", "mlp")
        self.assertEqual({v: s for v, (s, _) in self.state("mlp").items()}, {"1": "READY", "2": "UNAVAILABLE"})
        self.assertEqual(self.mlp()[0], 200)
        self.assertTrue(self.is_ready())

    def test_all_versions(self):
        self.start(Folder().add("mlp", 1, "mlp.onnx").add("mlp", 2, "mlp.onnx"), "--all-model-versions")
        self.assertEqual(self.ask("/v2/models/mlp")[1]["versions"], ["1", "2"])
        asked = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
        for path, version in (("", "2"), ("/versions/1", "1"), ("/versions/2", "2")):
            status, answer = self.ask(f"/v2/models/mlp{path}/infer", asked)
            self.assertEqual((status, answer.get("model_version")), (200, version), answer)

    def test_unload_and_load(self):
        self.start(Folder().add_colours())
        self.assertEqual(self.control("unload", "colours")[0], 200)
        for name in ("colours", "colours_raw"):
            self.assertEqual(self.ask(f"/v1/{name}", png_of((1, 2, 3)), "image/png")[0], 404)
        self.assertEqual({s for s, _ in self.state("colours").values()}, {"UNAVAILABLE"})
        self.assertTrue(self.is_ready())
        self.assertEqual(self.control("load", "colours")[0], 200)
        self.assertEqual(self.ask("/v1/colours", png_of((1, 2, 3)), "image/png")[0], 200)
        for name in ("none", "..", "colours/1"):
            self.assertEqual(self.control("load", name)[0] // 100, 4)
            self.assertEqual(self.control("unload", name)[0] // 100, 4)

    def test_a_picture_model_becomes_one_of_tensors(self):
        self.start(Folder().add_colours("c"))
        os.remove(os.path.join(self.folder.path, "c/image.json"))
        self.assertEqual(self.control("load", "c")[0], 200)
        self.assertEqual(self.ask("/v1/c_raw", {"pixels": np.zeros((1, 3, 8, 8)).tolist()})[0], 404)
        self.assertEqual(self.ask("/v1/c", {"pixels": np.zeros((1, 3, 8, 8)).tolist()})[0], 200)

    def test_clients_need_leave(self):
        folder = Folder().add("mlp", 1, "mlp.onnx")
        server = example_server.Server(SERVER, "--models", folder.path)
        self.addCleanup(folder.folder.cleanup)
        self.addCleanup(server.stop)
        for what in ("load", "unload"):
            status, _, text = server.ask(f"/v2/repository/models/mlp/{what}", b"{}", Content_Type="application/json")
            self.assertEqual(status, 403, text)
            self.assertIn(b"client", text)


class TestReloads(Case):
    def memory(self):
        with open(f"/proc/{self.server.process.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])  # KiB

    def load_it(self, body, path, seen, ends):
        while not ends.is_set():
            status, answer = self.ask(path, body, "image/png" if isinstance(body, bytes) else "application/json")
            seen.append((status, answer))

    def under_load(self, change):
        seen, ends = [], threading.Event()
        threads = [threading.Thread(target=self.load_it, args=(body, path, seen, ends)) for body, path in
                   [(png_of((200, 10, 10)), "/v1/colours"), ({"pixels": np.ones((2, 3, 8, 8)).tolist()}, "/v1/colours_raw")] * 2]
        for t in threads:
            t.start()
        try:
            change()
        finally:
            ends.set()
            for t in threads:
                t.join()
        self.assertTrue(seen)
        return seen

    def test_no_request_fails_while_a_model_is_loaded_anew(self):
        self.start(Folder().add_colours())

        def reload(times):
            for i in range(times):
                self.folder.add("colours", i % 3 + 1, write_colours)
                self.assertEqual(self.control("load", "colours")[0], 200)

        seen = self.under_load(lambda: reload(5))  # what is allocated once is allocated by then
        before = self.memory()
        seen += self.under_load(lambda: reload(RELOADS))
        self.assertEqual([s for s in seen if s[0] != 200], [])
        if "SLUICE_TEST_RELOADS" in os.environ:
            print(f"{RELOADS} reloads, {len(seen)} requests, 0 failed, memory {before} to {self.memory()} KiB")

    def test_calls_under_way_survive_an_unload(self):
        self.start(Folder().add_colours())

        def change():
            for _ in range(5):
                self.assertEqual(self.control("unload", "colours")[0], 200)
                self.assertEqual(self.control("load", "colours")[0], 200)

        seen = self.under_load(change)
        self.assertLessEqual({status for status, _ in seen}, {200, 404})
        self.assertIn(200, {status for status, _ in seen})

    def test_a_server_stops_while_it_loads(self):
        self.start(Folder().add("resnet18", 1, "resnet18.onnx"), wait=False)  # stopped by the cleanup


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)

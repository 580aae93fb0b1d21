"""The stock tritonclient from PyPI against the example server, over every call that it has for what is served; and plain
requests as KServe's client makes them. Usage: triton_test.py SLUICE-SERVER FOLDER

FOLDER gets a virtual environment with the client; where it cannot be had, the test is skipped (77)."""
import concurrent.futures
import gzip
import json
import os
import struct
import sys
import unittest
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment
import example_server

SERVER, FOLDER = sys.argv[1:3]
environment.enter(FOLDER, "tritonclient.http.aio", ["tritonclient[http]"])

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, triton_to_np_dtype

BF16 = triton_to_np_dtype("BF16")


def array(rows, columns, dtype, first=0):
    return ((np.arange(rows * columns) + first) % 13).reshape(rows, columns).astype(dtype)


def tensor(name, values, binary=True, datatype=None):
    given = triton.InferInput(name, values.shape, datatype or np_to_triton_dtype(values.dtype))
    return given.set_data_from_numpy(values, binary_data=binary)


def png_of(pixels):
    """A grey PNG, by hand: the test needs no library for it."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = example_server.Server(SERVER)
        cls.address = cls.server.url.removeprefix("http://")
        cls.client = triton.InferenceServerClient(cls.address, concurrency=4)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def refused(self, status, words, call, *arguments, **named):
        with self.assertRaises(InferenceServerException) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.status(), str(status))
        for word in words:
            self.assertIn(word, caught.exception.message())

    def same(self, values, wanted):
        self.assertEqual(values.dtype, wanted.dtype)
        np.testing.assert_array_equal(values, wanted)


class TestServer(Case):
    def test_health_and_metadata(self):
        c = self.client
        self.assertTrue(c.is_server_live() and c.is_server_ready())
        self.assertTrue(c.is_model_ready("matmul") and c.is_model_ready("rowsum_int32", "1"))
        self.assertFalse(c.is_model_ready("nothing") or c.is_model_ready("matmul", "2"))
        server = c.get_server_metadata()
        self.assertEqual(server["name"], "sluice")
        self.assertIn("binary_tensor_data", server["extensions"])
        model = c.get_model_metadata("matmul")
        self.assertEqual((model["name"], model["versions"]), ("matmul", ["1"]))
        self.assertEqual([(i["name"], i["datatype"], i["shape"]) for i in model["inputs"]],
                         [("a", "FP32", [-1, -1]), ("b", "FP32", [-1, -1])])
        self.assertEqual(model["outputs"], [{"name": "result", "datatype": "FP32", "shape": [-1, -1]}])
        config = c.get_model_config("rowsum_int32", "1")
        self.assertEqual((config["max_batch_size"], config["input"][0]["data_type"]), (0, "TYPE_INT32"))
        self.assertEqual(config["output"], [{"name": "result", "data_type": "TYPE_INT64", "dims": [-1]}])
        self.refused(404, ["nothing"], c.get_model_metadata, "nothing")
        self.refused(404, ["a b%"], c.get_model_config, "a b%")

    def test_repository_and_shared_memory(self):
        c = self.client
        models = {m["name"]: m for m in c.get_model_repository_index()}
        self.assertLessEqual({"matmul", "matmul_fp64", "matmul_fp16", "matmul_bf16", "rowsum", "rowsum_uint8", "gpu_multiply"},
                             set(models))
        for name, m in models.items():
            self.assertEqual((m["version"], m["state"]), ("1", "READY"))
            self.assertEqual(c.get_model_metadata(name)["name"], name)
        self.refused(501, ["load"], c.load_model, "matmul")
        self.refused(501, ["unload"], c.unload_model, "matmul")
        self.assertEqual((c.get_system_shared_memory_status(), c.get_cuda_shared_memory_status()), ([], []))
        self.refused(501, ["shared memory"], c.register_system_shared_memory, "r", "/r", 4)
        self.refused(501, ["shared memory"], c.register_cuda_shared_memory, "r", b"h", 0, 4)
        self.refused(501, ["shared memory"], c.unregister_system_shared_memory)
        self.refused(404, ["r"], c.get_cuda_shared_memory_status, "r")

    def test_statistics(self):
        def counts():
            s = self.client.get_inference_statistics("rowsum_uint8", "1")["model_stats"][0]
            return s, {k: v["count"] for k, v in s["inference_stats"].items()}

        self.assertEqual(counts()[0]["last_inference"], 0)
        a = tensor("a", array(3, 4, np.uint8))
        for own in (None, {"echo": 1}, {"content_type": "np", "max_tokens": 5}):
            self.client.infer("rowsum_uint8", [a], parameters=own)
        self.refused(400, ["sequence_id"], self.client.infer, "rowsum_uint8", [a], sequence_id=5, sequence_start=True)
        s, n = counts()
        self.assertEqual((s["inference_count"], s["execution_count"]), (3, 3))
        self.assertGreater(s["last_inference"], 1_600_000_000_000)
        stages = ("queue", "compute_input", "compute_infer", "compute_output")
        self.assertEqual(n, {"success": 3, "fail": 1, **{k: 3 for k in stages}, "cache_hit": 0, "cache_miss": 0})
        took = {k: v["ns"] for k, v in s["inference_stats"].items()}
        self.assertGreaterEqual(took["success"], sum(took[k] for k in stages))
        self.assertIn("matmul", [m["name"] for m in self.client.get_inference_statistics()["model_stats"]])


class TestInference(Case):
    def test_every_datatype_in_binary(self):
        for dtype, suffix in ((np.float32, ""), (np.float64, "_fp64"), (np.float16, "_fp16"), (BF16, "_bf16")):
            a, b = array(5, 7, dtype), array(7, 3, dtype, 4)
            wanted = (a.astype(np.float64) @ b.astype(np.float64)).astype(dtype)
            for model in {"matmul", "matmul" + suffix}:
                r = self.client.infer(model, [tensor("a", a), tensor("b", b)])
                self.same(r.as_numpy("result"), wanted)
                self.assertEqual((r.get_response()["model_name"], r.get_response()["model_version"]), (model, "1"))
        for dtype, suffix, out in ((np.float32, "", np.float32), (np.float64, "_fp64", np.float64), (np.int64, "_int64", np.int64),
                                   (np.int32, "_int32", np.int64), (np.uint8, "_uint8", np.int64),
                                   (np.float16, "_fp16", np.float32), (BF16, "_bf16", np.float32)):
            a = array(9, 31, dtype)
            for model in {"rowsum", "rowsum" + suffix}:
                r = self.client.infer(model, [tensor("a", a)], model_version="1")
                self.same(r.as_numpy("result"), a.astype(np.float64).sum(axis=1).astype(out))

    def test_json_and_binary_mixed(self):
        a, b = array(2, 3, np.float32), array(3, 4, np.float32)
        for a_binary in (True, False):
            for b_binary in (True, False):
                for out_binary in (True, False, None):
                    outputs = None if out_binary is None else [triton.InferRequestedOutput("result", binary_data=out_binary)]
                    r = self.client.infer("matmul", [tensor("a", a, a_binary), tensor("b", b, b_binary)], outputs=outputs)
                    self.same(r.as_numpy("result"), a @ b)
                    self.assertEqual("data" in r.get_output("result"), out_binary is False)
        for dtype in (np.float64, np.int64, np.int32, np.uint8):
            r = self.client.infer("rowsum", [tensor("a", array(2, 3, dtype), False)])
            self.same(r.as_numpy("result"), array(2, 3, dtype).sum(axis=1).astype(np.float64 if dtype == np.float64 else np.int64))
        empty = self.client.infer("rowsum", [tensor("a", np.zeros((0, 3), np.float32))])
        self.assertEqual(empty.as_numpy("result").shape, (0,))
        batch = array(6, 4, np.float32).reshape(2, 3, 4)
        self.same(self.client.infer("rowsum", [tensor("a", batch)]).as_numpy("result"), batch.sum(axis=2))

    def test_pictures(self):
        if not any(m["name"] == "canny" for m in self.client.get_model_repository_index()):
            self.refused(501, ["sluice::image"], self.client.get_model_metadata, "canny")
            return
        model = self.client.get_model_metadata("canny")
        self.assertEqual(model["inputs"], [{"name": "image", "datatype": "BYTES", "shape": [1]}])
        pixels = np.zeros((40, 50), np.uint8)
        pixels[10:30, 12:33] = 200
        edges = self.client.infer("canny", [tensor("image", pixels)]).as_numpy("result")
        self.assertEqual((edges.dtype, edges.shape, set(np.unique(edges))), (np.uint8, (40, 50), {0, 255}))
        file = np.array([png_of(pixels)], np.object_)
        self.same(self.client.infer("canny", [tensor("image", file)]).as_numpy("result"), edges)
        answer = self.client.infer("canny", [tensor("image", file)], parameters={"accept": "image/png", "low": 20, "norm": "l2"})
        self.assertTrue(answer.as_numpy("result")[0].startswith(b"\x89PNG"))
        # What comes out goes in again.
        self.assertEqual(self.client.infer("canny", [tensor("image", answer.as_numpy("result"))]).as_numpy("result").shape, (40, 50))
        self.refused(415, ["image of 4 bytes"], self.client.infer, "canny", [tensor("image", np.array([b"text"], np.object_))])
        self.refused(400, ["image of"], self.client.infer, "canny", [tensor("image", np.array([file[0][:60]], np.object_))])
        self.refused(400, ["2 elements"], self.client.infer, "canny", [tensor("image", np.array([b"a", b"b"], np.object_))])

    def test_compression_both_ways(self):
        a = array(200, 300, np.float32)
        for into in (None, "gzip", "deflate"):
            for back in (None, "gzip", "deflate"):
                for binary in (True, False):
                    outputs = [triton.InferRequestedOutput("result", binary_data=binary)]
                    r = self.client.infer("rowsum", [tensor("a", a, binary)], outputs=outputs, request_compression_algorithm=into,
                                          response_compression_algorithm=back)
                    self.same(r.as_numpy("result"), a.sum(axis=1))

    def test_ids_timeouts_priorities(self):
        a = [tensor("a", array(2, 2, np.float32))]
        for given in ("7", 'a "quoted" id \u2603'):
            self.assertEqual(self.client.infer("rowsum", a, request_id=given).get_response()["id"], given)
        self.assertNotIn("id", self.client.infer("rowsum", a).get_response())
        self.assertIsNotNone(self.client.infer("rowsum", a, priority=1, timeout=60_000_000).as_numpy("result"))
        self.refused(504, ["1 us"], self.client.infer, "rowsum", a, timeout=1)

    def test_many_at_once(self):
        requests = [array(3 + i % 5, 40, np.float32, i) for i in range(64)]
        waiting = [self.client.async_infer("rowsum", [tensor("a", a)], request_id=str(i)) for i, a in enumerate(requests)]
        for i, (a, w) in enumerate(zip(requests, waiting)):
            r = w.get_result()
            self.assertEqual(r.get_response()["id"], str(i))
            self.same(r.as_numpy("result"), a.sum(axis=1))

        def call(seed):
            with triton.InferenceServerClient(self.address) as c:
                a = array(50, 50, np.float64, seed)
                return all((c.infer("matmul", [tensor("a", a), tensor("b", a)]).as_numpy("result") == a @ a).all() for _ in range(10))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertTrue(all(pool.map(call, range(8))))

    def test_what_is_refused_says_why(self):
        a, b = array(2, 3, np.float32), array(4, 5, np.float32)
        infer = self.client.infer
        self.refused(404, ["nothing"], infer, "nothing", [tensor("a", a)])
        self.refused(404, ["version 1", "9"], infer, "rowsum", [tensor("a", a)], model_version="9")
        self.refused(400, ["(2, 3)", "(4, 5)"], infer, "matmul", [tensor("a", a), tensor("b", b)])
        self.refused(400, ["b is missing"], infer, "matmul", [tensor("a", a)])
        self.refused(400, ['"c"', "a, b"], infer, "matmul", [tensor("c", a)])
        self.refused(400, ['"x"', "result"], infer, "rowsum", [tensor("a", a)], outputs=[triton.InferRequestedOutput("x")])
        self.refused(400, ["FP32", "FP64"], infer, "matmul_fp64", [tensor("a", a), tensor("b", b)])
        self.refused(400, ["BOOL"], infer, "rowsum", [tensor("a", np.ones((2, 2), np.bool_))])
        self.refused(400, ["BYTES"], infer, "rowsum", [tensor("a", np.array([b"x"], np.object_))])
        self.refused(400, ["sequence_id"], infer, "rowsum", [tensor("a", a)], sequence_id=5)
        self.refused(400, ["classification"], infer, "rowsum", [tensor("a", a)],
                     outputs=[triton.InferRequestedOutput("result", class_count=2)])
        shared = triton.InferInput("a", [2, 3], "FP32")
        shared.set_shared_memory("region", 24)
        self.refused(400, ["shared_memory"], infer, "rowsum", [shared])
        huge = np.full((1, 2), 3e38, np.float32)
        as_json = [triton.InferRequestedOutput("result", binary_data=False)]
        self.refused(400, ["NaN or infinite", "binary_data"], infer, "rowsum", [tensor("a", huge)], outputs=as_json)
        self.assertTrue(np.isinf(infer("rowsum", [tensor("a", huge)]).as_numpy("result")).all())
        half = array(2, 2, np.float16)
        self.refused(400, ["f16", "binary_data"], infer, "matmul", [tensor("a", half), tensor("b", half)], outputs=as_json)

    def test_the_asynchronous_client(self):
        import asyncio

        async def calls():
            async with triton_aio.InferenceServerClient(self.address) as c:
                assert await c.is_server_ready() and await c.is_model_ready("rowsum")
                a = array(4, 5, np.float64)
                given = triton_aio.InferInput("a", a.shape, "FP64").set_data_from_numpy(a)
                every = await asyncio.gather(*(c.infer("rowsum_fp64", [given], request_compression_algorithm="gzip",
                                                       response_compression_algorithm="deflate") for _ in range(8)))
                return [r.as_numpy("result") for r in every]

        for values in asyncio.run(calls()):
            self.same(values, array(4, 5, np.float64).sum(axis=1))


class TestPlainRequests(Case):
    def ask(self, path, body=None, **headers):
        return self.server.ask(path, body, **headers)

    def test_as_kserve_asks(self):
        self.assertEqual(json.loads(self.ask("/v2/health/live")[2]), {"live": True})
        self.assertEqual(json.loads(self.ask("/v2/health/ready")[2]), {"ready": True})
        self.assertEqual(json.loads(self.ask("/v2/models/matmul/ready")[2]), {"name": "matmul", "ready": True})
        status, headers, body = self.ask("/v2/models/nothing/ready")
        self.assertEqual((status, headers["Content-Type"], list(json.loads(body))), (404, "application/json", ["error"]))
        asked = {"id": "1", "model_name": "rowsum", "inputs": [{"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}]}
        status, headers, body = self.ask("/v2/models/rowsum/infer", json.dumps(asked).encode(), Content_Type="application/json")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        answer = json.loads(body)
        self.assertEqual(answer.pop("parameters")["device"], "cpu")
        self.assertEqual(answer, {"model_name": "rowsum", "model_version": "1", "id": "1", "outputs": [
            {"name": "result", "datatype": "FP32", "shape": [2], "data": [3, 7]}]})

    def test_a_raw_request(self):
        values = np.arange(5, dtype="<f4")
        status, headers, body = self.ask("/v2/models/rowsum/infer", values.tobytes(), Inference_Header_Content_Length="0",
                                         Content_Type="application/octet-stream")
        self.assertEqual(status, 200)
        self.assertEqual(np.frombuffer(body[int(headers["Inference-Header-Content-Length"]):], "<f4"), [10])

    def test_the_header_counts_uncompressed_bytes(self):
        head = json.dumps({"inputs": [{"name": "a", "shape": [3], "datatype": "INT32", "parameters": {"binary_data_size": 12}}]})
        whole = head.encode() + np.arange(3, dtype="<i4").tobytes()
        for coding, encode, decode in (("gzip", gzip.compress, gzip.decompress), ("deflate", zlib.compress, zlib.decompress)):
            status, headers, body = self.ask("/v2/models/rowsum/infer", encode(whole), Content_Encoding=coding, Accept_Encoding=coding,
                                             Inference_Header_Content_Length=str(len(head)))
            self.assertEqual((status, headers["Content-Encoding"]), (200, coding))
            self.assertEqual(json.loads(decode(body))["outputs"][0]["data"], [3])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)

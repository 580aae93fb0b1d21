"""The example server as its users meet it: over HTTP, from another process. Usage: server_test.py SLUICE-SERVER FAKE-MODULES"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

FAKE_MODULES = sys.argv.pop()
SERVER = sys.argv.pop()


class Server:
    """sluice-server on a free port; its notes live in `data`."""

    def __init__(self, data, *options, **more):
        command = [SERVER, "--port", "0", "--data-dir", data, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more)
        self.start = [self.process.stdout.readline()]
        self.port = int(re.search(r":(\d+)$", self.start[0].strip()).group(1))
        while "curl" not in self.start[-1]:
            self.start.append(self.process.stdout.readline())

    def ask(self, method, path, body=None, content_type="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text and "json" in answer.getheader("Content-Type", "") else text
        finally:
            connection.close()

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.stdout.close()


class TestServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.TemporaryDirectory()
        cls.server = Server(cls.data.name)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        cls.data.cleanup()
        assert code == 0, f"the server ended with {code}"

    def refused(self, status, words, method, path, body=None, **more):
        got, answer = self.server.ask(method, path, body, **more)
        self.assertEqual(got, status, answer)
        for word in words:
            self.assertIn(word, answer["detail"])

    def test_start_names_the_address_the_devices_and_a_request_to_try(self):
        text = "".join(self.server.start)
        self.assertIn(f"http://127.0.0.1:{self.server.port}", text)
        self.assertIn("cpu: ", text)
        self.assertIn("curl ", text)

    def test_notes_are_created_read_updated_and_deleted(self):
        words = 'water the "plants" \u2603\n'
        status, note = self.server.ask("POST", "/items", {"text": words})
        self.assertEqual((status, note["text"]), (201, words))
        path = f"/items/{note['id']}"
        self.assertEqual(self.server.ask("GET", path), (200, note))
        self.assertIn(note, self.server.ask("GET", f"/items?after={note['id'] - 1}&limit=1")[1]["items"])
        self.assertEqual(self.server.ask("PUT", path, {"text": "done"}), (200, {"id": note["id"], "text": "done"}))
        self.assertEqual(self.server.ask("DELETE", path), (204, b""))
        self.refused(404, [str(note["id"])], "GET", path)
        self.refused(404, [str(note["id"])], "DELETE", path)
        self.refused(404, [str(note["id"])], "PUT", path, {"text": "again"})

    def test_notes_refuse_what_is_no_note(self):
        self.refused(400, ["JSON"], "POST", "/items", "{")
        self.refused(400, ["JSON"], "POST", "/items", b'{"text": "\xff"}')
        for body in ([], {}, {"text": 1}, {"text": "a", "more": 1}, {"words": "a"}):
            self.refused(422, ["text"], "POST", "/items", body)
        self.refused(413, ["65537", "65536"], "POST", "/items", {"text": "a" * 65537})
        self.refused(400, ["JSON"], "POST", "/items", b'{"text": "a"}\0')
        self.refused(415, ["form"], "POST", "/items", b"--b\r\n\r\n--b--", content_type="multipart/form-data; boundary=b")
        self.assertEqual(self.server.ask("POST", "/items", '{"text": "' + "\\u0061" * 65536 + '"}')[0], 201)
        self.refused(422, ["limit", "1000"], "GET", "/items?limit=1001")
        self.refused(422, ["after"], "GET", "/items?after=-1")

    def test_large_bodies_take_no_memory(self):
        def peak():  # KiB
            with open(f"/proc/{self.server.process.pid}/status") as status:
                return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))

        before = peak()
        for method, path, expected in (("POST", "/items", 413), ("PUT", "/items/1", 413), ("POST", "/nothing", 404)):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            for _ in range(2):  # on one connection: each body is read to its end
                connection.request(method, path, (b"1" * 65536 for _ in range(1024)), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                self.assertEqual((answer.status, answer.getheader("Content-Type")), (expected, "application/problem+json"))
                answer.read()
            connection.close()
        if not os.environ.get("SLUICE_TEST_SANITIZED"):  # sanitizers' own memory says nothing of the server's
            self.assertLess(peak() - before, 32 << 10)

    def test_the_chunks_of_a_delete_are_not_the_next_request(self):
        note = self.server.ask("POST", "/items", {"text": "kept"})[1]
        hidden = f"DELETE /items/{note['id']} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for path in (f"/items/{note['id']}", "/nothing"):
            with socket.create_connection(("127.0.0.1", self.server.port), 60) as wire:
                wire.sendall(f"DELETE {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}".encode())
                answer = b"".join(iter(lambda: wire.recv(65536), b""))  # until it is closed
            self.assertTrue(answer.startswith(b"HTTP/1.1 411 "), answer)
            self.assertEqual(answer.count(b"HTTP/1.1"), 1, answer)
        self.assertEqual(self.server.ask("GET", f"/items/{note['id']}"), (200, note))

    def test_the_product_with_ones(self):
        self.assertEqual(self.server.ask("POST", "/gpu_multiply", {"matrix": [[1, 2], [3, 4]]}), (200, {"result": [[3, 3], [7, 7]]}))
        n = 65
        matrix = [[(7 * i + j) % 11 for j in range(n)] for i in range(n)]
        status, answer = self.server.ask("POST", "/gpu_multiply", {"matrix": matrix})
        self.assertEqual((status, answer["result"]), (200, [[sum(row)] * n for row in matrix]))
        self.refused(422, ["(2, 3)", "square"], "POST", "/gpu_multiply", {"matrix": [[1, 2, 3], [4, 5, 6]]})
        self.refused(422, ["matrix[1]", "1", "2"], "POST", "/gpu_multiply", {"matrix": [[1, 2], [3]]})
        self.refused(422, ['"m"'], "POST", "/gpu_multiply", {"m": [[1]]})

    def test_other_methods_are_405_and_ranges_do_not_cut(self):
        for method, path, allowed in (("PUT", "/items", "GET, HEAD, POST"), ("DELETE", "/items", "GET, HEAD, POST"),
                                      ("POST", "/items/1", "GET, HEAD, PUT, DELETE")):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            connection.request(method, path, "{}")
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.getheader("Allow")), (405, allowed))
            answer.read()
            connection.close()
        self.assertEqual(self.server.ask("POST", "/nothing", {})[0], 404)
        for method, body in (("GET", None), ("POST", '{"text": "whole"}')):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            connection.request(method, "/items", body, {"Range": "bytes=0-3"})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200 if method == "GET" else 201)
            json.loads(answer.read())
            connection.close()

    def test_sluice_is_mounted_beside(self):
        status, answer = self.server.ask("POST", "/v1/matmul", {"a": [[1, 2]], "b": [[3], [4]]})
        self.assertEqual((status, answer), (200, {"result": [[11]], "shape": [1, 1], "dtype": "f32", "device": "cpu", "precision": "strict"}))
        self.assertEqual(self.server.ask("GET", "/health/live")[0], 200)
        for method, path in (("GET", "/nothing"), ("GET", "/" + "x" * 8000), ("POST", "/" + "x" * 8000), ("PATCH", "/things")):
            self.refused(404, [method, path[:20]], method, path, "{}" if method != "GET" else None)

    def test_notes_answer_while_products_are_computed(self):
        matrix = json.dumps({"matrix": [[1.5] * 256] * 256})
        stop = threading.Event()
        answers = []

        def multiply():
            while not stop.is_set():
                answers.append(self.server.ask("POST", "/gpu_multiply", matrix)[0])

        callers = [threading.Thread(target=multiply) for _ in range(8)]
        for c in callers:
            c.start()
        try:
            note = self.server.ask("POST", "/items", {"text": "quick"})[1]
            for _ in range(20):
                self.assertEqual(self.server.ask("GET", f"/items/{note['id']}"), (200, note))
        finally:
            stop.set()
            for c in callers:
                c.join()
        self.assertEqual(set(answers), {200})


class TestProcess(unittest.TestCase):
    def test_notes_outlive_the_server(self):
        with tempfile.TemporaryDirectory() as data:
            first = Server(data)
            note = first.ask("POST", "/items", {"text": "still here"})[1]
            self.assertEqual(first.stop(signal.SIGTERM), 0)
            second = Server(data, "--threads", "4", "--device", "cpu")
            self.assertEqual(second.ask("GET", f"/items/{note['id']}"), (200, note))
            self.assertEqual(second.stop(), 0)

    def test_a_signal_before_it_listens_stops_it_too(self):
        with tempfile.TemporaryDirectory() as data:
            for wait in range(20):  # milliseconds; the first ones come before the signal is taken at all
                server = subprocess.Popen([SERVER, "--port", "0", "--data-dir", data], stdout=subprocess.DEVNULL)
                try:
                    time.sleep(wait / 1000)
                    server.send_signal(signal.SIGINT)
                    self.assertIn(server.wait(20), (0, -signal.SIGINT))
                finally:
                    server.kill()

    def test_an_access_log_tokens_and_origins(self):
        with tempfile.TemporaryDirectory() as data:
            log, tokens = os.path.join(data, "log"), os.path.join(data, "tokens")
            with open(tokens, "w") as f:
                f.write("a-token\nanother\n")
            server = Server(data, "--access-log", log, "--token-file", tokens, "--origin", "https://a.example")
            self.assertEqual(server.ask("POST", "/v1/rowsum", {"a": [[1, 2]]})[0], 401)
            self.assertEqual(server.ask("GET", "/health/ready")[0], 200)
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            headers = {"Content-Type": "application/json", "Authorization": "Bearer another", "Origin": "https://a.example"}
            connection.request("POST", "/v1/rowsum", '{"a": [[1, 2]]}', {**headers, "X-Request-Id": "mine-1", "traceparent": parent})
            answer = connection.getresponse()
            self.assertEqual((answer.status, json.loads(answer.read())["result"]), (200, [3]))
            self.assertEqual(answer.getheader("X-Request-Id"), "mine-1")
            self.assertEqual(answer.getheader("Access-Control-Allow-Origin"), "https://a.example")
            preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
            connection.request("OPTIONS", "/v1/rowsum", headers=preflight)
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (204, b""))
            own = []
            for name in ("mine-2", "no id"):
                connection.request("GET", "/items/77", headers={"X-Request-Id": name})
                answer = connection.getresponse()
                own.append((answer.status, len(answer.read()), answer.getheader("X-Request-Id")))
            connection.close()
            self.assertEqual(server.stop(signal.SIGTERM), 0)
            with open(log) as f:
                lines = [json.loads(line) for line in f]
            self.assertEqual([(r["status"], r["bytes_out"], r["request_id"]) for r in lines if r["route"] == "/items/77"], own)
            self.assertEqual((own[0][0], own[0][2], len(own[1][2])), (404, "mine-2", 32))
            lines = lines[:-2]
            self.assertEqual([(r["method"], r["route"], r["status"]) for r in lines],
                             [("POST", "none", 401), ("GET", "ready", 200), ("POST", "rowsum", 200), ("OPTIONS", "none", 204)])
            call = lines[2]
            self.assertEqual((call["request_id"], call["trace_id"], call["device"], call["client"], call["bytes_in"]),
                             ("mine-1", parent[3:35], "cpu", "127.0.0.1", 15))
            self.assertNotEqual(call["span_id"], parent[36:52])
            self.assertGreater(call["seconds"], 0)
            self.assertNotIn("another", json.dumps(lines))

    def test_what_it_writes_is_its_users_alone(self):
        with tempfile.TemporaryDirectory() as data:
            jobs = ["--jobs", data + "/new/jobs"] if "--jobs" in subprocess.run([SERVER, "--help"], capture_output=True, text=True).stdout else []
            server = Server(data + "/new/notes", "--access-log", data + "/new/log", *jobs, preexec_fn=lambda: (os.umask(0o022), os.mkdir(data + "/new")))
            self.addCleanup(server.process.kill)
            server.ask("POST", "/items", {"text": "secret"})
            found = 0
            for folder, folders, files in os.walk(data + "/new"):
                for name in folders:
                    self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o777, 0o700, name)
                for name in files:
                    self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o777, 0o600, name)
                    found += name in ("log", "notes.db", "notes.db-wal", "notes.db-shm", "jobs.db", "jobs.db-wal", "jobs.db-shm")
            self.assertEqual(found, 7 if jobs else 4)
            self.assertEqual(server.stop(), 0)

    def test_tls(self):
        if "--cert" not in subprocess.run([SERVER, "--help"], capture_output=True, text=True).stdout or not shutil.which("openssl"):
            self.skipTest("needs TLS in cpp-httplib, and openssl")
        with tempfile.TemporaryDirectory() as data:
            cert, key = os.path.join(data, "cert.pem"), os.path.join(data, "key.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                            "-out", cert, "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                           check=True, capture_output=True)
            server = Server(data, "--cert", cert, "--key", key)
            context = ssl.create_default_context(cafile=cert)
            connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=context)
            note = json.dumps({"text": "n" * 60000})
            for _ in range(3):  # on one connection; more than a record holds, both ways
                connection.request("POST", "/items", note, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                self.assertEqual((answer.status, json.loads(answer.read())["text"]), (201, "n" * 60000))
            ones = [[1] * 300] * 300
            connection.request("POST", "/v1/matmul", json.dumps({"a": ones, "b": ones}), {"Content-Type": "application/json"})
            self.assertEqual(json.loads(connection.getresponse().read())["result"], [[300] * 300] * 300)
            with socket.create_connection(("127.0.0.1", server.port), 60) as silent:  # it holds nobody up
                connection.request("GET", "/health/live")
                self.assertEqual(connection.getresponse().read(), b'{"live":true}')
                silent.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")  # no TLS
                try:
                    self.assertNotIn(b"HTTP", silent.recv(100))
                except ConnectionResetError:
                    pass
            connection.close()
            self.assertEqual(server.stop(), 0)
            bad = subprocess.run([SERVER, "--port", "0", "--data-dir", data, "--cert", key, "--key", cert], capture_output=True, text=True, timeout=60)
            self.assertEqual((bad.returncode, "cert.pem" in bad.stderr), (1, True))

    def test_slow_and_idle_clients_hold_nobody_up(self):
        with tempfile.TemporaryDirectory() as data:
            server = Server(data, "--threads", "2")
            wires = [socket.create_connection(("127.0.0.1", server.port), 60) for _ in range(100)]
            for i, wire in enumerate(wires):
                wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + (b"\r\n" if i % 2 else b""))
            for wire in wires[1::2]:
                self.assertTrue(wire.recv(1000).startswith(b"HTTP/1.1 200"))
            self.assertEqual(server.ask("POST", "/items", {"text": "quick"})[0], 201)
            self.assertEqual(server.stop(signal.SIGTERM), 0)
            for wire in wires[1::2]:
                self.assertEqual(wire.recv(1000), b"")
            for wire in wires:
                wire.close()

    def fake_server(self, data, *options):
        environment = {**os.environ, "SLUICE_BACKEND_PATH": FAKE_MODULES}
        return Server(data, "--device", "fake:1", *options, env=environment, stderr=subprocess.PIPE)

    def lose_a_device(self, server):
        """Sums what the fake device does not survive."""
        status, answer = server.ask("POST", "/v1/rowsum", {"a": [[-77777, 1]]})
        self.assertEqual((status, answer["code"]), (503, "device_lost"))
        self.assertIn("fake:1 is lost: it summed -77777", answer["detail"])

    def multiply_slowly(self, server):
        """Returns when the product is at work: where its answer will be, and the thread that waits for it."""
        ones = [[1] * 400] * 400
        answers = []
        caller = threading.Thread(target=lambda: answers.append(server.ask("POST", "/v1/matmul", {"a": ones, "b": ones})))
        caller.start()
        while b"\nsluice_compute_slots_in_use 1\n" not in server.ask("GET", "/metrics")[1] and caller.is_alive():
            pass
        return answers, caller

    def test_a_signal_lets_answers_under_way_be_sent(self):
        with tempfile.TemporaryDirectory() as data:
            server = self.fake_server(data)
            slow, caller = self.multiply_slowly(server)
            self.assertEqual(server.stop(), 0)
            caller.join()
            self.assertEqual([(status, answer["result"][399][399]) for status, answer in slow], [(200, 400)])
            server.process.stderr.close()

    def test_a_lost_device_shows_in_readiness(self):
        for rule, expected in (("all", 503), ("any", 200)):
            with tempfile.TemporaryDirectory() as data:
                server = self.fake_server(data, "--ready", rule)
                self.assertEqual(server.ask("GET", "/health/ready")[0], 200)
                self.lose_a_device(server)
                status, answer = server.ask("GET", "/health/ready")
                self.assertEqual((status, answer["ready"], answer["degraded"]), (expected, expected == 200, True))
                self.assertEqual(answer["devices"]["fake:1"], {"healthy": False, "state": "it summed -77777"})
                self.assertEqual(server.ask("GET", "/health/live")[0], 200)
                self.assertEqual(server.stop(), 0)
                with server.process.stderr as log:
                    self.assertEqual(log.read(), "sluice-server: fake:1 is lost: it summed -77777\n")

    def test_a_lost_device_ends_it_when_told_so_after_what_is_under_way(self):
        with tempfile.TemporaryDirectory() as data:
            server = self.fake_server(data, "--exit-on-device-lost")
            self.assertEqual(server.ask("POST", "/v1/rowsum", {"a": [[1, 2]]})[1]["result"], [3])
            slow, caller = self.multiply_slowly(server)
            self.lose_a_device(server)
            caller.join()
            self.assertEqual([(status, answer["code"]) for status, answer in slow], [(503, "device_lost")])
            self.assertEqual(server.process.wait(20), 75)
            server.process.stdout.close()
            with server.process.stderr as log:
                self.assertEqual(log.read(), "sluice-server: fake:1 is lost: it summed -77777\n")

    def test_a_host_that_is_not_its_own_and_pages_of_others(self):
        with tempfile.TemporaryDirectory() as data:
            server = Server(data, "--allow-host", "notes.example")

            def status(method, path, **headers):
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                try:
                    connection.request(method, path, b'{"text": "x"}' if method == "POST" else None,
                                       {k.replace("_", "-"): v for k, v in headers.items()})
                    return connection.getresponse().status
                finally:
                    connection.close()

            for host in ("localhost", "127.0.0.1:80", "[::1]", "notes.example", "Notes.Example:8080"):
                self.assertEqual(status("GET", "/items", Host=host), 200, host)
            for host in ("evil.example", "notes.example.evil.example"):
                self.assertEqual(status("GET", "/items", Host=host), 421, host)
            self.assertEqual(status("POST", "/items"), 201)
            self.assertEqual(status("POST", "/items", Origin="https://evil.example"), 403)
            self.assertEqual(status("POST", "/items", Sec_Fetch_Site="cross-site", Content_Type="text/plain"), 403)
            self.assertEqual(status("POST", "/items", Sec_Fetch_Site="same-origin"), 201)
            self.assertEqual(server.stop(), 0)

    def test_addresses_of_ipv6_and_unknown_names(self):
        with tempfile.TemporaryDirectory() as data:
            try:
                with socket.socket(socket.AF_INET6) as probe:
                    probe.bind(("::1", 0))
            except OSError:
                self.skipTest("this machine has no ::1")
            server = Server(data, "--host", "::1")
            self.assertRegex(server.start[0], r"on http://\[::1\]:\d+$")
            with socket.create_connection(("::1", server.port)) as wire:
                wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")
                self.assertTrue(wire.recv(100).startswith(b"HTTP/1.1 200"))
            self.assertEqual(server.stop(), 0)
            unknown = subprocess.run([SERVER, "--host", "no-such-name.invalid", "--data-dir", data], capture_output=True, text=True)
            self.assertEqual(unknown.returncode, 1)
            self.assertIn("--host no-such-name.invalid is no address of this machine's: ", unknown.stderr)
            self.assertNotIn("in use", unknown.stderr)

    def test_what_it_cannot_do_it_says(self):
        def run(*options):
            done = subprocess.run([SERVER, *options], capture_output=True, text=True, timeout=60)
            return done.returncode, done.stdout + done.stderr

        with tempfile.TemporaryDirectory() as data:
            server = Server(data)
            code, text = run("--port", str(server.port), "--data-dir", data + "/second")
            self.assertEqual(code, 1)
            self.assertIn(str(server.port), text)
            self.assertEqual(server.stop(), 0)
            with open(os.path.join(data, "file"), "w"):
                pass
            code, text = run("--port", "0", "--data-dir", os.path.join(data, "file"))
            self.assertEqual(code, 1)
            self.assertIn("file", text)
        code, text = run("--port", "65536")
        self.assertNotEqual(code, 0)
        self.assertIn("65536", text)
        for device in ("no such device", "cuda:999"):
            code, text = run("--port", "0", "--device", device)
            self.assertEqual(code, 1)
            self.assertIn(device, text)
        if "--jobs" in run("--help")[1]:
            for option, value in (("--data", "d=/nowhere"), ("--jobs-sync", "1")):  # what it says holds for jobs alone
                code, text = run("--port", "0", option, value)
                self.assertNotEqual(code, 0)
                self.assertIn(option, text)
                self.assertIn("--jobs", text)
            with tempfile.TemporaryDirectory() as data:
                for wrong, words in ((["d=/nowhere"], ["/nowhere"]), (["d"], ["NAME=DIR"]), ([f"d={data}", "d=/tmp"], ["d twice", data, "/tmp"])):
                    code, text = run("--port", "0", "--data-dir", data, "--jobs", data + "/jobs", *(x for d in wrong for x in ("--data", d)))
                    self.assertEqual(code, 1, text)
                    for word in words:
                        self.assertIn(word, text)
        code, text = run("--help")
        self.assertEqual(code, 0)
        for option in ("--host", "--port", "--threads", "--data-dir", "--device", "--ready", "--exit-on-device-lost", "--access-log",
                       "--token-file", "--origin", "--result-bytes", "--pixels"):
            self.assertIn(option, text)


if __name__ == "__main__":
    unittest.main(verbosity=1)

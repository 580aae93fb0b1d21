"""The files by which the server is deployed, against the server itself. Usage: deploy_test.py SLUICE-SERVER DEPLOY-FOLDER"""
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

DEPLOY = sys.argv.pop()
SERVER = sys.argv.pop()
STATE = "/var/lib/sluice-server"


def text_of(name):
    with open(os.path.join(DEPLOY, name)) as f:
        return f.read()


def unit_text():
    return text_of("sluice-server.service.in").replace("@CMAKE_INSTALL_FULL_BINDIR@", "/usr/bin")


def args_of_unit():
    """ExecStart as systemd would run it, with the unit's own environment."""
    unit = unit_text()
    given = dict(word.split("=", 1) for word in re.search(r"^Environment=(.*)$", unit, re.M).group(1).split())
    words = shlex.split(re.search(r"^ExecStart=/usr/bin/sluice-server (.*)$", unit, re.M).group(1))
    words = [w for word in words for w in (given[word[1:]].split() if re.match(r"\$\w", word) else [word])]
    return [re.sub(r"\$\{(\w+)\}", lambda m: given[m.group(1)], word).replace("%S", "/var/lib") for word in words]


def args_in(name):
    """Of each container in a file; YAML, where our lists are written as JSON."""
    return [json.loads(found) for found in re.findall(r"^ *(?:args: |CMD )(\[.*\])$", text_of(name), re.M)]


ALL_ARGS = [("sluice-server.service.in", args_of_unit())] + [
    (name, args)
    for name in ("Containerfile", "kubernetes.yaml", "kubernetes-cuda.yaml", "kserve.yaml")
    for args in args_in(name)
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Deployed:
    """A server with a deployment's very arguments, but for the port and the folder of its state."""

    def __init__(self, args, state, *more):
        self.port = free_port()
        mine = {"8080": str(self.port), STATE: state}
        self.args = [mine.get(a, a) for a in args]
        assert str(self.port) in self.args and state in self.args, f"{args} name no port or no state"
        environment = {**os.environ, "XDG_CACHE_HOME": os.path.join(state, "cache")}
        self.process = subprocess.Popen([SERVER, *self.args, *more], stdout=subprocess.PIPE, text=True, env=environment)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line)
            if "/docs" in line:
                break
        else:
            raise AssertionError(f"{args} start no server: it ended with {self.process.wait(20)}")

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stop(self):
        try:
            self.process.send_signal(signal.SIGTERM)
            rest, _ = self.process.communicate(timeout=20)
            return self.process.returncode, "".join(self.lines) + rest
        finally:
            self.process.kill()


class TestFiles(unittest.TestCase):
    def test_each_deployment_starts_answers_its_probes_and_stops(self):
        self.assertEqual(len(ALL_ARGS), 5)
        for name, args in ALL_ARGS:
            with self.subTest(name), tempfile.TemporaryDirectory() as state:
                server = Deployed(args, state)
                try:
                    for path in set(re.findall(r"path: (/[\w/]+)", text_of(name))) - {STATE}:
                        self.assertEqual(server.ask("GET", path)[0], 200, path)
                    metrics = server.ask("GET", "/metrics")[1]
                    for metric in re.findall(r"metric: \{name: (\w+)\}", text_of(name)):
                        self.assertRegex(metrics, rf"(?m)^{metric} \d+$")
                    self.assertEqual(self.probe(server), 0)
                finally:
                    code, out = server.stop()
                self.assertEqual(code, 0)
                self.assertIn('"route":"metrics"', out)  # the access log
                self.assertEqual(self.probe(server), 1)

    def probe(self, server):
        asked = subprocess.run([SERVER, "--probe", *server.args], stderr=subprocess.PIPE, text=True)
        if asked.returncode != 0:
            self.assertIn(f"127.0.0.1:{server.port}", asked.stderr)
        return asked.returncode

    def test_the_containers_health_check_is_the_probe(self):
        self.assertIn('CMD ["sluice-server", "--probe"]', text_of("Containerfile"))
        port = re.search(r"EXPOSE (\d+)", text_of("Containerfile")).group(1)
        self.assertIn(port, args_in("Containerfile")[0])

    def test_the_adapters_rule_is_of_the_metric_that_is_scaled_by(self):
        for name in ("kubernetes.yaml", "kserve.yaml"):
            self.assertIn("metric: {name: sluice_compute_queue_length}", text_of(name))
        self.assertIn("seriesQuery: sluice_compute_queue_length{", text_of("prometheus-adapter.yaml"))

    def test_all_wait_for_longer_than_the_server_drains(self):
        drain = 20  # seconds; ten for the service and ten for the server
        self.assertGreater(int(re.search(r"^TimeoutStopSec=(\d+)", unit_text(), re.M).group(1)), drain)
        for name in ("kubernetes.yaml", "kserve.yaml"):
            before = int(re.search(r'\["sleep", "(\d+)"\]', text_of(name)).group(1))
            self.assertGreater(int(re.search(r"terminationGracePeriodSeconds: (\d+)", text_of(name)).group(1)), before + drain)


class TestStop(unittest.TestCase):
    def test_what_is_under_way_is_answered_after_sigterm_and_no_secret_is_printed(self):
        with tempfile.TemporaryDirectory() as state:
            secret = "a-token-that-nobody-may-read"
            tokens = os.path.join(state, "tokens")
            with open(tokens, "w") as f:
                f.write(secret + "\n")
            server = Deployed(args_of_unit(), state, "--token-file", tokens)
            try:
                bearer = {"Authorization": "Bearer " + secret}
                n = 600
                body = json.dumps({"a": [[1] * n] * n, "b": [[1] * n] * n})
                answers = []
                connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=60) for _ in range(8)]
                for c in connections:
                    c.connect()  # what the system has accepted is answered

                def call(connection):
                    connection.request("POST", "/v1/matmul", body, {"Content-Type": "application/json", **bearer})
                    answer = connection.getresponse()
                    answers.append((answer.status, answer.read().decode()))
                    connection.close()

                callers = [threading.Thread(target=call, args=[c]) for c in connections]
                for c in callers:
                    c.start()
                while True:  # until some are at work
                    metrics = server.ask("GET", "/metrics", **bearer)[1]
                    if re.search(r"(?m)^sluice_compute_slots_in_use [1-9]", metrics) or answers:
                        break
            finally:
                code, out = server.stop()
            for c in callers:
                c.join()
            self.assertEqual(code, 0)
            # Each is answered whole, with its product.
            self.assertEqual([status for status, _ in answers], [200] * 8)
            for _, text in answers:
                self.assertEqual(json.loads(text)["result"][n - 1][n - 1], n)
            self.assertNotIn(secret, out)


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
class TestUnit(unittest.TestCase):
    def setUp(self):
        """A root with nothing but the units: as installed, and with the drop-in for GPUs."""
        self.root = tempfile.TemporaryDirectory()
        self.addCleanup(self.root.cleanup)
        units = os.path.join(self.root.name, "lib/systemd/system")
        os.makedirs(units)
        with open(os.path.join(units, "sluice-server.service"), "w") as f:
            f.write(unit_text())
        for target in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
            with open(os.path.join(units, target + ".target"), "w") as f:
                f.write("[Unit]\nDescription=stands for systemd's own\n")
        program = os.path.join(self.root.name, "usr/bin/sluice-server")
        os.makedirs(os.path.dirname(program))
        shutil.copy(SERVER, program)

    def add_drop_in(self):
        folder = os.path.join(self.root.name, "etc/systemd/system/sluice-server.service.d")
        os.makedirs(folder)
        shutil.copy(os.path.join(DEPLOY, "sluice-server-cuda.conf"), os.path.join(folder, "cuda.conf"))

    def analyze(self, *words):
        done = subprocess.run(["systemd-analyze", "--root=" + self.root.name, *words, "sluice-server.service"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def check(self, threshold):
        code, out = self.analyze("--man=no", "verify")
        self.assertEqual((code, out), (0, ""))
        code, out = self.analyze("security", "--offline=yes", f"--threshold={threshold}")
        self.assertEqual(code, 0, out)

    def test_it_is_valid_and_little_exposed(self):
        self.check(15)  # tenths; 100 is a service without any of it

    def test_with_a_gpu(self):
        self.add_drop_in()
        self.check(18)


if __name__ == "__main__":
    unittest.main()

"""Stops the example server under load: what was accepted is answered, whole. Usage: stop_test.py SLUICE-SERVER [STOPS]

Each stop: clients that keep their connections, clients that open one for each request, and products of 300 x 300 with answers of
700 kB. Prints a line for each kind of end; fails unless every connection that was made got whole answers."""
import collections
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

PRODUCT = json.dumps({"a": [[0.123456] * 300] * 300, "b": [[0.654321] * 300] * 300})


class Load:
    def __init__(self, port):
        self.port = port
        self.ends = collections.Counter()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=a) for a in
                        [("GET", "/items", None, True)] * 8 + [("GET", "/items", None, False)] * 4 +
                        [("POST", "/v1/matmul", PRODUCT, True)] * 4 + [("POST", "/v1/matmul", PRODUCT, False)] * 4]
        for t in self.threads:
            t.start()

    def connect(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.connect()
        return c

    def run(self, method, path, body, keep):
        c = None
        while not self.over.is_set():
            try:
                c = c or self.connect()
            except OSError:  # nothing listens any more: the client knows
                self.ends["connection refused"] += 1
                return
            begun = False
            try:
                c.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                answer = c.getresponse()
                begun = True
                answer.read()
                self.ends[f"{answer.status}"] += 1
                if not keep or answer.will_close:
                    c.close()
                    c = None
            except (OSError, http.client.HTTPException) as e:
                self.ends["cut off after its head" if begun else f"no answer: {type(e).__name__}"] += 1
                c.close()
                c = None

    def join(self):
        self.over.set()
        for t in self.threads:
            t.join()


def stop_once(program, data, how):
    command = [program, "--port", "0", "--data-dir", data]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "SLUICE_THREADS": "2"})
    try:
        port = int(server.stdout.readline().strip().rsplit(":", 1)[1])
        load = Load(port)
        time.sleep(0.5)
        begin = time.monotonic()
        server.send_signal(how)
        code = server.wait(60)
        took = time.monotonic() - begin
        load.join()
        return code, took, load.ends
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def main():
    program, stops = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    total, times, codes = collections.Counter(), [], collections.Counter()
    for i in range(stops):
        with tempfile.TemporaryDirectory() as data:
            code, took, ends = stop_once(program, data, (signal.SIGTERM, signal.SIGINT)[i % 2])
        total += ends
        times.append(took)
        codes[code] += 1
    print(f"{stops} stops, {min(times):.2f} to {max(times):.2f} s, exit codes {dict(codes)}")
    for end, count in sorted(total.items()):
        print(f"  {end}: {count}")
    bad = sum(n for end, n in total.items() if end not in ("200", "429", "connection refused"))
    sys.exit(1 if bad or codes[0] != stops else 0)


main()

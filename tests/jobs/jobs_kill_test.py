"""jobs_kill_test.py SLUICE-SERVER [KILLS]: the server is killed (-9) at random moments of its jobs and started again, until
they have ended; every result is that of a job that nobody disturbed, byte for byte. 12 kills unless told."""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

program, kills = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 12
random.seed(int(os.environ.get("SEED", "1")))


class Server:
    def __init__(self, folder):
        command = [program, "--port", "0", "--data-dir", f"{folder}/notes", "--jobs", f"{folder}/jobs", "--data", f"d={folder}/data", "--jobs-sync", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r":(\d+)$", line.strip())
        if not found:
            sys.exit(f"the server did not start: {line}")
        self.url = f"http://127.0.0.1:{found.group(1)}/v1/jobs"

    def ask(self, path="", body=None, method=None):
        request = urllib.request.Request(self.url + path, body and json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def begin(self, order):
        return json.loads(self.ask("", order))["id"]

    def job(self, job):
        return json.loads(self.ask(f"/{job}"))

    def wait(self, job, seconds):
        """The job's end; None when it has not come by then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.job(job)
            if now["ended"] is not None:
                return now
            time.sleep(0.005)
        return None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def write(path, size):
    block = random.randbytes(1 << 20).replace(b"\x7f", b"\x3f").replace(b"\xff", b"\xbf")
    with open(path, "wb") as f:
        for _ in range(size >> 20):
            f.write(block[: (1 << 20) - 64] + random.randbytes(64).replace(b"\x7f", b"\x3f").replace(b"\xff", b"\xbf"))


# Jobs that take long for their size: results as large as their files, and products.
orders = [
    {"operation": "rowsum", "input": "d/rows", "columns": 2},
    {"operation": "matmul", "input": "d/rows", "columns": 512, "operand": "d/b.npy"},
    {"operation": "rowsum", "input": "d/rows", "columns": 64, "column_totals": True},
]
with tempfile.TemporaryDirectory() as folder:
    os.mkdir(f"{folder}/data")
    write(f"{folder}/data/rows", 160 << 20)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (512, 256), }"
    header += b" " * (117 - len(header)) + b"\n"
    with open(f"{folder}/data/b.npy", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + random.randbytes(512 * 256 * 4).replace(b"\x7f", b"\x3f").replace(b"\xff", b"\xbf"))

    server = Server(folder)
    whole, seconds, ids = {}, {}, {}
    for i, order in enumerate(orders):
        start = time.perf_counter()
        job = server.begin(order)
        done = server.wait(job, 120)
        seconds[i] = time.perf_counter() - start
        if done is None or done["state"] != "done":
            sys.exit(f"{order}: {done}")
        parts = ["result"] + ["column_totals"] * order.get("column_totals", False)
        whole[i] = [server.ask(f"/{job}/{part}") for part in parts]
        server.ask(f"/{job}", method="DELETE")

    killed = resumed = ended = 0
    # On a busy machine a dozen kills may all come before the first piece is synced: there are more, until one job has gone on.
    while killed < kills or (kills >= 12 and resumed == 0 and killed < 10 * kills):
        i = ended % len(orders)
        if i not in ids:
            ids[i] = server.begin(orders[i])  # answered: from here on it is not lost
        done = server.wait(ids[i], random.uniform(0.02, 1.1) * seconds[i])
        if done is None:
            server.kill()
            killed += 1
            server = Server(folder)
            continue
        if done["state"] != "done":
            sys.exit(f"{orders[i]} after {killed} kills: {done}")
        ended += 1
        resumed += done["resumed_bytes"] > 0
        parts = ["result"] + ["column_totals"] * orders[i].get("column_totals", False)
        if [server.ask(f"/{ids[i]}/{part}") for part in parts] != whole[i]:
            sys.exit(f"{orders[i]}: a result differs after {killed} kills")
        server.ask(f"/{ids[i]}", method="DELETE")
        left = [name for name in os.listdir(f"{folder}/jobs") if ".npy" in name]
        if left:
            sys.exit(f"{left} are left behind")
        del ids[i]
    server.kill()
print(f"the server was killed {killed} times; {ended} jobs ended with the right result, {resumed} of them from a journal")
if kills >= 12 and resumed == 0:
    sys.exit("no job went on from a journal: the kills came too early or too late")

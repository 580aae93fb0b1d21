#!/usr/bin/env python3
"""request_memory.py SERVER [--seconds S] [--only NAME]: the most memory that the example server holds for one small request
that asks for much, each on a fresh server: its peak (VmHWM of Linux), the answer's status and bytes, and the time until the
answer was read, or until it was given up after S seconds or 12 GB."""
import argparse
import base64
import gzip
import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time
import zlib

LARGEST = 12 << 20  # KiB: a server that holds more is stopped


def npy(shape, descr="<f4", data=b""):
    head = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n" + data


def v2_input(name, shape, binary):
    return {"name": name, "datatype": "FP32", "shape": shape,
            **({"parameters": {"binary_data_size": 0}} if binary else {"data": []})}


def v2(a, b, binary=False):
    body = {"inputs": [v2_input("a", a, binary), v2_input("b", b, binary)]}
    if binary:
        body["parameters"] = {"binary_data_output": True}
    text = json.dumps(body, separators=(",", ":")).encode()
    return text, ([("Inference-Header-Content-Length", str(len(text)))] if binary else [])


def column_by_row(n):
    return json.dumps({"a": [[1]] * n, "b": [[1] * n]}, separators=(",", ":")).encode()


def parts(**tensors):
    return b"".join(b'--cut\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (k.encode(), v)
                    for k, v in tensors.items()) + b"--cut--\r\n"


JSON, NPY = ("Content-Type", "application/json"), ("Content-Type", "application/x-npy")
MULTIPART = ("Content-Type", "multipart/form-data; boundary=cut")
AS_JSON, AS_NPY = ("Accept", "application/json"), ("Accept", "application/x-npy")
GZIP = ("Content-Encoding", "gzip")
MATMUL, ROWSUM, INFER = "/v1/matmul", "/v1/rowsum", "/v2/models/matmul/infer"


def requests():
    text, _ = v2([20000, 0], [0, 20000])
    yield "v2 JSON (20000,0)x(0,20000)", INFER, [JSON], text
    text, binary = v2([20000, 0], [0, 20000], True)
    yield "v2 binary (20000,0)x(0,20000)", INFER, binary, text
    yield "npy (100000000,0)", ROWSUM, [NPY], npy((100000000, 0))
    yield "npy (100000000,0) as JSON", ROWSUM, [NPY, AS_JSON], npy((100000000, 0))
    yield "npy (100000000,0) streamed", ROWSUM + "/stream", [NPY], npy((100000000, 0))
    yield "JSON 60000x1 by 1x60000", MATMUL, [JSON], column_by_row(60000)
    yield "JSON 60000x1 by 1x60000 as npy", MATMUL, [JSON, AS_NPY], column_by_row(60000)
    yield "parts (20000,0)x(0,20000)", MATMUL, [MULTIPART], parts(a=npy((20000, 0)), b=npy((0, 20000)))
    yield "parts (20000,0)x(0,20000) as JSON", MATMUL, [MULTIPART, AS_JSON], parts(a=npy((20000, 0)), b=npy((0, 20000)))
    yield "parts (4000,1,8,0)x(1,4000,0,8)", MATMUL, [MULTIPART], parts(a=npy((4000, 1, 8, 0)), b=npy((1, 4000, 0, 8)))
    yield "parts (50000000,0)x(0,0) as JSON", MATMUL, [MULTIPART, AS_JSON], parts(a=npy((50000000, 0)), b=npy((0, 0)))
    yield "largest: parts (4096,1)x(1,4096)", MATMUL, [MULTIPART], parts(
        a=npy((4096, 1), data=bytes(4 * 4096)), b=npy((1, 4096), data=bytes(4 * 4096)))
    for coding in ("br", "xbr", "gzip, br"):
        yield f"1 GiB to /items, coded {coding}", "/items", [JSON, ("Content-Encoding", coding)], BROTLI
    thirds = struct.pack("<f", 1 / 3) * 4096
    yield "largest: the same as JSON", MATMUL, [MULTIPART, AS_JSON], parts(a=npy((4096, 1), data=thirds),
                                                                           b=npy((1, 4096), data=thirds))


# 1 GiB of zeros by brotli, and that by zlib.
BROTLI = zlib.decompress(base64.b64decode(
    "eNo7/f+//Q91hkcbHRS+/+v//7/+gz/DkUTBhnd/5f////9gPkPHYSaGu7/t//3/f9CeUaCdlWHX9/o///831zMp8HEzlLz//+P/f/b/LA4yYgwv7v3/+P8//z/OBgsdhgt7"
    "/z/+/1/+jzBDYQTDgur/x6EWbWBwQLKIcdSiUYtGLRq1aNSiUYtAFpkDAPJDrOo="))


def bomb():
    zeros = bytes(1 << 24)
    return gzip.compress(zeros, 9) * 256  # members of 16 MiB


class Server:
    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([program, "--port", "0", "--data-dir", self.folder.name], stdout=subprocess.PIPE,
                                        text=True)
        self.port = int(re.search(r":(\d+)$", self.process.stdout.readline().strip()).group(1))
        while "curl" not in self.process.stdout.readline():
            pass

    def memory(self, key="VmHWM"):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(key + r":\s*(\d+) kB", file.read()).group(1))

    def seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def send(self, path, headers, body):
        s = socket.create_connection(("127.0.0.1", self.port))
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers)
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
        try:
            s.sendall(body)
        except OSError:  # refused before its end
            pass
        return s

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()


def read_all(s, server, seconds):
    """(status, bytes, its text's beginning), or (why it was given up, bytes, '')."""
    end, got, first = time.monotonic() + seconds, 0, b""
    s.settimeout(0.5)
    while True:
        if time.monotonic() > end:
            return f"none in {seconds} s", got, ""
        if server.memory("VmRSS") > LARGEST:
            return "over 12 GB", got, ""
        try:
            data = s.recv(1 << 20)
        except socket.timeout:
            continue
        except OSError:
            data = b""
        if not data:
            break
        got += len(data)
        first = (first + data)[:4096] if len(first) < 4096 else first
    status = first[9:12].decode()
    return status, got, "" if status == "200" else first.split(b"\r\n\r\n", 1)[-1].decode()


def print_row(name, asked, status, got, server, base, seconds, text=""):
    print(f"{name:36} {asked:>9} {status:>12} {got:>12} {server.memory() / 1024:>9.0f} {base / 1024:>6.0f} {seconds:>7.2f} "
          f"{server.seconds():>7.2f}  {text[:300]}", flush=True)


def one(program, name, path, headers, body, seconds):
    server = Server(program)
    base, begin = server.memory(), time.monotonic()
    s = server.send(path, headers, body)
    status, got, text = read_all(s, server, seconds)
    print_row(name, len(body), status, got, server, base, time.monotonic() - begin, text)
    s.close()
    server.stop()


def readers(program, count, name, path, headers, body, seconds):
    """`count` clients that ask at once, and read nothing of their answers but the head."""
    server = Server(program)
    base, begin, answers = server.memory(), time.monotonic(), []

    def ask():
        s = server.send(path, headers, body)
        s.settimeout(seconds)
        try:
            answers.append((s, s.recv(1024)))
        except OSError:
            answers.append((s, b"HTTP/1.1 none"))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    time.sleep(1)
    statuses = sorted(first[9:13].decode().strip() for _, first in answers)
    counts = " ".join(f"{statuses.count(x)}x{x}" for x in sorted(set(statuses)))
    refused = next((first.split(b"\r\n\r\n", 1)[-1].decode() for _, first in answers if first[9:12] not in (b"200", b"non")), "")
    print_row(name, len(body), counts, 0, server, base, time.monotonic() - begin, refused)
    for s, _ in answers:
        s.close()
    server.stop()


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("server")
    a.add_argument("--seconds", type=float, default=60)
    a.add_argument("--only", default="")
    o = a.parse_args()
    print(f"{'request':36} {'bytes':>9} {'status':>12} {'answer':>12} {'peak MB':>9} {'idle':>6} {'s':>7} {'cpu s':>7}")
    for name, path, headers, body in requests():
        if o.only in name:
            one(o.server, name, path, headers, body, o.seconds)
    slow = parts(a=npy((4000, 0)), b=npy((0, 4000)))
    for count in (6, 40):
        name = f"{count} readers of 64 MB that read nothing"
        if o.only in name:
            readers(o.server, count, name, MATMUL, [MULTIPART], slow, o.seconds)
    if o.only in "6 readers of (20000,0)x(0,20000)":
        text, _ = v2([20000, 0], [0, 20000])
        readers(o.server, 6, "6 readers of (20000,0)x(0,20000)", INFER, [JSON], text, 20)
    if o.only in "gzip of 4 GiB, streamed":
        one(o.server, "gzip of 4 GiB, streamed", ROWSUM + "/stream?columns=1024", [GZIP, ("Content-Type", "application/octet-stream")],
            bomb(), o.seconds)


if __name__ == "__main__":
    main()

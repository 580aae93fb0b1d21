"""Requests through real servers, one of them up at a time: sluice-server, the peer written by hand on cpp-httplib (whose /echo is the
bound), and FastAPI. Each is asked for a product, or edges, whose answer is known before it is timed."""
import http.client
import json
import os
import re
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LINE = re.compile(r"req/s ([\d.]+) p50 ([\d.]+) p99 ([\d.]+) max ([\d.]+) failed (\d+)")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A process that answers on a port of its own, ended on the way out."""

    def __init__(self, command, env, cwd=None, hello="/hello"):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory()
        fill = {"PORT": str(self.port), "FOLDER": self.folder.name}
        self.process = subprocess.Popen([fill.get(word, word) for word in command], env=env, cwd=cwd,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError((self.process.stderr.read().strip().splitlines() or ["it ended at once"])[-1])
            try:
                if self.get(hello) == 200:
                    return
            except OSError:
                time.sleep(0.1)
        self.process.kill()
        raise RuntimeError("it did not answer within a minute")

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status

    def product_is_right(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/gpu_multiply", json.dumps({"matrix": [[1, 2], [3, 4]]}), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read()).get("result") == [[3, 3], [7, 7]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.folder.cleanup()


def fastapi(python, arrays, workers):
    return {"command": [python, "-m", "uvicorn", "http_fastapi:app", "--port", "PORT", "--workers", str(workers), "--log-level", "critical"],
            "cwd": os.path.join(os.path.dirname(HERE), "peers"), "env": {"FASTAPI_ARRAYS": arrays}, "raw": "/raw"}


def servers(bin_folder, python, gpu, cores):
    """(by, where, how to start it, whether it can be missing)."""
    def sluice(device):
        return {"command": [f"{bin_folder}/sluice-server", "--port", "PORT", "--data-dir", "FOLDER", "--device", device], "hello":
                "/health/live", "raw": "/gpu_multiply"}

    peer = {"command": [f"{bin_folder}/http_peer", "PORT"], "raw": "/raw"}
    found = [("sluice", "cpu", sluice("cpu")), ("cpp-httplib by hand", "cpu", peer), ("cpp-httplib echo", "cpu", {**peer, "echo": True})]
    if python:
        workers = max(2, min(cores // 2, 8))
        found.append(("FastAPI, NumPy", "cpu", fastapi(python, "numpy", workers)))
        if gpu:
            found.append(("FastAPI, CuPy", "cuda:0", fastapi(python, "cupy", min(workers, 4))))
    if gpu:
        found.insert(1, ("sluice", "cuda:0", sluice("cuda")))
    return found


def loads(run):
    """(op, size of the matrix, arguments, numbers of clients)."""
    few, many = ([8], [8]) if run == "tiny" else ([1, 8], [1, 8]) if run == "quick" else ([1, 8], [1, 2, 4, 8, 16, 32])
    sizes = {"tiny": [(2, few)], "quick": [(2, few), (32, few), (256, many), (1024, few)],
             "full": [(2, many), (32, few), (256, many), (1024, few)]}[run]
    asked = [("HTTP hello", "", ["hello"], few)]
    asked += [("HTTP JSON", f"{n}x{n}, ", ["--matrix", str(n)], clients) for n, clients in sizes]
    n = 8 if run == "tiny" else 1024
    return asked + [("HTTP .npy", f"{n}x{n}, ", ["--npy", str(n)], many)]


def measure(bin_folder, server, by, where, how, run):
    rows = []
    seconds = {"tiny": 0.05, "quick": 0.4, "full": 0.8}[run]
    for op, size, arguments, clients in loads(run):
        if arguments == ["hello"]:
            if how.get("echo"):
                continue
            path = ["--path", how.get("hello", "/hello")]
        else:
            path = [*arguments, "--path", "/echo" if how.get("echo") else how["raw"] if op == "HTTP .npy" else "/gpu_multiply"]
        for count in clients:
            rate, p50, p99 = asked_of(bin_folder, server, count, seconds, path)
            rows.append({"op": op, "by": by, "where": where, "dtype": "f32", "size": f"{size}{count} client{'s' * (count > 1)}",
                         "seconds": [p50 * 1e-3], "rates": [rate], "unit": "1/s", "more": {"p99_ms": p99}})
    return rows


def asked_of(bin_folder, server, clients, seconds, options):
    """(requests a second, p50, p99 in ms)."""
    for longer in (1, 8, 40):  # what takes long is asked at least a few times
        command = [f"{bin_folder}/http_load", "--port", str(server.port), "--clients", str(clients), "--seconds", str(seconds * longer),
                   "--warm", str(seconds / 4), *options]
        done = subprocess.run(command, capture_output=True, text=True)
        found = LINE.search(done.stdout)
        if found or not done.stdout.startswith("no answer"):
            break
    if not found or int(found[5]):
        raise RuntimeError(f"{' '.join(options)}: {done.stdout.strip() or done.stderr.strip()}")
    return tuple(float(found[i]) for i in (1, 2, 3))


def run_all(bin_folder, python, gpu, cores, run, skip, env, python_env):
    """Rows of every server; `skip(what, why)` for those that do not start."""
    rows = []
    for by, where, how in servers(bin_folder, python, gpu, cores):
        try:
            its = {**python_env, **how["env"]} if "env" in how else env
            with Server(how["command"], its, how.get("cwd"), how.get("hello", "/hello")) as server:
                if not how.get("echo") and not server.product_is_right():
                    raise RuntimeError("its product of [[1,2],[3,4]] and ones is wrong")
                rows += measure(bin_folder, server, by, where, how, run)
        except (RuntimeError, OSError) as why:
            if by == "sluice":
                raise
            skip(f"{by} ({where})", str(why))
    return rows


def run_pictures(bin_folder, python, gpu, cores, run, skip, env, python_env, folder):
    """Rows of /v1/canny, and of FastAPI with OpenCV: a JPEG of 1080 lines in, its edges out, as PNG of 1 bit and as JPEG. Every server
    has as many workers as there are cores, and they take turns."""
    if python is None:
        return skip("pictures", "no Python with OpenCV") or []
    tool = os.path.join(HERE, "pictures.py")
    picture = os.path.join(folder, "1080p.jpg")
    if not os.path.exists(picture):
        made = subprocess.run([python, tool, "make", picture], capture_output=True, text=True, env=python_env)
        if made.returncode != 0:
            return skip("pictures", (made.stderr.strip() or "no word").splitlines()[-1]) or []
    rows = []
    seconds = {"tiny": 0.1, "quick": 2, "full": 4}[run]
    found = [s for s in servers(bin_folder, python, gpu, cores) if s[0] == "sluice"]
    for threads in (1, cores):  # of OpenCV in each worker: either may be the quicker way
        how = fastapi(python, "numpy", cores)
        how["env"] = {**how["env"], "FASTAPI_OPENCV_THREADS": str(threads)}
        found.append((f"FastAPI, OpenCV of {threads} thread{'s' * (threads > 1)}", "cpu", how))
    for by, where, how in found:
        path = "/v1/canny" if by == "sluice" else "/canny"
        try:
            with Server(how["command"], {**python_env, **how["env"]} if "env" in how else env, how.get("cwd"), how.get("hello", "/hello")) as server:
                checked = subprocess.run([python, tool, "check", picture, f"http://127.0.0.1:{server.port}{path}"], capture_output=True,
                                         text=True, env=python_env)
                if checked.returncode != 0:
                    raise RuntimeError(checked.stderr.strip().splitlines()[-1])
                for form in ("png", "jpeg"):
                    for clients in (1, 8):
                        asked = ["--path", path, "--file", picture, "--type", "image/jpeg", "--accept", f"image/{form}"]
                        rate, p50, p99 = asked_of(bin_folder, server, clients, seconds, asked)
                        rows.append({"op": f"HTTP Canny, JPEG to {form.upper()}", "by": by, "where": where, "dtype": "u8",
                                     "size": f"1920x1080, {clients} client{'s' * (clients > 1)}", "seconds": [p50 * 1e-3],
                                     "rates": [rate], "unit": "1/s", "more": {"p99_ms": p99}})
        except (RuntimeError, OSError) as why:
            skip(f"{by} ({where}), pictures", str(why))
    return rows


def run_models(bin_folder, python, cores, run, skip, env, python_env, folder):
    """Rows of sluice-server --models, and of FastAPI with ONNX Runtime and Pillow: a ResNet-18 of f32 that classifies a JPEG, or a tensor.
    Every server has as many workers as there are cores; one is up at a time. Both run the library of the same wheel."""
    if python is None:
        return skip("models", "no Python with onnxruntime") or []
    tool = os.path.join(HERE, "models.py")

    def told(*arguments):
        done = subprocess.run([python, tool, *arguments], capture_output=True, text=True, env=python_env)
        if done.returncode != 0:
            raise RuntimeError((done.stderr.strip() or "no word").splitlines()[-1])
        return done.stdout.strip()

    folder = os.path.join(folder, "resnet18")
    try:
        if not os.path.exists(os.path.join(folder, "tensor.npy")):
            told("make", folder)
        ours = {**env, "SLUICE_ONNXRUNTIME": told("engine")}
    except RuntimeError as why:
        return skip("models", str(why)) or []
    model = os.path.join(folder, "models", "resnet18", "1", "model.onnx")
    found = [("sluice", ours, {"command": [f"{bin_folder}/sluice-server", "--port", "PORT", "--data-dir", "FOLDER", "--device", "cpu", "--models",
                                           os.path.join(folder, "models"), "--model", "resnet18"], "hello": "/health/ready"}, "/v1/resnet18",
              "/v1/resnet18_raw")]
    for threads in (1, 0):  # of ONNX Runtime in each worker: either may be the quicker way
        how = {"command": [python, "-m", "uvicorn", "models_fastapi:app", "--port", "PORT", "--workers", str(cores), "--log-level", "critical"],
               "cwd": os.path.join(os.path.dirname(HERE), "peers")}
        its = {**python_env, "MODEL": model, "ORT_THREADS": str(threads)}
        found.append((f"FastAPI, ONNX Runtime {'of 1 thread' if threads else 'as it comes'}", its, how, "/predict", "/raw"))
    seconds = {"tiny": 0.1, "quick": 2, "full": 4}[run]
    rows = []
    for by, its, how, pictures, tensors in found:
        try:
            with Server(how["command"], its, how.get("cwd"), how.get("hello", "/hello")) as server:
                told("check", folder, f"http://127.0.0.1:{server.port}{pictures}")
                for what, path, file, kind, accept in (("JPEG", pictures, "photo.jpg", "image/jpeg", "application/json"),
                                                       ("tensor", tensors, "tensor.npy", "application/x-npy", "application/x-npy")):
                    for clients in (1, 8, 32):
                        asked = ["--path", path, "--file", os.path.join(folder, file), "--type", kind, "--accept", accept]
                        rate, p50, p99 = asked_of(bin_folder, server, clients, seconds, asked)
                        rows.append({"op": f"HTTP ResNet-18, {what}", "by": by, "where": "cpu", "dtype": "f32",
                                     "size": f"{clients} client{'s' * (clients > 1)}", "seconds": [p50 * 1e-3], "rates": [rate], "unit": "1/s",
                                     "more": {"p99_ms": p99}})
        except (RuntimeError, OSError) as why:
            skip(f"{by}, models", str(why))
    return rows

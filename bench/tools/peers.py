"""The Python that peers and plots run in: a virtual environment beside the build, or, where nothing can be fetched, the machine's own
Python with the wheels that were brought along."""
import glob
import json
import os
import subprocess
import sys
import tempfile
import zipfile

PACKAGES = ["numpy", "matplotlib", "fastapi", "uvicorn[standard]", "orjson", "opencv-python-headless", "onnxruntime", "onnx", "pillow"]
FILES_ALONE = ["scikit-image"]  # photographs: none of its code is run


def quiet(command, **how):
    done = subprocess.run(command, capture_output=True, text=True, **how)
    if done.returncode != 0:
        raise RuntimeError(((done.stderr or done.stdout).strip().splitlines() or ["no word"])[-1])
    return done.stdout


def environment(folder):
    """The path of an environment's Python, made once."""
    python = os.path.join(folder, "bin", "python")
    made_for = os.path.join(folder, "packages.txt")
    if os.path.exists(made_for) and open(made_for).read().split() == PACKAGES + FILES_ALONE:
        return python
    quiet([sys.executable, "-m", "venv", "--clear", folder])
    install(python, PACKAGES)
    install(python, ["--no-deps", *FILES_ALONE])
    with open(made_for, "w") as f:
        f.write(" ".join(PACKAGES + FILES_ALONE))
    return python


def install(python, requirements):
    quiet([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])


def carried(wheels, folder):
    """The wheels, unpacked for the machine's own Python."""
    quiet([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--upgrade",
           "--target", folder, *glob.glob(os.path.join(wheels, "*.whl"))])


def fetch_wheels(folder, python_version):
    """FastAPI, OpenCV and what they need, for an x86-64 Linux with that Python and no network; not compressed, as an archive of all does
    that better."""
    platforms = [word for n in ("2_28", "2_17", "2014") for word in ("--platform", f"manylinux{'' if n == '2014' else '_'}{n}_x86_64")]
    quiet([sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--implementation", "cp", "--python-version",
           python_version, *platforms, "-d", folder, "fastapi", "uvicorn", "orjson", "httptools", "uvloop", "opencv-python-headless"])
    for path in glob.glob(os.path.join(folder, "*.whl")):
        with zipfile.ZipFile(path) as packed, zipfile.ZipFile(path + ".stored", "w", zipfile.ZIP_STORED) as stored:
            for entry in packed.infolist():
                stored.writestr(entry.filename, packed.read(entry))
        os.replace(path + ".stored", path)


def versions(python, env, names=("numpy", "torch", "cupy", "fastapi", "uvicorn", "orjson", "opencv-python-headless", "onnxruntime",
                               "pillow")):
    code = f"""
import importlib.metadata as m, json
found = {{}}
for name in {names!r}:
    for each in (name, name + "-cuda13x", name + "-cuda12x"):
        try: found[name] = m.version(each); break
        except m.PackageNotFoundError: pass
print(json.dumps(found))"""
    return json.loads(quiet([python, "-c", code], env=env))


def arrays(python, script, library, run, env, limit=600):
    """Rows of arrays.py with one library; None with the reason where the library is not there."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "rows.json")
        done = subprocess.run([python, script, library, out, run], capture_output=True, text=True, env=env, timeout=limit)
        if done.returncode == 77:
            return None, done.stdout.strip()
        if done.returncode != 0:
            raise RuntimeError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
        with open(out) as f:
            return json.load(f), ""

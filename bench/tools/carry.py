"""Programs taken to another machine of the same kind, where nothing can be fetched: with their libraries, and with wheels, in one
archive."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import machine
import peers

HERE = os.path.dirname(os.path.abspath(__file__))

# What every Linux of the kind has, or the toolkit there.
LEFT_OUT = re.compile(r"/(libc|libm|libdl|libpthread|librt|ld-linux[^/]*|libstdc\+\+|libgcc_s|libresolv|libcuda|libcudart|libcublas|libcublasLt)\.so")
PROGRAMS = ["matmul_bench", "matmul_peers_bench", "rowsum_bench", "copy_bench", "file_stream_bench", "codec_bench", "placement_bench",
            "placement_regret", "cuda_bench", "http_load", "http_peer", "sluice-server"]


def gather(to, bin_folder, python_version):
    """Writes TO/bench.tar.xz."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bin", "lib", "wheels"):
            os.makedirs(os.path.join(folder, name))
        copy_programs(folder, bin_folder)
        peers.fetch_wheels(os.path.join(folder, "wheels"), python_version)
        os.makedirs(os.path.join(folder, "pictures"))
        peers.quiet([peers.environment(os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "bench-venv")),
                     os.path.join(HERE, "pictures.py"), "make", os.path.join(folder, "pictures", "1080p.jpg")])
        described = machine.describe(os.path.join(os.path.dirname(bin_folder), "CMakeCache.txt"))
        with open(os.path.join(folder, "built.json"), "w") as f:
            json.dump({"compiler": described["compiler"], "build": described["build"]}, f)
        os.makedirs(to, exist_ok=True)
        with tarfile.open(os.path.join(to, "bench.tar.xz"), "w:xz", preset=6) as archive:
            archive.add(folder, arcname=".")
    print(f"bench/run: {os.path.getsize(os.path.join(to, 'bench.tar.xz')) / 1e6:.1f} MB in {to}/bench.tar.xz")


def copy_programs(to, bin_folder):
    wanted = set()
    for name in PROGRAMS:
        path = os.path.join(bin_folder, name)
        if not os.path.exists(path):
            print(f"bench/run: {name} is not in {bin_folder}, left out", file=sys.stderr)
            continue
        subprocess.run(["strip", "-o", os.path.join(to, "bin", name), path], check=True)
        wanted |= libraries(path)
    module = os.path.join(bin_folder, "libsluice-cuda.so")
    if os.path.exists(module):
        shutil.copy(os.path.realpath(module), os.path.join(to, "bin", "libsluice-cuda.so"))
    for variable, name in (("BLIS", "blis-openmp/libblis.so.4"), ("OPENBLAS", "openblas-pthread/libopenblas.so.0")):
        for path in glob.glob(f"/usr/lib/*/{name}")[:1]:
            shutil.copy(os.path.realpath(path), os.path.join(to, "lib", f"peer-{variable}.so"))
            wanted |= libraries(path)
    for path in wanted:
        shutil.copy(os.path.realpath(path), os.path.join(to, "lib", os.path.basename(path)))
    for path in glob.glob(os.path.join(to, "lib", "*.so*")):
        subprocess.run(["strip", "--strip-unneeded", path], check=True)


def libraries(path):
    return {found for found in re.findall(r"=> (/\S+)", peers.quiet(["ldd", path])) if not LEFT_OUT.search(found)}


def unpack(folder, to):
    """What gather() made, in `to`."""
    with tarfile.open(os.path.join(folder, "bench.tar.xz")) as archive:
        archive.extractall(to)
    return to


def remembered(folder):
    with open(os.path.join(folder, "built.json")) as f:
        return json.load(f)


def enter(folder, env):
    """The folder of the programs; `env` gets what they need there, which is not for Python: its own libraries are others."""
    paths = [os.path.join(folder, "lib"), *cublas()]
    env["LD_LIBRARY_PATH"] = os.pathsep.join(paths + [p for p in (os.environ.get("LD_LIBRARY_PATH"),) if p])
    env["SLUICE_BACKEND_PATH"] = os.path.join(folder, "bin")
    for name in ("BLIS", "OPENBLAS"):
        path = os.path.join(folder, "lib", f"peer-{name}.so")
        if os.path.exists(path):
            env[f"SLUICE_BENCH_{name}"] = path
    return os.path.join(folder, "bin")


def cublas():
    """Where cuBLAS lies, when no package of the system brought it: beside the toolkit, or in a Python package."""
    if "libcublas.so" in peers.quiet(["ldconfig", "-p"]):
        return []
    compiler = shutil.which("nvcc")
    places = [os.path.join(os.path.dirname(os.path.realpath(compiler)), "..")] if compiler else []
    places += glob.glob("/usr/local/cuda*") + [p for p in sys.path if p.endswith("site-packages")]
    for place in places:
        for path in glob.glob(os.path.join(place, "**", "libcublas.so.*"), recursive=True):
            return [os.path.dirname(path)]
    return []

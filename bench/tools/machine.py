"""What a run was made on: everything that moves figures, and nothing that names the machine."""
import os
import platform
import re
import subprocess
import sys


def said(*command):
    """The first line that a command prints, or None where it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None


def field(path, pattern):
    try:
        with open(path) as f:
            found = re.search(pattern, f.read(), re.M)
        return found.group(1).strip() if found else None
    except OSError:
        return None


def caches():
    sizes, folder = [], "/sys/devices/system/cpu/cpu0/cache"
    for index in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if not index.startswith("index"):
            continue
        level, kind, size = (field(f"{folder}/{index}/{name}", r"(.*)") for name in ("level", "type", "size"))
        if kind != "Instruction":
            sizes.append(f"L{level} {size}")
    return ", ".join(sizes)


def vector_sets():
    flags = (field("/proc/cpuinfo", r"^flags\s*:(.*)$") or "").split()
    return ", ".join(name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags)


def gpus():
    try:
        done = subprocess.run(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"], capture_output=True,
                              text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def describe(cache_file=None):
    kib = field("/proc/meminfo", r"^MemTotal:\s*(\d+)")
    compiler = field(cache_file, r"^CMAKE_CXX_COMPILER:[A-Z]+=(.*)$") if cache_file else None
    return {
        "cpu": field("/proc/cpuinfo", r"^model name\s*:(.*)$") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "vector": vector_sets(),
        "caches": caches(),
        "memory": f"{round(int(kib) / (1 << 20))} GiB" if kib else None,
        "virtual": "hypervisor" in (field("/proc/cpuinfo", r"^flags\s*:(.*)$") or ""),
        "system": field("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        "kernel": platform.release(),
        "compiler": said(compiler, "--version") if compiler else None,
        "build": field(cache_file, r"^CMAKE_BUILD_TYPE:[A-Z]+=(.*)$") if cache_file else None,
        "python": platform.python_version(),
        "gpus": gpus(),
    }


def in_words(m):
    """One line for the head of a table."""
    parts = [f"{m['cores']} cores of {m['cpu']}" + (f" ({m['vector']})" if m.get("vector") else "")]
    parts += [m["caches"], m["memory"] and f"{m['memory']} of memory", m["virtual"] and "a virtual machine", m["system"],
              f"Linux {m['kernel']}" if sys.platform == "linux" else m["kernel"], m["compiler"]]
    parts += [f"{gpu}" for gpu in m["gpus"]]
    parts += [m.get("blas") and f"sluice on {m['blas']}"]  # in documents of 0.2
    return "; ".join(p for p in parts if p)

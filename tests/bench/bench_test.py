"""The benchmarks run and tell what they found: bench_test.py run BENCH BIN; bench_test.py compare BENCH; bench_test.py plots BENCH ENV.

run: every program once, at sizes that measure nothing, through bench/run, and the tables made of it. compare: bench/compare on programs
whose times are known. plots: the pictures of a recorded run, by matplotlib, which comes from PyPI."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment

part, bench = sys.argv[1:3]
sys.path.insert(0, os.path.join(bench, "tools"))


def check(good, *words):
    if not good:
        sys.exit("bench_test: " + " ".join(str(w) for w in words))


def run(*command, expected=0):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    check(done.returncode == expected, *command, "ended with", done.returncode, "\n", done.stdout, done.stderr)
    return done.stdout


def row(op, by, where, size, seconds=(), rates=(), unit="", dtype="f32", share=None):
    return {"op": op, "by": by, "where": where, "dtype": dtype, "size": size, "seconds": list(seconds), "rates": list(rates), "unit": unit,
            "more": {}, "share": share}


def recorded():
    """A run on a machine with a GPU whose calls take 10 us and a hundredth of the CPU's time: it is ahead from n = 216 on."""
    rows = []
    for n in (8, 16, 32, 64, 128, 256, 512):
        size, cpu = f"{n}x{n}x{n}", n**3 * 1e-12
        gpu = 1e-5 + cpu / 100
        rows += [row("matmul from host", "sluice", "cpu", size, [cpu]), row("matmul from host", "sluice", "cuda:0", size, [gpu]),
                 row("matmul", "sluice", "cpu", size, [cpu], [2 * n**3 / cpu], "flop/s", share=0.9),
                 row("matmul", "BLIS", "cpu", size, [cpu * 0.8], [2 * n**3 / cpu / 0.8], "flop/s")]
    rows += [row("rowsum", "sluice", "cuda:0", "1024 columns", [1e-3], [4e12], "B/s", share=0.95),
             row("rowsum", "CuPy", "cuda:0", "1024 columns", [2e-3], [2e12], "B/s")]
    rows += [row("matmul from pinned", "sluice", "cuda:0", "8x8x8", [2e-5]),  # a time alone beside a time and a rate
             row("matmul from pinned", "CuPy", "cuda:0", "8x8x8", [3e-5], [2e7], "flop/s")]
    rows += [row("encode JSON", "sluice", "cpu", "10x10", [2e-6], [4e8], "B/s"), row("encode JSON", "dragonbox", "cpu", "10x10", [1e-6], [5e8], "B/s")]
    for clients in (1, 8):
        for by, rate in (("sluice", 900.0), ("cpp-httplib echo", 1000.0)):
            rows.append(row("HTTP JSON", by, "cpu", f"256x256, {clients} client{'s' * (clients > 1)}", [1e-3], [rate * clients], "1/s"))
    rows += [row("file rowsum, by readers", "sluice", "cpu", f"{n} readers", [0.1], [n * 1e9], "B/s") for n in (1, 2, 4)]
    machine = {"cpu": "a processor", "cores": 4, "vector": "avx2", "caches": "L1 32K", "memory": "8 GiB", "virtual": True, "system": "Debian",
               "kernel": "6.1", "compiler": "c++ 12", "gpus": ["a GPU, 80 GiB, 580.1"], "blas": "BLIS 0.9.0", "packages": {"numpy": "2.0"}}
    return {"format": 1, "machine": machine, "run": "quick", "rounds": 1, "date": "2026-01-02", "minutes": 1.0, "revision": "abc",
            "command": "bench/run --quick", "notes": {"placement_regret": "regret 1.01\n  a & b"}, "skipped": [["PyTorch", "it is not there"]], "rows": rows}


def draw(folder):
    with open(f"{folder}/recorded.json", "w") as f:
        json.dump(recorded(), f)
    run(f"{bench}/run", "--draw", f"{folder}/recorded.json", "--out", f"{folder}/out")
    return {name: open(f"{folder}/out/{name}").read() for name in os.listdir(f"{folder}/out")}


def run_all(folder):
    import rows as rows_of

    bin_folder = sys.argv[3]
    run(f"{bench}/run", "--tiny", "--no-peers", "--bin", bin_folder, "--out", f"{folder}/tiny")
    text = open(f"{folder}/tiny/results.json").read()
    document = json.loads(text)
    check(os.uname().nodename not in text and "host_name" not in text, "the host's name is in results.json")
    ops = {r["op"] for r in document["rows"] if r["by"] == "sluice"}
    wanted = {"matmul", "matmul from host", "matmul, 8 callers", "rowsum", "rowsum from host", "copy within", "convert to bf16", "fill",
              "file rowsum, read", "file rowsum, mapped", "file rowsum, by readers", "decision", "calibration"}
    if os.path.exists(f"{bin_folder}/codec_bench"):
        wanted |= {"decode JSON", "encode JSON", "decode .npy", "encode v2 binary", "HTTP hello", "HTTP JSON", "HTTP .npy"}
    check(wanted <= ops, "missing:", wanted - ops)
    check(document["machine"]["cores"] > 0, "the machine is not described:", document["machine"])
    table = open(f"{folder}/tiny/table.md").read()
    check("| matmul | f32 | 8x8x8 |" in table and "- peers in Python: --no-peers" in table, table)

    files = draw(folder)
    for words in ("| rowsum | f32 | 1024 columns |  |  |  |  | 4 TB/s | 0.95 | 2 TB/s (CuPy) | 2.00 |",
                  "| matmul from pinned | f32 | 8x8x8 |  |  |  |  | 20 us |  | 30 us (CuPy) | 1.50 |",
                  "- encode JSON, f32, 10x10, CPU: 0.50; 20 ns a number and 10 ns a number (dragonbox)",
                  "- matmul, f32, 64x64x64, CPU: 0.80; 2 Tflop/s and 2.5 Tflop/s (BLIS)", "- PyTorch: it is not there", "a GPU, 80 GiB"):
        check(words in files["table.md"], words, "is not in", files["table.md"])
    check("echo)" not in files["table.md"], "a bound stands among the peers")
    check(json.loads(files["results.json"]) == recorded(), "drawing changes results.json")
    check("| matmul | f32 | 64x64x64 | cpu | BLIS | 2.5 Tflop/s | 0.80 |" in files["table.md"], files["table.md"])
    check("<td>0.80</td>" in files["index.html"] and "<pre>regret 1.01\n  a &amp; b\n</pre>" in files["index.html"], files["index.html"])

    first, second = recorded(), recorded()
    first["rows"], second["rows"] = first["rows"][:5], second["rows"][5:]
    for name, document in (("1", first), ("2", second)):
        with open(f"{folder}/{name}.json", "w") as f:
            json.dump(document, f)
    run(f"{bench}/run", "--draw", f"{folder}/1.json", f"{folder}/2.json", "--out", f"{folder}/joined")
    with open(f"{folder}/joined/table.md") as f:
        check(f.read().replace("2.0 minutes", "1.0 minutes") == files["table.md"], "two halves of a run are not the whole")

    import readme
    root = os.path.dirname(os.path.abspath(bench))
    runs = readme.results(root)
    with open(f"{root}/README.md") as f:
        check(not runs or readme.written(f"{root}/README.md", runs) == f.read(), "README.md is not of bench/results: bench/run --readme")
    with open(f"{folder}/README.md", "w") as f:
        f.write(f"above\n{readme.BEGIN}\nold\n{readme.END}\nbelow\n")
    text = readme.written(f"{folder}/README.md", [f"{folder}/recorded.json"])
    check(text.startswith("above\n") and text.endswith("\nbelow\n") and "old" not in text and "| 2 TB/s (CuPy) | 2.00 |" in text, text)

    figures = {"figures": [
        {"name": "device read, sum of 4 GiB", "unit": "GB/s", "ours": 4000, "peer": 0, "peer_name": "(CUB, the ceiling)", "other": 0, "other_name": ""},
        {"name": "rowsum f32, 1024 columns", "unit": "GB/s", "ours": 3000, "peer": 1500, "peer_name": "CUB segmented", "other": 0, "other_name": ""},
        {"name": "there and back, ordinary, 8x8", "unit": "us", "ours": 20, "peer": 25, "peer_name": "by hand, pinned", "other": 0, "other_name": ""}]}
    rows = rows_of.with_shares(rows_of.merged(rows_of.from_cuda_bench(json.dumps(figures))))
    of = {(r["op"], r["by"]): r for r in rows}
    check(of["rowsum", "sluice"]["share"] == 0.75 and of["rowsum", "CUB segmented"]["rates"] == [1.5e12], rows)
    check(of["matmul from host", "sluice"]["size"] == "8x8x8" and of["matmul from host", "sluice"]["share"] == 1.25, rows)


def known_program(folder, factor):
    """A rowsum_bench that says what it is told: "same" takes a second, give or take; "moved" `factor` times as long."""
    os.makedirs(folder)
    lines = [f'{{"name": "x", "run_name": "rowsum/sluice/cpu/f32/{size}/manual_time", "run_type": "iteration", "real_time": %.6f, '
             '"time_unit": "s", "calls": 1}' for size in ("same", "moved")]
    with open(f"{folder}/rowsum_bench", "w") as f:
        f.write(f"""#!{sys.executable}
import os, random
n = int(open({folder!r} + "/turns").read()) + 1 if os.path.exists({folder!r} + "/turns") else 1
open({folder!r} + "/turns", "w").write(str(n))
noise = [1 + random.Random(n * 7 + i + {int(factor * 10)}).uniform(-0.01, 0.01) for i in range(2)]
print('{{"context": {{}}, "benchmarks": [' + {lines[0]!r} % noise[0] + "," + {lines[1]!r} % ({factor} * noise[1]) + "]}}")
""")
    os.chmod(f"{folder}/rowsum_bench", 0o755)


def compare(folder):
    known_program(f"{folder}/base", 1.0)
    known_program(f"{folder}/worse", 1.3)
    command = [f"{bench}/compare", "--only", "rowsum", "--rounds", "5", "--fail-over", "1.1"]
    said = run(*command, f"{folder}/base", f"{folder}/worse", expected=1)
    line = next(x for x in said.splitlines() if x.startswith("| rowsum/sluice/cpu/f32/moved |"))
    check(1.25 < float(line.split("|")[2]) < 1.35 and line.endswith("| slower |"), said)
    check("2 benchmarks: 1 slower, 0 quicker" in said and "slower than 1.1: rowsum/sluice/cpu/f32/moved" in said, said)
    check("2 benchmarks: 0 slower, 1 quicker" in run(*command, f"{folder}/worse", f"{folder}/base"), "the other way round")
    check("2 benchmarks: 0 slower, 0 quicker" in run(*command, f"{folder}/base", f"{folder}/base"), "against itself")
    old, new = recorded(), recorded()
    for r in old["rows"] + new["rows"]:
        r["seconds"] = [x * f for x in r["seconds"] for f in (0.99, 1, 1.01)]
    new["rows"][-1]["seconds"] = [x * 2 for x in new["rows"][-1]["seconds"]]
    for name, document in (("old", old), ("new", new)):
        with open(f"{folder}/{name}.json", "w") as f:
            json.dump(document, f)
    said = run(f"{bench}/compare", f"{folder}/old.json", f"{folder}/new.json")
    check(": 1 slower, 0 quicker" in said and "| file rowsum, by readers/sluice/cpu/f32/4 readers | 2.000 |" in said, said)
    said = subprocess.run([sys.executable, f"{bench}/compare", f"{folder}/old.json", "no-such-revision"], capture_output=True, text=True)
    check(said.returncode != 0 and "Traceback" not in said.stderr, said.stderr)


def plots(folder):
    files = draw(folder)
    check({"latency.svg", "share.svg", "requests.svg", "readers.svg"} <= files.keys(), "missing pictures:", files.keys())
    check("GPU from n = 216" in files["latency.svg"], "the crossover is not marked in", files["latency.svg"][:2000])
    for name, words in (("share.svg", "rowsum f32, 1024 columns"), ("requests.svg", "cpp-httplib echo"), ("readers.svg", "readers")):
        check(words in files[name], words, "is not in", name)
    check(files["index.html"].count("<svg") == 4, "not all pictures are on the page")


if __name__ == "__main__":
    if part == "plots":
        environment.enter(sys.argv[3], "matplotlib", ["matplotlib"])
    with tempfile.TemporaryDirectory() as scratch:
        {"run": run_all, "compare": compare, "plots": plots}[part](scratch)
    print("passed")

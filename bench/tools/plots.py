"""plots.py RESULTS.json FOLDER: the pictures of a run, as SVG. Needs matplotlib."""
import json
import os
import re
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rows import CEILINGS, rate, seconds  # noqa: E402
from table import beside, in_time  # noqa: E402

plt.rcParams.update({"svg.hashsalt": "sluice", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif", "axes.grid": True,
                     "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
                     "legend.fontsize": 8})
COLORS = {"sluice, CPU": "#1f6feb", "sluice, GPU": "#2da44e"}
OTHERS = ["#bf5b17", "#8250df", "#6e7781", "#d4a72c", "#e16f9b", "#57606a"]


def color(name, used):
    if name in COLORS:
        return COLORS[name]
    return used.setdefault(name, OTHERS[len(used) % len(OTHERS)])


def save(figure, folder, name):
    figure.tight_layout()
    figure.savefig(os.path.join(folder, name), metadata={"Date": None, "Creator": None})
    plt.close(figure)


def curve(rows, op, by, where, place_of):
    """Points (size, row) of an operation whose sizes `place_of` turns into numbers; None for others."""
    points = [(place_of(r["size"]), r) for r in rows if r["op"] == op and r["by"] == by and r["where"].startswith(where) and
              r["dtype"] == "f32"]
    return sorted(((x, r) for x, r in points if x is not None), key=lambda p: p[0])


def square(size):
    found = re.fullmatch(r"(\d+)x\1x\1", size)
    return int(found[1]) if found else None


def row_count(size):
    found = re.fullmatch(r"(\d+) rows of 1024", size)
    return int(found[1]) if found else None


def crossing(a, b):
    """Where b becomes quicker than a for good, on lines between the sizes both have; None where it does not."""
    import math

    ya, yb = dict(a), dict(b)
    xs = sorted(set(ya) & set(yb))
    for low, high in reversed(list(zip(xs, xs[1:]))):
        d0, d1 = (math.log(yb[x] / ya[x]) for x in (low, high))
        if d0 > 0 >= d1:
            t = d0 / (d0 - d1)
            return math.exp(math.log(low) * (1 - t) + math.log(high) * t)
    return None


def latency(rows, folder):
    """Time of one call that begins and ends in the host's memory, against size."""
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.8))
    for panel, op, place_of, name, unit in ((panels[0], "matmul from host", square, "matmul, f32: n x n by n x n", "n"),
                                            (panels[1], "rowsum from host", row_count, "rowsum, f32: rows of 1,024", "rows")):
        used, lines = {}, {}
        for label, by, where in (("sluice, CPU", "sluice", "cpu"), ("sluice, GPU", "sluice", "cuda"), ("NumPy", "NumPy", "cpu"),
                                 ("PyTorch, GPU", "PyTorch", "cuda"), ("CuPy", "CuPy", "cuda")):
            points = curve(rows, op, by, where, place_of)
            if not points:
                continue
            lines[label] = [(x, seconds(r)) for x, r in points]
            panel.plot(*zip(*lines[label]), label=label, color=color(label, used), marker="o", markersize=3,
                       linewidth=2 if label.startswith("sluice") else 1.2)
        if at := crossing(lines.get("sluice, CPU", []), lines.get("sluice, GPU", [])):
            panel.axvline(at, color="#57606a", linestyle="--", linewidth=1)
            panel.annotate(f"GPU from {unit} = {at:.0f}", (at, 0.03), xycoords=("data", "axes fraction"), rotation=90, ha="right",
                           va="bottom", fontsize=8)
        panel.set(xscale="log", yscale="log", xlabel=unit, title=name)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(lambda x, _: f"{x:.0f}")
        panel.yaxis.set_major_formatter(lambda y, _: in_time(y))
        if lines:
            panel.legend()
    panels[0].set_ylabel("time of a call, from host memory and back")
    save(figure, folder, "latency.svg")


def is_telling(op, dtype, size):
    """Not every width, dtype and size has a bar."""
    if op == "matmul":
        return (square(size) or 0) >= 256 and (dtype == "f32" or size.startswith(("1024", "4096"))) and "tensor" not in dtype
    if op == "rowsum":
        return dtype == "f32" and size in [f"{n} columns" for n in (1, 3, 17, 100, 1024, 65536)] + ["one row"]
    return "KiB" not in size


def shares(document, folder):
    """Share of the ceiling, by operation."""
    wanted = ("matmul", "rowsum", "copy within", "convert to bf16", "transposed copy", "host to device, pinned", "device to host, pinned",
              "file rowsum, read", "file rowsum, mapped", "cold file rowsum, read", "cold file rowsum, mapped")
    bars = []
    for (op, dtype, size), line in beside(document).items():
        for where in ("cpu", "gpu"):
            row = line.get((where, "sluice"))
            if row and row.get("share") and op in wanted and is_telling(op, dtype, size):
                bars.append((wanted.index(op), f"{op} {dtype}, {size}", where, row["share"]))
    if not bars:
        return
    bars.sort(key=lambda b: b[0], reverse=True)
    names = list(dict.fromkeys(b[1] for b in bars))
    figure, panel = plt.subplots(figsize=(8, 0.8 + 0.2 * len(names)))
    kinds = [w for w in ("cpu", "gpu") if any(b[2] == w for b in bars)]
    for i, where in enumerate(kinds):
        mine = {b[1]: b[3] for b in bars if b[2] == where}
        panel.barh([n + (i - (len(kinds) - 1) / 2) * 0.4 for n, name in enumerate(names) if name in mine],
                   [mine[name] for name in names if name in mine], height=0.7 / len(kinds),
                   label=f"sluice, {where.upper()}", color=COLORS[f"sluice, {where.upper()}"])
    panel.axvline(1, color="#57606a", linewidth=1)
    panel.set_yticks(range(len(names)), names, fontsize=7)
    panel.set(xlabel="share of the ceiling measured in the same run", xlim=(0, 1.4), ylim=(-0.7, len(names) - 0.3))
    panel.legend(loc="lower right")
    save(figure, folder, "share.svg")


def requests(rows, folder):
    """Requests a second against clients."""
    def clients(size):
        found = re.search(r"(\d+) clients?$", size)
        return int(found[1]) if found else None

    bodies = [(op, size) for op, size in dict.fromkeys((r["op"], re.sub(r",? ?\d+ clients?$", "", r["size"])) for r in rows
                                                       if r["op"].startswith("HTTP ") and r["op"] != "HTTP hello")
              if len({clients(r["size"]) for r in rows if r["op"] == op and r["size"].startswith(size + ", ")}) > 1]
    if not bodies:
        return
    bodies = bodies[:1] + bodies[-2:] if len(bodies) > 3 else bodies
    figure, panels = plt.subplots(1, len(bodies), figsize=(3.3 * len(bodies) + 0.5, 3.6), squeeze=False)
    used = {}
    for panel, (op, size) in zip(panels[0], bodies):
        some = [r for r in rows if r["op"] == op and r["size"].startswith(size + ", ")]
        for by, where in dict.fromkeys((r["by"], r["where"]) for r in some):
            label = f"sluice, {'CPU' if where == 'cpu' else 'GPU'}" if by == "sluice" else by
            points = sorted((clients(r["size"]), rate(r)) for r in some if (r["by"], r["where"]) == (by, where))
            panel.plot(*zip(*points), label=label, color=color(label, used), marker="o", markersize=3,
                       linewidth=2 if by == "sluice" else 1.2, linestyle=":" if by in CEILINGS else "-")
        panel.set(yscale="log", xlabel="clients", title=f"{op.removeprefix('HTTP ')}, {size}")
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(lambda x, _: f"{x:.0f}")
    panels[0][0].set_ylabel("requests a second")
    handles, labels = panels[0][-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center" if hasattr(figure, "get_layout_engine") else "upper center", ncols=3)
    figure.tight_layout(rect=(0, 0, 1, 0.86))
    figure.savefig(os.path.join(folder, "requests.svg"), metadata={"Date": None, "Creator": None})
    plt.close(figure)


def readers(rows, folder):
    """GB/s of a file in the page cache against the threads that read it."""
    figure, panel = plt.subplots(figsize=(6.5, 3.4))
    drawn = False
    for where in ("cpu", "cuda"):
        points = curve(rows, "file rowsum, by readers", "sluice", where, lambda s: int(s.split()[0]))
        label = "sluice, CPU" if where == "cpu" else "sluice, GPU"
        if points:
            drawn = True
            panel.plot([x for x, _ in points], [rate(r) / 1e9 for _, r in points], label=label, color=COLORS[label], marker="o", linewidth=2)
    used = {}
    for by, what in (("pread alone", "pread alone, all threads"), ("rowsum of memory", "rowsum of memory"), ("copy alone", "the bus alone"),
                     ("NumPy, readinto", "NumPy, readinto"), ("NumPy, memmap", "NumPy, memmap")):
        for r in rows:
            if r["by"] == by and r["op"].startswith("file rowsum"):
                panel.axhline(rate(r) / 1e9, label=what, color=color(what, used), linestyle="--", linewidth=1)
    if not drawn:
        return plt.close(figure)
    panel.set(xlabel="readers", ylabel="GB/s", ylim=(0, None), title="row sums of a file in the page cache")
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, folder, "readers.svg")


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        results = json.load(f)
    latency(results["rows"], sys.argv[2])
    shares(results, sys.argv[2])
    requests(results["rows"], sys.argv[2])
    readers(results["rows"], sys.argv[2])

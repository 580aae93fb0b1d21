"""The README's short tables, from bench/results/NAME/results.json, between its two marks."""
import json
import os

from table import SHORT, SHORT_SIZES, beside, figure, ratio

BEGIN, END = "<!-- bench/run --readme writes this -->", "<!-- to here -->"


def short(document):
    """Without shares: sluice, the best other and the ratio, on each kind of device."""
    lines = beside(document)
    places = [p for p in ("cpu", "gpu") if any(where == p for line in lines.values() for where, _ in line)]
    head = ["operation", "size"] + [cell for p in places for cell in (f"sluice, {p.upper()}", f"best other, {p.upper()}", "ratio")]
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for op, dtype, size in SHORT:
        what = next(((op, dtype, s) for s in (size, SHORT_SIZES.get(size)) if (op, dtype, s) in lines), None)
        if what is None:
            continue
        cells = [f"{op}, {dtype}" if op.startswith(("matmul", "rowsum")) else op, what[2]]
        for p in places:
            ours, peer, r = lines[what].get((p, "sluice")), lines[what].get((p, "peer")), ratio(lines[what], p)
            cells += [figure(ours), f"{figure(peer, ours)} ({peer['by']})" if peer else "", f"{r:.2f}" if r else ""]
        out.append("| " + " | ".join(cells) + " |")
    return out


def section(readme, paths):
    """The README's part, from what was measured."""
    out, folder = [], os.path.dirname(os.path.abspath(readme))
    for path in paths:
        with open(path) as f:
            document = json.load(f)
        m = document["machine"]
        name = ", ".join(x.split(",")[0] for x in m["gpus"][:1]) or m["cpu"]
        link = os.path.relpath(os.path.dirname(os.path.abspath(path)), folder)
        out += [f"{name} with {m['cores']} cores: `{document['command']}` ([all of it]({link}/table.md))" if m["gpus"] else
                f"{m['cores']} cores of {m['cpu']}, a virtual machine: `{document['command']}` ([all of it]({link}/table.md))", "", *short(document), ""]
    last = os.path.relpath(os.path.dirname(os.path.abspath(paths[-1])), folder)
    picture = os.path.join(last, "latency.svg")
    return "\n".join(out + [f"![Time of a call against size, on the CPU and on the GPU]({picture})", ""])


def written(readme, paths):
    """The README with its part anew."""
    with open(readme) as f:
        text = f.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise RuntimeError(f"{readme} has not one {BEGIN} and one {END}")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{section(readme, paths)}{END}{rest.split(END)[1]}"


def results(root):
    folder = os.path.join(root, "bench", "results")
    return sorted(os.path.join(folder, name, "results.json") for name in os.listdir(folder)
                  if os.path.exists(os.path.join(folder, name, "results.json")))

"""Markdown of a results.json: each operation by sluice beside the best of the others, on the CPU and on the GPU."""
import machine
import rows as rows_of
from rows import CEILINGS, over, rate, seconds

# What one looks for first; the rest is in table.md.
SHORT = [("matmul", "f32", "64x64x64"), ("matmul", "f32", "1024x1024x1024"), ("matmul", "f32", "4096x4096x4096"),
         ("matmul", "bf16", "1024x1024x1024"), ("matmul from host", "f32", "1024x1024x1024"), ("rowsum", "f32", "3 columns"),
         ("rowsum", "f32", "1024 columns"), ("copy within", "f32", "256 MiB"), ("file rowsum, read", "f32", "1024 MiB"),
         ("decode JSON", "f32", "1024x1024"), ("encode JSON", "f32", "1024x1024"), ("HTTP JSON", "f32", "2x2, 8 clients"),
         ("HTTP JSON", "f32", "256x256, 8 clients"), ("HTTP .npy", "f32", "1024x1024, 8 clients")]
SHORT_SIZES = {"256 MiB": "64 MiB", "1024 MiB": "256 MiB"}  # of a quick run


def figure(row, beside_it=None):
    """A row's speed in words; in those of the row beside it, where that has a time alone."""
    if row and row["seconds"] and beside_it and not beside_it["rates"]:
        return in_time(seconds(row))
    if row is None:
        return ""
    if row["op"] in ("decode JSON", "encode JSON"):
        columns, lines_of = (int(n) for n in row["size"].split("x"))
        return f"{seconds(row) * 1e9 / (columns * lines_of):.3g} ns a number"
    if not row["rates"]:
        return in_time(seconds(row))
    value = rate(row)
    if row["unit"] == "1/s":
        return f"{value:,.0f} /s" if value >= 100 else f"{value:.3g} /s"
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {letter}{row['unit']}"
    return f"{value:.3g} {row['unit']}"


def in_time(s):
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if s >= factor:
            return f"{s / factor:.3g} {unit}"
    return f"{s * 1e9:.3g} ns"


def place(row):
    return "cpu" if row["where"] == "cpu" else "gpu"


def beside(document):
    """{what: {(place, "sluice" | "peer" | "bound"): row}}: the best peer and the bound, on each kind of device."""
    out = {}
    for row in document["rows"]:
        line = out.setdefault(rows_of.what(row), {})
        role = "sluice" if row["by"] == "sluice" else "bound" if row["by"] in CEILINGS else "peer"
        have = line.get((place(row), role))
        if have is None or (over(row, have) or 0) > 1:
            line[place(row), role] = row
    return {k: v for k, v in out.items() if ("cpu", "sluice") in v or ("gpu", "sluice") in v}


def ratio(line, where):
    ours, peer = line.get((where, "sluice")), line.get((where, "peer"))
    return over(ours, peer) if ours and peer else None


def side(line, where):
    """Four cells: sluice, share of the ceiling, the best peer, the ratio."""
    ours, peer = line.get((where, "sluice")), line.get((where, "peer"))
    share = ours and ours.get("share")
    r = ratio(line, where)
    return [figure(ours), f"{share:.2f}" if share else "", f"{figure(peer, ours)} ({peer['by']})" if peer else "",
            f"{r:.2f}" if r else ""]


def lines(document, wanted=None):
    all_lines = beside(document)
    has_gpu = any(where == "gpu" for line in all_lines.values() for where, _ in line)
    head = ["operation", "dtype", "size", "CPU", "of its ceiling", "best other on the CPU", "ratio"]
    head += ["GPU", "of its ceiling", "best other on the GPU", "ratio"] if has_gpu else []
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    keys = list(all_lines) if wanted is None else []
    for op, dtype, size in wanted or []:
        for s in (size, SHORT_SIZES.get(size)):
            if (op, dtype, s) in all_lines:
                keys.append((op, dtype, s))
                break
    for what in keys:
        cells = [*what, *side(all_lines[what], "cpu"), *(side(all_lines[what], "gpu") if has_gpu else [])]
        out.append("| " + " | ".join(cells) + " |")
    return out


def behind(document, below=0.97):
    """Where a peer is ahead: (ratio, what, place, our row, its row), the worst first."""
    found = []
    for what, line in beside(document).items():
        for where in ("cpu", "gpu"):
            r = ratio(line, where)
            if r is not None and r < below:
                found.append((r, what, where, line[where, "sluice"], line[where, "peer"]))
    return sorted(found, key=lambda x: x[0])


def others(document):
    """Each peer and each ceiling beside sluice, by itself."""
    out = ["| operation | dtype | size | where | by | figure | sluice over it |", "|" + "---|" * 7]
    for what, line in beside(document).items():
        for row in document["rows"]:
            if rows_of.what(row) == what and row["by"] != "sluice":
                ours = line.get((place(row), "sluice"))
                r = over(ours, row) if ours else None
                out.append(f"| {' | '.join(what)} | {row['where']} | {row['by']} | {figure(row)} | {f'{r:.2f}' if r else ''} |")
    return out


def heading(document):
    d = document
    return [f"# Figures of {d['revision']}", "", machine.in_words(d["machine"]) + ".", "",
            f"`{d['command']}` on {d['date']}: {d['rounds']} round{'s' * (d['rounds'] > 1)}, {d['minutes']} minutes; medians. Rates count bytes read and written, and "
            "two flops a multiply-add. The ratio is sluice's speed over that of the best other: above 1 sluice is ahead. Ceilings are "
            "of the same run: the FMA peak and reading alone on a CPU; cuBLAS, reading alone and copies by hand on a GPU.", ""]


def markdown(document):
    out = heading(document) + lines(document, SHORT) + [""]
    ahead = behind(document)
    out += ["## Where a peer is ahead", ""]
    out += [f"- {op}, {dtype}, {size}, {where.upper()}: {r:.2f}; {figure(ours)} and {figure(peer, ours)} ({peer['by']})"
            for r, (op, dtype, size), where, ours, peer in ahead] or ["Nowhere."]
    versions = document["machine"].get("packages")
    if versions:
        out += ["", "Python packages: " + ", ".join(f"{k} {v}" for k, v in versions.items()) + "."]
    if document["skipped"]:
        out += ["", "## Skipped", ""] + [f"- {what}: {why}" for what, why in document["skipped"]]
    if regret := document["notes"].get("placement_regret"):
        out += ["", "## What placement's choices cost", "", "```", regret.strip(), "```"]
    return "\n".join(out + ["", "## All", ""] + lines(document) + ["", "## Every other", ""] + others(document)) + "\n"

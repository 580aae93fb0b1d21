"""Rows: one figure each, of one operation by one library on one device. What programs write becomes rows, and rows of several
rounds become one with all its samples.

A row: op, by, where ("cpu", "cuda:0"), dtype, size; seconds, one a sample; rates, likewise, in unit ("flop/s", "B/s", "1/s");
share of the machine's ceiling, where one was measured in the same run; more, what else there is.
"""
import json
import statistics

KEY = ("op", "by", "where", "dtype", "size")
# What is no library that one could use instead, but a bound.
CEILINGS = {"peak", "read alone", "read alone, 1 thread", "memcpy", "memcpy, all threads", "pread alone", "rowsum of memory", "copy alone",
            "O_DIRECT alone", "cpp-httplib echo", "device read", "pread and sum", "by hand, pinned", "cudaMemcpy", "CUDA events"}
MORE = {"error": "error", "median_ms": "median_ms", "worst_ms": "worst_ms"}


def key(row):
    return tuple(row[k] for k in KEY)


def what(row):
    """What is done, whoever does it: rows that are the same in this are to be compared."""
    return row["op"], row["dtype"], row["size"]


def median(samples):
    return statistics.median(samples) if samples else None


def spread(samples):
    """Half the distance of the quartiles, over the median."""
    if len(samples) < 3:
        return 0.0
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return (high - low) / 2 / middle if middle else 0.0


def rate(row):
    return median(row["rates"])


def seconds(row):
    return median(row["seconds"])


def over(a, b):
    """How many times as fast a is as b: by their rates, or where one has none, or texts differ in length, by their times. None where they
    have nothing in common."""
    if not a["op"].endswith("code JSON") and a["rates"] and b["rates"] and a["unit"] == b["unit"]:
        return rate(a) / rate(b)
    if a["seconds"] and b["seconds"]:
        return seconds(b) / seconds(a)
    return None


def from_google(text):
    """Rows, machine notes and failures of Google Benchmark's JSON."""
    document = json.loads(text)
    unit_seconds = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    rows, failures = {}, []
    for b in document["benchmarks"]:
        if b.get("run_type") == "aggregate":
            continue
        named = b["run_name"].removesuffix("/manual_time").split("/", 4)
        if len(named) != 5:
            continue  # of a program from before names had five parts
        op, by, where, dtype, size = named
        if b.get("error_occurred"):
            failures.append(f"{b['run_name']}: {b.get('error_message')}")
            continue
        row = rows.setdefault(b["run_name"], {"op": op, "by": by, "where": where, "dtype": dtype, "size": size, "seconds": [], "rates": [],
                                              "unit": "", "shares": [], "more": {}})
        if by not in CEILINGS or "calls" in b:
            row["seconds"].append(b["real_time"] * unit_seconds[b["time_unit"]] / b.get("calls", 1))
        for counter, unit in (("flop/s", "flop/s"), ("bytes_per_second", "B/s")):
            if counter in b:
                row["rates"].append(b[counter])
                row["unit"] = unit
        if "share" in b:
            row["shares"].append(b["share"])
        row["more"].update({name: b[counter] for counter, name in MORE.items() if counter in b})
        if b.get("label"):
            row["more"]["label"] = b["label"]
    notes = {k: v for k, v in document["context"].items() if k.startswith(("device ", "refused ")) or k == "threads"}
    return list(rows.values()), notes, failures


# cuda_bench's figures: "OPERATION, ...": which operation, by whom it is done beside sluice.
def from_cuda_bench(text):
    rows = []
    scale = {"GB/s": (1e9, "B/s"), "TFLOP/s": (1e12, "flop/s")}
    for f in json.loads(text)["figures"]:
        named = cuda_name(f["name"])
        if named is None:
            continue
        for by, value in (("sluice", f["ours"]), (f["peer_name"], f["peer"]), (f["other_name"], f["other"])):
            if not by or not value:
                continue
            if by.startswith("(CUB"):
                continue
            op, dtype, size = named
            row = {"op": op, "by": "device read" if op == "device read" else by, "where": "cuda:0", "dtype": dtype, "size": size,
                   "seconds": [], "rates": [], "unit": "", "shares": [], "more": {"program": "cuda_bench"}}
            if f["unit"] == "us":
                row["seconds"] = [value * 1e-6]
            else:
                factor, row["unit"] = scale[f["unit"]]
                row["rates"] = [value * factor]
            rows.append(row)
    return rows


def cuda_name(name):
    """(op, dtype, size) of a name like "matmul f32, n = 1024", or None for what has no counterpart elsewhere."""
    if name.startswith("matmul ") and ", n = " in name:
        dtype, n = name.removeprefix("matmul ").split(", n = ")
        return "matmul", dtype, f"{n}x{n}x{n}"
    if name.startswith("matmul 8x8, host time"):
        return "matmul, host time of a call", "f32", "8x8x8"
    if name.startswith("rowsum ") and name.endswith(" columns") and " of " not in name:
        dtype, columns = name.removeprefix("rowsum ").removesuffix(" columns").split(", ")
        return "rowsum", dtype, "one row" if int(columns) >= 1 << 28 else f"{columns} columns"
    if name.startswith(("host to device, ", "device to host, ")):
        way, kind, size = name.split(", ")
        kib = int(size.split()[0])
        return f"{way}, {kind}", "f32", f"{kib} KiB" if kib < 1024 else f"{kib >> 10} MiB"
    if name.startswith("there and back, "):
        _, kind, size = name.split(", ")
        return ("matmul from host" if kind == "ordinary" else "matmul from pinned"), "f32", size + "x" + size.split("x")[0]
    if name.startswith("clock beside CUDA events, n = "):
        n = name.split(" = ")[1]
        return "clock beside CUDA events (cuBLAS)", "f32", f"{n}x{n}x{n}"
    if name.startswith("device read"):
        return "device read", "f32", "4 GiB"
    elementwise = {"f32 to bf16": ("convert to bf16", "f32"), "bf16 to f32": ("convert to f32", "bf16"), "fill f32": ("fill", "f32"),
                   "fill bf16": ("fill", "bf16"), "transposed copy f32": ("transposed copy", "f32")}
    if name in elementwise:
        return *elementwise[name], "1 GiB"
    return None


def merged(rounds):
    """One row a key, with the samples of all rounds; in the order of their coming."""
    out = {}
    for row in rounds:
        row.setdefault("shares", [])
        row.setdefault("more", {})
        have = out.get(key(row))
        if have is None:
            out[key(row)] = row
            continue
        if row["more"].get("program") != have["more"].get("program"):  # cuda_bench's, where sides take turns, go before
            if row["more"].get("program"):
                out[key(row)] = row
            continue
        for field in ("seconds", "rates", "shares"):
            have[field] += row[field]
        have["more"].update(row["more"])
    return list(out.values())


def with_shares(rows):
    """Adds the shares that rows of other programs tell: on a GPU of cuBLAS, of reading alone and of copies by hand; of peers on the CPU of
    the FMA peak and of reading."""
    best = {}
    for row in rows:
        best.setdefault((row["op"], row["by"], row["where"], row["dtype"], row["size"]), row)

    def ceiling(row):
        if row["where"] != "cpu":
            if row["op"] == "rowsum":
                return best.get(("device read", "device read", row["where"], "f32", "4 GiB"))
            for by in ("cuBLAS, same promise", "cuBLAS, as for fast", "by hand", "by hand, pinned", "cudaMemcpy"):
                if found := best.get((row["op"], by, row["where"], row["dtype"], row["size"])):
                    return found
        elif row["op"] == "matmul" and row["dtype"] == "f32":
            return max((r for r in rows if r["by"] == "peak"), key=rate, default=None)
        elif row["op"] == "rowsum":
            return best.get(("rowsum", "read alone", "cpu", "f32", "1024 columns"))
        elif row["op"] == "file rowsum, read" or row["op"] == "file rowsum, mapped":
            return next((r for r in rows if r["op"] == row["op"] and r["by"] in ("pread alone", "rowsum of memory")), None)
        elif row["op"].startswith("cold file rowsum"):
            return next((r for r in rows if r["op"] == row["op"] and r["by"] == "O_DIRECT alone"), None)
        return None

    for row in rows:
        if row.get("share") is None:
            row["share"] = median(row.get("shares", []))
        if row["share"] is None and row["by"] not in CEILINGS and (top := ceiling(row)) is not None and top is not row:
            row["share"] = over(row, top)
    return rows


def joined(documents):
    """One document of several that were measured one after the other on one machine, each with other parts."""
    first = {**documents[0]}
    first["rows"] = with_shares(merged([row for d in documents for row in d["rows"]]))
    for row in first["rows"]:
        row.pop("shares", None)
    first["minutes"] = round(sum(d["minutes"] for d in documents), 1)
    first["notes"] = {k: v for d in documents for k, v in d["notes"].items()}
    # What one of them skipped, another may have.
    done = {row["by"] for row in first["rows"]}
    skipped = [tuple(s) for d in documents for s in d["skipped"] if s[0].split(" (")[0] not in done]
    first["skipped"] = [list(s) for s in dict.fromkeys(skipped)]
    return first


def rounded(rows):
    """For files: five digits of each sample."""
    def short(x):
        return float(f"{x:.5g}") if isinstance(x, float) else x

    out = []
    for row in rows:
        row = {**row, "seconds": [short(x) for x in row["seconds"]], "rates": [short(x) for x in row["rates"]],
               "more": {k: short(v) for k, v in row["more"].items()}, "share": short(row.get("share"))}
        row.pop("shares", None)
        out.append(row)
    return out

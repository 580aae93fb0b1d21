"""One page of a run: its pictures in place, and its table."""
import html as escape
import os
import re

import table

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}
table{border-collapse:collapse;font-size:13px;display:block;overflow-x:auto}td,th{border:1px solid #d0d7de;padding:2px 8px;text-align:left}
svg{max-width:100%;height:auto}code{background:#f6f8fa;padding:1px 4px}"""
PICTURES = (("latency.svg", "Time of a call against size"), ("share.svg", "Share of the ceiling"),
            ("requests.svg", "Requests a second against clients"), ("readers.svg", "A file against its readers"))


def inline(text):
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape.escape(text))


def from_markdown(text):
    """As much of Markdown as the table is written in."""
    out, rows, items = [], [], []

    def flush():
        if rows:
            cells = ["".join(f"<{tag}>{inline(c.strip())}</{tag}>" for c in row.strip("|").split("|"))
                     for tag, row in [("th", rows[0])] + [("td", r) for r in rows[2:]]]
            out.append("<table>" + "".join(f"<tr>{c}</tr>" for c in cells) + "</table>")
            rows.clear()
        if items:
            out.append("<ul>" + "".join(f"<li>{inline(i)}</li>" for i in items) + "</ul>")
            items.clear()

    for part in re.split(r"^```\n(.*?)^```$", text, flags=re.M | re.S)[1::2]:
        text = text.replace(f"```\n{part}```", f"<pre>{escape.escape(part)}".replace("\n", "\0") + "</pre>")
    for line in text.splitlines():
        if line.startswith("<pre>"):
            flush()
            out.append(line.replace("\0", "\n"))
        elif line.startswith("|"):
            rows.append(line)
        elif line.startswith("- "):
            items.append(line[2:])
        else:
            flush()
            if line.startswith("#"):
                depth = len(line) - len(line.lstrip("#"))
                out.append(f"<h{depth}>{inline(line.lstrip('# '))}</h{depth}>")
            elif line:
                out.append(f"<p>{inline(line)}</p>")
    flush()
    return "\n".join(out)


def html(document, folder):
    pictures = []
    for name, title in PICTURES:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path) as f:
                svg = f.read()
            # Several drawings on one page: each has its own ids.
            prefix = name.removesuffix(".svg")
            svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", svg[svg.index("<svg"):])
            pictures.append(f"<h2>{title}</h2>\n{svg}")
    text = from_markdown(table.markdown(document))
    at = text.index("<h2>")
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>sluice: figures</title><style>{STYLE}</style></head><body>\n'
            f"{text[:at]}{''.join(pictures)}\n{text[at:]}\n</body></html>\n")

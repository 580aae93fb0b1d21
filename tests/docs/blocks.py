"""The fenced code blocks of Markdown pages, with what their invisible comments say of them.

A comment before a block tells its test what the reader need not see:

    <!-- test: given CODE -->              put before the block: C++, Python or shell, as the block is
    <!-- test: then CODE -->               put behind it; in C++ `check(CONDITION)` fails the test
    <!-- test: name NAME -->               what others call this block
    <!-- test: after NAME -->              a C++ fragment that goes on where the block of that name ends
    <!-- test: at namespace scope -->      a C++ fragment of declarations
    <!-- test: serves -->                  C++ that listens on port 8080, which console blocks may ask by its name
    <!-- test: compile only, REASON -->    C++ that is not run
    <!-- test: server NAME -->             console: asks the program of that name, not the example server
    <!-- test: server --OPTION ... -->     console: asks an example server with these options
    <!-- test: until stopped -->           console: a command that runs until it is stopped
    <!-- test: with models -->             needs ONNX Runtime, and models, which are in the folder $MODELS; skipped without
    <!-- test: untested, REASON -->        nothing can be done; the test prints it
"""
import os
import re

FENCE = re.compile(r"^( *)(`{3,})\s*([\w+-]*)\s*$")
KEYS = ("given", "then", "name", "after", "at namespace scope", "serves", "compile only", "server", "until stopped", "with models", "untested")
WITH_TEXT = {"given", "then", "name", "after", "compile only", "server", "untested"}


class Block:
    def __init__(self, page, line, language, text, says):
        self.page, self.line, self.language, self.text = page, line, language, text  # `line` is the first of the text
        self.says = says  # key -> list of texts

    def __str__(self):
        return f"{self.page}:{self.line}: {self.language or 'a block without a language'}"

    def one(self, key, default=None):
        return self.says[key][-1] if key in self.says else default

    def all(self, key):
        return "\n".join(self.says.get(key, []))

    @property
    def is_program(self):
        return self.language == "cpp" and re.search(r"^int main\(", self.text, re.M) is not None


def said(text, where):
    for key in KEYS:
        if text == key or text.startswith((key + " ", key + ",", key + "\n")):
            rest = text[len(key):].lstrip(",").strip()
            if (key in WITH_TEXT) != bool(rest):
                raise SystemExit(f"{where}: \"test: {key}\" needs {'words behind it' if key in WITH_TEXT else 'nothing else'}")
            return key, rest
    raise SystemExit(f"{where}: no block says \"test: {text}\"; there are: {', '.join(KEYS)}")


def blocks_of(root, page):
    """The blocks of root/page in order. Exits for a fence that is not closed and for a comment that no block follows."""
    lines = open(os.path.join(root, page), encoding="utf-8").read().split("\n")
    found, says, i = [], {}, 0
    while i < len(lines):
        where = f"{page}:{i + 1}"
        if lines[i].lstrip().startswith("<!-- test:"):
            comment = lines[i].strip()
            while "-->" not in comment:
                i += 1
                if i == len(lines):
                    raise SystemExit(f"{where}: this comment does not end")
                comment += "\n" + lines[i]
            key, text = said(comment[len("<!-- test:"):comment.index("-->")].strip(), where)
            says.setdefault(key, []).append(text)
        elif fence := FENCE.match(lines[i]):
            indent, ticks, language = fence.groups()
            first = i = i + 1
            while i < len(lines) and lines[i].strip() != ticks:
                i += 1
            if i == len(lines):
                raise SystemExit(f"{where}: this block does not end")
            text = "\n".join(line.removeprefix(indent) for line in lines[first:i])
            found.append(Block(page, first + 1, language, text + "\n", says))
            says = {}
        elif lines[i].strip() and says:
            raise SystemExit(f"{where}: \"test: {next(iter(says))}\" is not before a block")
        elif re.match(r"^ {4}\S", lines[i]) and (i == 0 or not lines[i - 1].strip()):
            raise SystemExit(f"{where}: an indented block: give it a fence and a language")
        i += 1
    return found


def named(blocks, name, page):
    for block in blocks:
        if block.page == page and block.one("name") == name:
            return block
    raise SystemExit(f"{page}: no block is named {name}")

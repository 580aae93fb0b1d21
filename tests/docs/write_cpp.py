"""Writes the C++ blocks of Markdown pages as sources of one program. Usage: write_cpp.py ROOT FOLDER PAGE...

Programs become a source each, as they are but for the name of main; fragments, together with what their comments give them,
functions of one source. Prints the sources, one a line. PROGRAM N runs block N, in the order of blocks.cpp_blocks()."""
import os
import re
import sys

from blocks import blocks_of, named

ROOT, FOLDER, PAGES = sys.argv[1], sys.argv[2], sys.argv[3:]

HEAD = """#include "sluice/hardened_server.hpp"
#include "sluice/httplib.hpp"
#include "sluice/sluice.hpp"

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <thread>

#undef NDEBUG
#include <cassert>

inline int docs_port() { return std::atoi(std::getenv("DOCS_PORT")); }
inline void check(bool holds) {
  if (!holds) throw std::runtime_error("a check of the block's does not hold");
}
"""

MAIN = """
int main(int argc, char** argv) try {
  switch (argc == 2 ? std::atoi(argv[1]) : -1) {
%s    default: return 2;
  }
} catch (const std::exception& e) {
  std::cerr << e.what() << '\\n';
  return 1;
}
"""


def placed(block):
    return f'#line {block.line} "{os.path.join(ROOT, block.page)}"\n{block.text}'.replace(", 8080)", ", docs_port())")


def chain(block, blocks):
    """What the block goes on from, with what is given to each."""
    before = chain(named(blocks, block.one("after"), block.page), blocks) if "after" in block.says else ""
    return f"{before}{block.all('given')}\n{placed(block)}"


def save(name, text):
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
        open(path, "w", encoding="utf-8").write(text)
    print(path)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    blocks = [b for page in PAGES for b in blocks_of(ROOT, page) if b.language == "cpp" and "untested" not in b.says]
    declared, fragments, cases = "", "", ""
    for n, block in enumerate(blocks):
        if block.is_program:
            save(f"program_{n}.cpp", f"#include <cstdlib>\ninline int docs_port() {{ return std::atoi(std::getenv(\"DOCS_PORT\")); }}\n"
                                     f"#define main docs_program_{n}\n{placed(block)}")
            declared += f"int docs_program_{n}();\n"
            cases += f"    case {n}: return docs_program_{n}();\n"
            continue
        text = chain(block, blocks)
        if "at namespace scope" in block.says:
            body, outside = block.all("then") + "\n", text
        else:
            body, outside = f"{text}\n{block.all('then')}\n", ""
        fragments += f"namespace docs_{n} {{\n{outside}int run() {{\n{body}return 0;\n}}\n}}\n"
        cases += f"    case {n}: return docs_{n}::run();\n"
    includes = "".join(sorted(set(re.findall(r"^#include .*\n", fragments, re.M))))
    fragments = re.sub(r"^#include .*$", "", fragments, flags=re.M)
    save("fragments.cpp", includes + HEAD + declared + fragments + '#line 1 "main"\n' + MAIN % cases)


main()

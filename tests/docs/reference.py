"""Makes the reference and looks whether every public name is in it with words of its own: Doxygen warns of most that have none, but not
of values of enumerations, nor of functions that are deleted. Usage: reference.py DOXYGEN DOXYFILE XML-FOLDER"""
import collections
import glob
import subprocess
import sys
import xml.etree.ElementTree as xml

DOXYGEN, DOXYFILE, FOLDER = sys.argv[1:]


def is_silent(node):
    return not "".join("".join(node.find(part).itertext()) for part in ("briefdescription", "detaileddescription")).strip()


def main():
    made = subprocess.run([DOXYGEN, DOXYFILE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(made.stdout, end="")
    counts, silent, seen = collections.Counter(), [], set()
    for path in glob.glob(FOLDER + "/*.xml"):
        for compound in xml.parse(path).getroot().findall("compounddef"):
            whole = compound.findtext("compoundname")
            if compound.get("kind") in ("class", "struct"):
                counts["class"] += 1
                if is_silent(compound) and "<" not in whole:  # a specialization is what its template says
                    silent.append(whole)
            for member in compound.iter("memberdef"):
                if member.get("prot") == "private" or member.get("id") in seen or member.get("kind") == "friend" and member.findtext("type", "").strip().startswith(("struct", "friend struct")):
                    continue
                seen.add(member.get("id"))
                name = f"{whole}::{member.findtext('name')}{member.findtext('argsstring') or ''}"
                for node, label in [(member, name), *((v, f"{name}::{v.findtext('name')}") for v in member.findall("enumvalue"))]:
                    counts["value" if node is not member else member.get("kind")] += 1
                    if is_silent(node):
                        silent.append(label)
    print(f"{sum(counts.values())} public names:", ", ".join(f"{n} {kind}" for kind, n in counts.most_common()))
    for name in silent:
        print(f"{name} says nothing")
    sys.exit(1 if made.returncode != 0 or silent or not counts else 0)


main()

"""What a library shows to a program that is linked with it.

symbols_test.py NM READELF LIBRARY...: a shared library shows names of namespace sluice and no other; in a static one all names
are hidden from whoever links a shared library out of it, but for
templates of the standard library, which the compiler leaves visible.
"""
import re
import subprocess
import sys

ours = re.compile(r"_ZN?K?6sluice|_ZT[ISV]N6sluice")
# Of std::, whatever it is instantiated for, and the type infos of functions that std::function asks for.
standard = re.compile(r"_Z(T[ISV]|GV)?Z?N?K?S[tabdios]|_ZT[IS]P?(Do)?F")


def lines(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def shown_by_shared(nm, path):
    return [line.split()[-1] for line in lines(nm, "-D", "--defined-only", path)]


def shown_by_static(readelf, path):
    """(name, binding) of what is defined and of default visibility."""
    for line in lines(readelf, "-sW", path):
        words = line.split()
        if len(words) >= 8 and words[4] in ("GLOBAL", "WEAK", "UNIQUE") and words[5] == "DEFAULT" and words[6] != "UND":
            yield words[7], words[4]


def main():
    nm, readelf, *libraries = sys.argv[1:]
    wrong = []
    for path in libraries:
        if path.endswith(".a"):
            shown = set(shown_by_static(readelf, path))
            wrong += [name for name, binding in shown if binding == "GLOBAL" or not standard.match(name)]
            hidden = sum("HIDDEN" in line for line in lines(readelf, "-sW", path))
            print(f"{path}: {len(shown)} templates of the standard library visible, {hidden} symbols hidden")
            if hidden < 50:
                sys.exit(f"{path}: only {hidden} hidden symbols: was it read?")
        else:
            shown = set(shown_by_shared(nm, path))
            wrong += [name for name in shown if not ours.match(name)]
            print(f"{path}: {len(shown)} symbols")
            if not shown:
                sys.exit(f"{path}: no symbols: was it read?")
    if wrong:
        names = subprocess.run(["c++filt"], input="\n".join(sorted(wrong)), capture_output=True, text=True).stdout
        sys.exit(f"{len(wrong)} that should not be seen:\n{names}")


main()

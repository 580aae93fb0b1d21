"""docs/architecture.md names what is there: every path in backquotes exists, every room is in its table, and its list of public
headers is complete and in the order that the test `house` holds. Usage: architecture_test.py ROOT"""
import os
import re
import sys

from house_test import PUBLIC

ROOT = sys.argv[1]


def main():
    with open(os.path.join(ROOT, "docs/architecture.md")) as file:
        text = file.read()
    bad = []
    for name in re.findall(r"`((?:include|src|adapters|examples|tests|bench|docs)(?:/[\w.]+)*)`", text):
        if not os.path.exists(os.path.join(ROOT, name)):
            bad.append(f"{name} does not exist")
    rooms = [f"include/sluice/impl/{r}" for r in os.listdir(os.path.join(ROOT, "include/sluice/impl"))]
    rooms += [f"adapters/{a}" for a in os.listdir(os.path.join(ROOT, "adapters")) if os.path.isdir(os.path.join(ROOT, "adapters", a))]
    bad += [f"{room} is not in the table of rooms" for room in rooms if f"| `{room}` |" not in text]
    service = os.path.join(ROOT, "adapters/service/src")
    bad += [f"adapters/service/src/{room} is not named" for room in os.listdir(service)
            if os.path.isdir(os.path.join(service, room)) and os.listdir(os.path.join(service, room)) and f"`{room}`" not in text]
    listed = re.search(r"Public headers, each including only those before it: (.*?)\.\nNone", text, re.S).group(1)
    listed = re.findall(r"[\w]+\.hpp|[\w]+\.h|ops/", listed)
    there = set(os.listdir(os.path.join(ROOT, "include/sluice"))) - {"impl", "ops"} | {"ops/"}
    bad += [f"{header} is not listed" for header in sorted(there - set(listed))]
    bad += [f"{header} is listed and does not exist" for header in listed if header not in there]
    if listed != [h for h in PUBLIC if h in there]:
        bad.append(f"the public headers are listed in another order than house_test.py has: {listed}")
    print("\n".join(bad))
    sys.exit(1 if bad else 0)


main()

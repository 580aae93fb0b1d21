"""A virtual environment with packages from PyPI for one test, made once, in the build folder."""
import os
import subprocess
import sys


def make(folder, module, packages):
    """(python, None): of `folder`, where `module` can be imported; (None, why) where `packages` cannot be had."""
    python = os.path.join(folder, "bin", "python")
    made_for = os.path.join(folder, "packages.txt")
    wanted = "\n".join(packages)
    there = os.path.exists(made_for) and open(made_for).read() == wanted
    if not there or subprocess.run([python, "-c", "import " + module], capture_output=True).returncode != 0:
        for command in (
            [sys.executable, "-m", "venv", "--clear", folder],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
                return None, f"{packages[0]} cannot be installed: {' '.join(command[:4])}: {last[0]}"
        with open(made_for, "w") as file:
            file.write(wanted)
    return python, None


def enter(folder, module, packages):
    """Starts the calling program over in `folder`'s Python, where `module` can be imported. Where `packages` cannot be had,
    the test is skipped (77)."""
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    python, why = make(folder, module, packages)
    if python is None:
        print(f"skipped: {why}")
        sys.exit(77)
    os.execv(python, [python, os.path.abspath(sys.argv[0]), *sys.argv[1:]])

"""Runs the code blocks of Markdown pages, page by page, each in a folder of its own, and compares what they print.
Usage: run_blocks.py ROOT BUILD BIN CPP-PROGRAM PAGE...

In console blocks `$ ` begins a command, `...` in what follows stands for any text, and 127.0.0.1:8080 is a server that the test
starts. Programs come from BIN and from the system. Exits with 77 when all is well but what needed a package that cannot be had."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment
from blocks import blocks_of, named

ROOT, BUILD, BIN, PROGRAM, PAGES = *sys.argv[1:5], sys.argv[5:]
ADDRESS = "127.0.0.1:8080"
MODELS = BUILD + "/onnxruntime"  # of tests/model/set_up
HAS_MODELS = os.path.exists(MODELS + "/ready")
MARK = "docs-block-ends-with:"


class Failed(Exception):
    pass


class Server:
    """A program that prints or is told its port, and ends well when it is asked to."""

    def __init__(self, command, folder, env, port=None):
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=dict(env, DOCS_PORT=str(port or 0)))
        self.asked_to_end = port is None  # the other kind has no way to end but a signal
        if port is None:
            first = self.process.stdout.readline()
            found = re.search(r":(\d+)$", first.strip())
            if not found:
                raise Failed(f"{' '.join(command)} did not start: {first}{self.process.stdout.read()}")
            port = int(found[1])
        self.address = f"127.0.0.1:{port}"
        wait_for_port(port, self.process)

    def stop(self):
        self.process.terminate()
        status = self.process.wait(30)
        self.process.stdout.close()
        if status != (0 if self.asked_to_end else -signal.SIGTERM):
            raise Failed(f"the server ended with {status}")


def wait_for_port(port, process):
    import socket
    for _ in range(400):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise Failed(f"nobody listens on port {port}: {process.stdout.read() if process.poll() is not None else 'still waiting'}")


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def same(got, wanted):
    tidy = lambda text: "\n".join(line.rstrip() for line in text.strip().split("\n"))
    pattern = ".*?".join(re.escape(part) for part in tidy(wanted).split("..."))
    return re.fullmatch(pattern, tidy(got), re.S) is not None


def commands_of(text):
    """(command, expected output) pairs; a line that ends with a backslash goes on in the next."""
    pairs, going_on = [], False
    for line in text.split("\n"):
        if going_on:
            pairs[-1][0] += "\n" + line.removeprefix("> ")
        elif line.startswith("$ "):
            pairs.append([line[2:], ""])
        elif not pairs:
            raise Failed("a console block begins with \"$ \" and a command")
        else:
            pairs[-1][1] += line + "\n"
            continue
        going_on = pairs[-1][0].endswith("\\")
    return pairs


class Page:
    """The blocks of one page: their scratch folder, and the servers that they ask."""

    def __init__(self, page, cpp_numbers):
        self.page, self.numbers = page, cpp_numbers
        self.blocks = blocks_of(ROOT, page)
        self.folder = tempfile.mkdtemp(prefix="docs-")
        os.symlink(BUILD, os.path.join(self.folder, "build"))
        # As on a machine with a CPU alone, that was never calibrated.
        own = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
        self.env = dict(own, PATH=BIN + os.pathsep + own["PATH"], XDG_CACHE_HOME=self.folder + "/.cache", CUDA_VISIBLE_DEVICES="",
                        LC_ALL="C", TERM="dumb")
        if HAS_MODELS:
            self.env.update(SLUICE_ONNXRUNTIME=MODELS + "/engine", MODELS=MODELS + "/models")
        self.servers = {}

    def close(self):
        try:
            for server in self.servers.values():
                server.stop()
        finally:
            shutil.rmtree(self.folder)

    def server(self, wanted):
        """The address of C++ block number `wanted`, of the block of that name, or of an example server with these options."""
        if isinstance(wanted, str) and wanted and not wanted.startswith("-"):
            wanted = self.numbers[id_of(named(self.blocks, wanted, self.page))]
        if wanted not in self.servers:
            if isinstance(wanted, int):
                self.servers[wanted] = Server([PROGRAM, str(wanted)], self.folder, self.env, free_port())
            else:
                data = f"{self.folder}/.server{len(self.servers)}"
                self.servers[wanted] = Server([f"{BIN}/sluice-server", "--port", "0", "--data-dir", data, "--jobs", data + "/jobs",
                                               "--data", f"files={self.folder}", *wanted.split()], self.folder, self.env)
        return self.servers[wanted].address

    def shell(self, script):
        return subprocess.run(["bash", "-c", script], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, stdin=subprocess.DEVNULL).stdout

    def console(self, block):
        pairs = commands_of(block.text)
        if "until stopped" in block.says:
            return self.until_stopped(pairs)
        script = block.all("given") + "\n"
        if script.strip():
            script = "{\n" + script + "} >/dev/null 2>&1\n"
        script += "".join(f"{command}\nprintf '\\n{MARK}%d\\n' $?\n" for command, _ in pairs)
        address = ADDRESS
        if ADDRESS in script:
            address = self.server(block.one("server", ""))
        script = script.replace(ADDRESS, address)
        printed = self.shell(script).replace(address, ADDRESS).replace(self.folder, ".")
        answers = re.split(rf"\n{MARK}(\d+)\n", printed)
        if len(answers) != 2 * len(pairs) + 1:
            raise Failed(f"the shell did not get to the end:\n{printed}")
        for (command, wanted), got, status in zip(pairs, answers[::2], answers[1::2]):
            if not same(got, wanted):
                raise Failed(f"$ {command}\nprints\n{got}\nand not\n{wanted}")
            if status != "0":
                raise Failed(f"$ {command}\nends with {status}")

    def until_stopped(self, pairs):
        (command, wanted), = pairs
        if command.startswith("sluice-server") and "--port" not in command:
            command += " --port 0"
        with open(self.folder + "/.printed", "w+") as printed:
            process = subprocess.Popen(["bash", "-c", "exec " + command], cwd=self.folder, env=self.env, stdout=printed,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            for _ in range(600):
                time.sleep(0.05)
                got = re.sub(r"127\.0\.0\.1:\d+", ADDRESS, open(printed.name).read())
                if same(got, wanted) or process.poll() is not None:
                    break
            process.terminate()
            status = process.wait(30)
        if not same(got, wanted):
            raise Failed(f"$ {command}\nprints\n{got}\nand not\n{wanted}")
        if status != 0:
            raise Failed(f"$ {command}\nends with {status}, asked to stop")

    def cpp(self, block):
        if "compile only" in block.says:
            return
        if "serves" in block.says:
            self.server(self.numbers[id_of(block)])
            return
        done = subprocess.run([PROGRAM, str(self.numbers[id_of(block)])], cwd=self.folder, env=self.env, capture_output=True, text=True,
                              timeout=60)
        if done.returncode != 0:
            raise Failed(f"ends with {done.returncode}: {done.stdout}{done.stderr}")

    def python(self, block):
        """What stands behind a `print(...)  # ` is in the output, in order, blanks aside."""
        python, why = environment.make(f"{BUILD}/tritonclient", "tritonclient.http", ["tritonclient[http]"])
        if python is None:
            return why
        script = block.all("given") + "\n" + block.text
        if ADDRESS in script:
            script = script.replace(ADDRESS, self.server(block.one("server", "")))
        done = subprocess.run([python, "-c", script], cwd=self.folder, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(done.stderr)
        rest = " ".join(done.stdout.split())
        for wanted in re.findall(r"^ *print\(.*\)  # (.*)$", block.text, re.M):
            at = rest.find(wanted)
            if at < 0:
                raise Failed(f"prints\n{done.stdout}\nand not\n{wanted}")
            rest = rest[at + len(wanted):]
        return None

    def json(self, block):
        json.loads(block.text)

    def yaml(self, block):
        import yaml
        if not [document for document in yaml.safe_load_all(block.text) if document]:
            raise Failed("is empty")

    def cmake(self, block):
        """Configured as the lists of a project whose one source is main.cpp: against an installed sluice, or this one's sources."""
        prefix = os.path.join(self.folder, ".prefix")
        if "find_package(sluice" in block.text and not os.path.exists(prefix):
            for component in ("sluice", "sluice_service", "sluice_dev"):
                self.configure(["cmake", "--install", BUILD, "--prefix", prefix, "--component", component])
        project = tempfile.mkdtemp(dir=self.folder)
        head = "" if "project(" in block.text else "cmake_minimum_required(VERSION 3.25)\nproject(block LANGUAGES CXX)\n"
        # What is given stands behind the project, where a reader's own targets would be.
        open(project + "/CMakeLists.txt", "w").write(head + block.all("given") + "\n" + block.text + block.all("then") + "\n")
        open(project + "/main.cpp", "w").write("int main() {}\n")
        if "add_subdirectory(sluice" in block.text:
            os.symlink(ROOT, project + "/sluice")
        self.configure(["cmake", "-S", project, "-B", project + "/build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
                        f"-DFETCHCONTENT_SOURCE_DIR_SLUICE={ROOT}", "-DSLUICE_CUDA=OFF"])

    def configure(self, command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}\n{done.stdout}")


def id_of(block):
    return block.page, block.line


def check_links(page):
    """Each relative link of the page leads to a file, and each #anchor to a heading."""
    text = re.sub(r"^```.*?^```", "", open(os.path.join(ROOT, page), encoding="utf-8").read(), flags=re.S | re.M)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(ROOT, os.path.dirname(page), path)) if path else os.path.join(ROOT, page)
        if not os.path.exists(target):
            raise Failed(f"the link {link} leads nowhere")
        if anchor:
            headings = re.findall(r"^#+ +(.*)$", open(target, encoding="utf-8").read(), re.M)
            if anchor not in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}:
                raise Failed(f"the link {link} leads to no heading")


def main():
    counts, failures, left_out = collections.Counter(), [], []
    cpp = [b for p in PAGES for b in blocks_of(ROOT, p) if b.language == "cpp" and "untested" not in b.says]
    numbers = {id_of(b): n for n, b in enumerate(cpp)}
    for name in PAGES:
        page = Page(name, numbers)
        try:
            check_links(name)
        except Failed as e:
            failures.append(f"{name}: {e}")
        try:
            for block in page.blocks:
                if "untested" in block.says:
                    left_out.append(f"{block}: untested, {block.one('untested')}")
                    continue
                if "with models" in block.says and not HAS_MODELS:
                    left_out.append(f"{block}: skipped: the test model_setup has no ONNX Runtime")
                    continue
                if block.language not in ("cpp", "console", "python", "json", "yaml", "cmake"):
                    failures.append(f"{block}: there is no way to test it: choose another language, or say why it is untested")
                    continue
                try:
                    why_not = getattr(page, block.language)(block)
                except (Failed, ValueError, OSError, subprocess.SubprocessError) as e:
                    failures.append(f"{block}: {e}")
                    continue
                if why_not:
                    left_out.append(f"{block}: skipped: {why_not}")
                else:
                    counts[block.language + (", compiled only" if "compile only" in block.says else "")] += 1
        finally:
            try:
                page.close()
            except Failed as e:
                failures.append(f"{name}: {e}")
    print("tested:", ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())), f"and the links of {len(PAGES)} pages")
    for line in left_out:
        print(line)
    for line in failures:
        print(f"FAILED {line}")
    sys.exit(1 if failures else 77 if any(": skipped: " in line for line in left_out) else 0)


main()

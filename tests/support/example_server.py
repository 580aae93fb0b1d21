"""The example server with jobs, on a free port and with a folder of its own."""
import json
import re
import subprocess
import tempfile
import urllib.error
import urllib.request


class Server:
    def __init__(self, program, *options):
        self.data = tempfile.TemporaryDirectory()
        command = [program, "--port", "0", "--data-dir", self.data.name, "--jobs", self.data.name + "/jobs",
                   "--data", "data=" + self.data.name, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = "http://127.0.0.1:" + re.search(r":(\d+)$", self.process.stdout.readline().strip()).group(1)
        while "curl" not in self.process.stdout.readline():
            pass

    def ask(self, path, body=None, **headers):
        asked = urllib.request.Request(self.url + path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.headers, e.read()

    def post(self, path, value):
        asked = urllib.request.Request(self.url + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.read()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(20)
        self.process.stdout.close()
        self.data.cleanup()
        assert code == 0, f"the server ended with {code}"

"""/openapi.json of the example server: valid OpenAPI 3.1, and what schemathesis finds when it asks for everything in it.
Usage: openapi_test.py SLUICE-SERVER FOLDER [CASES]

CASES for each operation, by fuzzing, beside the few dozen that it writes itself. FOLDER gets a virtual environment with the
packages; where they cannot be had, the test is skipped (77)."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment
from example_server import Server

SERVER, FOLDER = sys.argv[1:3]
CASES = sys.argv[3] if len(sys.argv) > 3 else "10"
environment.enter(FOLDER, "schemathesis, openapi_spec_validator", ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"])

import openapi_spec_validator

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemathesis.toml")



class TestDocument(unittest.TestCase):
    def serve(self, *options):
        server = Server(SERVER, *options)
        self.addCleanup(server.stop)
        return server

    def schemathesis(self, server, *options):
        with tempfile.TemporaryDirectory() as folder:  # it leaves files where it runs
            command = [os.path.join(FOLDER, "bin", "schemathesis"), "--config-file", CONFIG, "run", server.url + "/openapi.json",
                       "--no-color", "--no-shrink", "--continue-on-failure", "--warnings", "off",
                       "--seed", "1", *options]
            done = subprocess.run(command, capture_output=True, cwd=folder)
        text = done.stdout.decode(errors="replace")
        print("\n".join(line for line in text.splitlines() if re.search(r"\d+ generated|= .*(passed|failures?)", line)))
        self.assertEqual(done.returncode, 0, text[-8000:])

    def test_it_is_valid(self):
        status, headers, text = self.serve().ask("/openapi.json")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        openapi_spec_validator.validate(json.loads(text))

    def test_every_answer_is_in_it(self):
        self.schemathesis(self.serve(), "--phases", "examples,coverage,fuzzing", "-n", CASES)

    def test_tokens_are_in_it(self):
        file = tempfile.NamedTemporaryFile("w")
        self.addCleanup(file.close)
        file.write("one-token\n")
        file.flush()
        server = self.serve("--token-file", file.name)
        document = json.loads(server.ask("/openapi.json")[2])
        self.assertEqual(document["security"], [{"bearer": []}])
        self.assertEqual(document["paths"]["/health/live"]["get"]["security"], [])
        self.assertIn("401", document["paths"]["/v1/rowsum"]["post"]["responses"])
        self.schemathesis(server, "--phases", "examples,coverage", "-n", "1", "-H", "Authorization: Bearer one-token",
                          "--include-path-regex", "^/(v1|metrics)")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)

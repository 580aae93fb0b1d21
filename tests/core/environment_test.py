"""Every environment variable of the library's that holds what cannot be read is reported once, with its value and what it takes,
and counts as not set; one that can be read, or is empty, is not reported. Usage: environment_test.py LIST_DEVICES FAKE_MODULES"""
import os
import re
import subprocess
import sys
import unittest

PROGRAM, MODULES = sys.argv[1:3]


def run(**variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
    done = subprocess.run([PROGRAM], env={**environment, **variables}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout, done.stderr


class Environment(unittest.TestCase):
    def reported(self, name, value, accepted):
        out, said = run(**{name: value})
        self.assertRegex(said, rf'^sluice: {name}="{re.escape(value[:200])}(\.\.\.)?" is ignored: it takes {accepted}\n$')
        self.assertEqual(out, run()[0])

    def test_threads(self):
        for value in ("abc", "4x", " 4", "0", "-1", "4097", "1e3", "99999999999999999999", "4 ", "+4", "0x4", "x" * 300):
            self.reported("SLUICE_THREADS", value, "a whole number from 1 to 4096")
        for value in ("", "1", "3", "03", "4096"):
            self.assertEqual(run(SLUICE_THREADS=value)[1], "")
        self.assertIn(" 3 threads", run(SLUICE_THREADS="3")[0])

    def test_log(self):
        for value in ("debug", "-1", "4", "1.5"):
            self.reported("SLUICE_LOG", value, "a whole number from 0 to 3")
        self.assertEqual(run(SLUICE_LOG="")[1], "")
        said = run(SLUICE_LOG="1", SLUICE_BACKEND_PATH=MODULES)[1]
        self.assertRegex(said, r"^sluice: fake: 2 device\(s\), from ")

    def test_simd(self):
        widest = run()[0]
        for value in ("sse", "AVX2", "plain ", "avx1024"):
            self.reported("SLUICE_SIMD", value, "plain( or [a-z0-9]+)* on this processor")
        for value in ("", "plain"):
            self.assertEqual(run(SLUICE_SIMD=value)[1], "")
        self.assertIn("threads, plain\n", run(SLUICE_SIMD="plain")[0])
        own = re.search(r"threads, (\w+)\n", widest).group(1)
        self.assertEqual(run(SLUICE_SIMD=own), (widest, ""))

    def test_backend_path(self):
        for value in ("modules", ".", "modules::other", "./a:../b"):
            self.reported("SLUICE_BACKEND_PATH", value, "absolute folders, [a-z ,]+")
        self.assertEqual(run(SLUICE_BACKEND_PATH=f":{MODULES}:")[1], "")
        self.assertIn("device fake:1", run(SLUICE_BACKEND_PATH=f"modules:{MODULES}")[0])


unittest.main(argv=sys.argv[:1])

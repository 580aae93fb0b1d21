"""canny_file_test.py SLUICE-CANNY: files of images to files of edges, by the shell: names, streams, refusals, progress, Ctrl-C."""
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

PROGRAM = os.path.abspath(sys.argv.pop())


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def square(size):
    """A grey PNG, black with a white square from a quarter to three quarters."""
    side = range(size // 4, 3 * size // 4)
    raw = b"".join(b"\0" + bytes(255 if x in side and y in side else 0 for x in range(size)) for y in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def edges_of(content):
    """Rows of 0 and 1 of a PNG of 1 bit without filters."""
    width, height, bits, colour_type = struct.unpack(">IIBB", content[16:26])
    assert (bits, colour_type) == (1, 0), (bits, colour_type)
    data, at = b"", 8
    while at < len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        data += content[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += length + 12
    raw, stride = zlib.decompress(data), 1 + (width + 7) // 8
    assert all(raw[y * stride] == 0 for y in range(height))
    return [[raw[y * stride + 1 + x // 8] >> (7 - x % 8) & 1 for x in range(width)] for y in range(height)]


class Case(unittest.TestCase):
    def setUp(self):
        self.before = os.getcwd()
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)

    def tearDown(self):
        os.chdir(self.before)
        self.folder.cleanup()

    def keep(self, name, content):
        with open(name, "wb") as file:
            file.write(content)

    def read(self, name):
        with open(name, "rb") as file:
            return file.read()

    def run_it(self, *arguments, code=0, given=None):
        done = subprocess.run([PROGRAM, *arguments], input=given, capture_output=True, timeout=100)
        self.assertEqual(done.returncode, code, done)
        return done.stdout, done.stderr.decode()

    def test_an_outline_is_found(self):
        self.keep("in.png", square(64))
        out, err = self.run_it("in.png", "out.png")
        self.assertRegex(out.decode(), r"^1 of 1 images, 0\.0 megapixels in ")
        self.assertEqual(err, "")
        rows = edges_of(self.read("out.png"))
        near = {15, 16, 47, 48}
        edges = [(y, x) for y in range(64) for x in range(64) if rows[y][x]]
        self.assertGreaterEqual(len(edges), 4 * 30)
        self.assertTrue(all(y in near or x in near for y, x in edges))
        self.assertTrue(all(15 <= y <= 48 and 15 <= x <= 48 for y, x in edges))
        self.assertEqual(sorted(os.listdir()), ["in.png", "out.png"])

    def test_options_reach_the_operation(self):
        self.keep("in.png", square(64))
        self.run_it("in.png", "none.png", "--low", "2100", "--high", "2100")
        self.assertEqual(sum(map(sum, edges_of(self.read("none.png")))), 0)
        self.run_it("in.png", "l2.png", "--norm", "l2", "--low", "1100", "--high", "1100")
        self.run_it("in.png", "l1.png", "--norm", "l1", "--low", "1100", "--high", "1100")
        self.assertLess(sum(map(sum, edges_of(self.read("l2.png")))), sum(map(sum, edges_of(self.read("l1.png")))))
        self.run_it("in.png", "out.jpeg", "--quality", "50", "-q")
        self.assertTrue(self.read("out.jpeg").startswith(b"\xff\xd8"))
        self.run_it("in.png", "named_otherwise", "--format", "jpeg")
        self.assertTrue(self.read("named_otherwise").startswith(b"\xff\xd8"))
        _, err = self.run_it("in.png", "out.png", "--most-pixels", "4095", code=1)
        self.assertIn("in.png: [image] 64 x 64 are 4096 pixels: 4095 at most", err)

    def test_a_folder_takes_many_and_one_that_is_bad_stops_no_other(self):
        os.mkdir("out")
        for i in range(7):
            self.keep(f"{i}.png", square(16 + i))
        self.keep("3.png", square(30)[:60])
        names = [f"{i}.png" for i in range(7)]
        out, err = self.run_it(*names, "out", code=1)
        self.assertRegex(out.decode(), "^6 of 7 images")
        self.assertIn("sluice-canny: 3.png: [image] PNG: 60 bytes end before IEND", err)
        self.assertEqual(sorted(os.listdir("out")), [n for n in names if n != "3.png"])
        for i in (0, 6):
            self.assertEqual(len(edges_of(self.read(f"out/{i}.png"))), 16 + i)
        out, err = self.run_it(*names, "out", "--jobs", "1", "--progress", "json", "--format", "jpeg", code=1)
        summary = json.loads(out)
        self.assertEqual((summary["images"], summary["failed"]), (6, 1))
        self.assertTrue(os.path.exists("out/0.jpg"))
        _, err = self.run_it(*names, "out", "--progress", "bar", code=1)
        self.assertIn("\r\x1b[K", err)

    def test_standard_input_and_output(self):
        self.keep("in.png", square(20))
        self.run_it("in.png", "out.png")
        out, err = self.run_it("-", "-", given=square(20))
        self.assertEqual(out, self.read("out.png"))
        self.assertRegex(err, "^1 of 1 images")
        out, err = self.run_it("-", "-", "-q", "--format", "jpeg", given=square(20))
        self.assertTrue(out.startswith(b"\xff\xd8"))
        self.assertEqual(err, "")

    def test_what_does_not_fit_together_is_refused_before_anything_is_written(self):
        os.mkdir("a")
        os.mkdir("out")
        self.keep("x.png", square(8))
        self.keep("a/x.png", square(8))
        for arguments, words in (
            (["x.png", "a/x.png", "out"], "x.png and a/x.png would both be out/x.png"),
            (["x.png", "."], "is an input: it would be overwritten"),
            (["x.png", "a/../x.png"], "is an input: it would be overwritten"),
            (["x.png", "a/x.png", "both.png"], "both.png is no folder: 2 images need one"),
            (["x.png", "out.gif"], "out.gif ends neither in .png nor in .jpg: say --format"),
            (["x.png", "o.png", "--low", "nan"], "nan is no threshold"),
            (["x.png", "o.png", "--quality", "0"], "--quality"),
            (["x.png", "o.png", "--norm", "l3"], "--norm"),
            (["x.png", "o.png", "--device", "no!"], "no!"),
            (["x.png"], "FILES"),
        ):
            _, err = self.run_it(*arguments, code=2)
            self.assertIn(words, err)
            self.assertEqual(err.count("\n"), 1, err)
        self.assertEqual(sorted(os.listdir()), ["a", "out", "x.png"])
        self.assertEqual(os.listdir("out"), [])
        for arguments, words in ((["absent.png", "o.png"], "absent.png"), (["a", "o.png"], "a is a folder"), (["x.png", "absent/o.png"], "cannot be written"),
                                 (["x.png", "o.png", "--device", "nosuch:0"], "nosuch:0")):
            _, err = self.run_it(*arguments, code=1)
            self.assertIn(words, err)
        self.assertEqual(sorted(os.listdir()), ["a", "out", "x.png"])

    def test_ctrl_c_ends_it_between_two_images(self):
        os.mkdir("out")
        os.mkfifo("waits")
        self.keep("x.png", square(8))
        child = subprocess.Popen([PROGRAM, "waits", "x.png", "out", "--jobs", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with open("waits", "wb") as pipe:  # it reads now
            child.send_signal(signal.SIGINT)
            time.sleep(0.5)  # the signal's thread sets a flag
            pipe.write(square(8))
        out, _ = child.communicate(timeout=100)
        self.assertEqual(child.returncode, 130)
        self.assertRegex(out.decode(), "^1 of 2 images")
        self.assertEqual(os.listdir("out"), ["waits.png"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

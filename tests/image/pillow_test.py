"""sluice::image against Pillow: what it decodes, and what it encodes, pixel for pixel. Usage: pillow_test.py IMAGE-COPY FOLDER

FOLDER gets a virtual environment with Pillow and NumPy; where they cannot be had, the test is skipped (77)."""
import io
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment

COPY, FOLDER = sys.argv[1:3]
environment.enter(FOLDER, "PIL.Image", ["Pillow", "numpy"])

import numpy as np
from PIL import Image, ImageFile, ImageOps

ImageFile.MAXBLOCK = 1 << 20  # for its encoder, which gives up on small noisy images else


def picture(height, width, channels=3, seed=1):
    """Smooth areas, edges and some noise."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    p = np.stack([(x * (3 + c) + y * (5 - c)) % 256 * 0.5 + ((x // 7 + y // 5 + c) % 2) * 90 for c in range(channels)], axis=2)
    return np.clip(p + r.integers(0, 30, p.shape), 0, 255).astype(np.uint8)


def grey_of(rgb):
    """As image.hpp has it."""
    r, g, b = (rgb[..., i].astype(np.uint32) for i in range(3))
    return ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).astype(np.uint8)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, bits, colour_type, interlaced=False, *more):
    """By hand, because Pillow writes neither every depth nor Adam7. samples: (H, W, S) of whole numbers."""

    def rows(part):
        if part.size == 0:
            return b""
        flat = part.reshape(part.shape[0], -1)
        if bits == 16:
            packed = flat.astype(">u2").view(np.uint8).reshape(part.shape[0], -1)
        else:
            unpacked = (flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1
            packed = np.packbits(unpacked.reshape(part.shape[0], -1).astype(np.uint8), axis=1)
        return b"".join(b"\0" + row.tobytes() for row in packed)

    height, width = samples.shape[:2]
    parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in PASSES] if interlaced else [samples]
    data = zlib.compress(b"".join(rows(p) for p in parts))
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


class Copy:
    """The program, asked line by line."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([COPY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def ask(self, *words):
        self.process.stdin.write("\t".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        code = self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()
        if code != 0:
            raise AssertionError(f"{COPY} ended with {code}")


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.copy = Copy()

    @classmethod
    def tearDownClass(cls):
        cls.copy.end()

    def keep(self, content):
        with open(self.copy.path("in"), "wb") as file:
            file.write(content)
        return self.copy.path("in")

    def decode(self, content, channels=0, orient=1):
        said = self.copy.ask("decode", channels, orient, self.keep(content), self.copy.path("out.npy"))
        self.assertEqual(said, "ok")
        return np.load(self.copy.path("out.npy"))

    def describe(self, content):
        return self.copy.ask("describe", self.keep(content))

    def encode(self, pixels, kind, quality=90, bilevel=0):
        np.save(self.copy.path("in.npy"), pixels)
        said = self.copy.ask("encode", kind, quality, bilevel, self.copy.path("in.npy"), self.copy.path("out"))
        self.assertEqual(said, "ok")
        with open(self.copy.path("out"), "rb") as file:
            return file.read()

    def same(self, a, b):
        b = b if b.ndim == 3 else b[..., None]
        self.assertEqual(a.shape, b.shape)
        self.assertEqual(int((a != b).sum()), 0, f"of {a.size}; the largest difference is {np.abs(a.astype(int) - b).max()}")


class TestJpeg(Case):
    def jpeg(self, image, **options):
        out = io.BytesIO()
        image.save(out, "JPEG", **options)
        return out.getvalue()

    def test_colour_is_pillows_and_grey_is_its_luma(self):
        for height, width in [(1, 1), (1, 9), (17, 1), (8, 8), (15, 33), (64, 48), (131, 257)]:
            image = Image.fromarray(picture(height, width))
            for subsampling in (0, 1, 2):
                for progressive in (False, True):
                    for quality in (30, 90, 100):
                        options = dict(subsampling=subsampling, progressive=progressive, quality=quality)
                        with self.subTest(height=height, width=width, **options):
                            content = self.jpeg(image, **options)
                            self.same(self.decode(content), np.asarray(Image.open(io.BytesIO(content))))
                            self.same(self.decode(content, 3), np.asarray(Image.open(io.BytesIO(content))))
                            grey = Image.open(io.BytesIO(content))
                            grey.draft("L", None)
                            self.same(self.decode(content, 1), np.asarray(grey))
                            self.assertEqual(self.describe(content), f"jpeg {width} {height} 3 1 {int(progressive)}")

    def test_grey_restarts_optimised_and_rgb(self):
        pixels = picture(70, 90)
        grey = Image.fromarray(grey_of(pixels))
        for options in ({}, {"progressive": True}, {"restart_marker_blocks": 3}, {"optimize": True}):
            with self.subTest(**options):
                content = self.jpeg(grey, quality=85, **options)
                stored = np.asarray(Image.open(io.BytesIO(content)))
                self.same(self.decode(content), stored)
                self.same(self.decode(content, 3), np.repeat(stored[..., None], 3, axis=2))
                self.assertEqual(self.describe(content)[:12], "jpeg 90 70 1")
        content = self.jpeg(Image.fromarray(pixels), quality=95, keep_rgb=True)
        stored = np.asarray(Image.open(io.BytesIO(content)))
        self.same(self.decode(content), stored)
        self.assertLessEqual(np.abs(self.decode(content, 1)[..., 0].astype(int) - grey_of(stored)).max(), 1)

    def test_orientation_turns_it_upright(self):
        for orientation in range(1, 9):
            for height, width in [(24, 40), (33, 70), (1, 5)]:
                image = Image.fromarray(picture(height, width))
                exif = Image.Exif()
                exif[0x010E] = "a description before it"
                exif[0x0112] = orientation
                with self.subTest(orientation=orientation, height=height):
                    content = self.jpeg(image, quality=90, exif=exif)
                    self.assertEqual(self.describe(content), f"jpeg {width} {height} 3 {orientation} 0")
                    stored = Image.open(io.BytesIO(content))
                    self.same(self.decode(content, orient=0), np.asarray(stored))
                    self.same(self.decode(content), np.asarray(ImageOps.exif_transpose(stored)))
                    stored = Image.open(io.BytesIO(content))
                    stored.draft("L", None)
                    self.same(self.decode(content, 1), np.asarray(ImageOps.exif_transpose(stored)))
                    out = io.BytesIO()
                    image.save(out, "PNG", exif=exif)
                    self.same(self.decode(out.getvalue()), np.asarray(ImageOps.exif_transpose(Image.open(out))))

    def test_cmyk_is_refused(self):
        content = self.jpeg(Image.fromarray(picture(16, 16)).convert("CMYK"))
        said = self.copy.ask("decode", 0, 1, self.keep(content), self.copy.path("out.npy"))
        self.assertRegex(said, "^unsupported: .*4 components, CMYK or YCCK")

    def test_what_is_encoded(self):
        for pixels in (picture(50, 61), picture(50, 61)[..., :1], grey_of(picture(3, 5)), picture(1, 1)):
            for quality in (1, 50, 90, 100):
                content = self.encode(pixels, "jpeg", quality)
                image = Image.open(io.BytesIO(content))
                self.assertEqual(image.format, "JPEG")
                shown = pixels if pixels.ndim == 2 or pixels.shape[2] == 3 else pixels[..., 0]
                peer = io.BytesIO()
                Image.fromarray(shown).save(peer, "JPEG", quality=quality)
                self.same(np.atleast_3d(np.asarray(image)), np.asarray(Image.open(peer)))


class TestPng(Case):
    def test_every_colour_type_depth_and_interlace(self):
        r = np.random.default_rng(3)
        palette = r.integers(0, 256, (256, 3), dtype=np.uint8)
        kinds = [(0, b, 1) for b in (1, 2, 4, 8, 16)] + [(3, b, 1) for b in (1, 2, 4, 8)]
        kinds += [(2, 8, 3), (2, 16, 3), (4, 8, 2), (4, 16, 2), (6, 8, 4), (6, 16, 4)]
        for colour_type, bits, samples in kinds:
            for height, width in [(1, 1), (1, 13), (7, 3), (30, 41)]:
                stored = r.integers(0, 1 << bits, (height, width, samples))
                eight = stored >> 8 if bits == 16 else stored
                if colour_type == 3:
                    colours = palette[stored[..., 0]]
                elif colour_type in (2, 6):
                    colours = eight[..., :3].astype(np.uint8)
                else:
                    colours = (eight[..., :1] * (255 // ((1 << min(bits, 8)) - 1))).astype(np.uint8)
                is_grey = colours.shape[2] == 1
                more = [chunk(b"PLTE", palette[: 1 << bits].tobytes())] if colour_type == 3 else []
                clear = {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: b"\0\x80"}.get(colour_type)
                for transparent in (False, True) if clear else (False,):
                    for interlaced in (False, True):
                        with self.subTest(colour_type=colour_type, bits=bits, size=(height, width), interlaced=interlaced, transparent=transparent):
                            gamma = chunk(b"gAMA", struct.pack(">I", 100000))
                            content = png(stored, bits, colour_type, interlaced, gamma, *more, *([chunk(b"tRNS", clear)] if transparent else []))
                            self.assertEqual(self.describe(content), f"png {width} {height} {1 if is_grey else 3} 1 {int(interlaced)}")
                            self.same(self.decode(content), colours)
                            self.same(self.decode(content, 3), np.repeat(colours, 3, axis=2) if is_grey else colours)
                            self.same(self.decode(content, 1), colours if is_grey else grey_of(colours))
                            if bits == 8 and not transparent:
                                mode = "L" if is_grey else "RGB"
                                self.same(self.decode(content), np.asarray(Image.open(io.BytesIO(content)).convert(mode)))

    def test_orientation_follows_the_pixels(self):
        tiff = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
        pixels = picture(5, 8)
        content = png(pixels, 8, 2)[:-12] + chunk(b"eXIf", tiff) + chunk(b"IEND", b"")
        self.assertEqual(self.describe(content), "png 8 5 3 6 0")
        self.same(self.decode(content), np.rot90(pixels, -1))

    def test_what_is_encoded(self):
        for height, width in [(1, 1), (3, 7), (4, 8), (5, 9), (64, 65)]:
            for pixels in (picture(height, width), picture(height, width)[..., :1], picture(height, width)[..., 0]):
                image = Image.open(io.BytesIO(self.encode(pixels, "png")))
                self.assertEqual(image.format, "PNG")
                self.same(np.asarray(image).reshape(height, width, -1), pixels)
                if pixels.shape[-1] == 3 and pixels.ndim == 3:
                    continue
                edges = np.where(pixels > 128, pixels, 0).astype(np.uint8)
                image = Image.open(io.BytesIO(self.encode(edges, "png", bilevel=1)))
                self.assertEqual(image.mode, "1")
                self.same(np.asarray(image).reshape(height, width, 1), (edges != 0).reshape(height, width, 1))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

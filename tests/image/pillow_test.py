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
import PIL
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


def transformed(pixels, short, crop, scale, mean, std):
    """What torchvision's Resize, CenterCrop, ToTensor and Normalize do to a picture of Pillow's, in their words: (C, H, W)."""
    image = Image.fromarray(pixels)
    if short:
        w, h = image.size
        low, high = (w, h) if w <= h else (h, w)
        new_low, new_high = short, int(short * high / low)
        image = image.resize((new_low, new_high) if w <= h else (new_high, new_low), Image.BILINEAR)
    if crop:
        w, h = image.size
        if crop > w or crop > h:
            left, top = (crop - w) // 2 if crop > w else 0, (crop - h) // 2 if crop > h else 0
            right, bottom = (crop - w + 1) // 2 if crop > w else 0, (crop - h + 1) // 2 if crop > h else 0
            image = ImageOps.expand(image, (left, top, right, bottom), 0)
            w, h = image.size
        top, left = int(round((h - crop) / 2.0)), int(round((w - crop) / 2.0))
        image = image.crop((left, top, left + crop, top + crop))
    x = np.atleast_3d(np.asarray(image)).transpose(2, 0, 1).astype(np.float32)
    x = x / np.float32(255) if scale == 1 / 255 else (x.astype(np.float64) * scale).astype(np.float32)
    return (x - mean[: len(x), None, None]) / std[: len(x), None, None]


class TestPrepare(Case):
    def check(self, pixels, short, crop, scale=1 / 255, mean=0.485, std=0.229, bgr=0, nhwc=0, channels=None):
        h, w = pixels.shape[:2]
        if short and h > w and int(PIL.__version__.split(".")[0]) < 13:
            if h - int(short * h / w) > 2 * (w - short):
                return  # it resizes the width first
        grey = pixels.ndim == 2
        channels = channels or (1 if grey else 3)
        np.save(self.copy.path("in.npy"), pixels)
        said = self.copy.ask("prepare", short, crop, repr(scale), mean, std, channels, bgr, nhwc, self.copy.path("in.npy"), self.copy.path("out.npy"))
        self.assertEqual(said, "ok")
        got = np.load(self.copy.path("out.npy"))
        c = np.arange(1, 4).astype(np.float32)
        shown = pixels if not grey or channels == 1 else np.repeat(pixels[..., None], 3, axis=2)
        wanted = transformed(shown[..., ::-1] if bgr and not grey else shown, short, crop, scale, np.float32(mean) * c, np.float32(std) * c)
        wanted = wanted.transpose(1, 2, 0)[None] if nhwc else wanted[None]
        self.assertEqual(got.dtype, np.float32)
        self.assertEqual(wanted.dtype, np.float32)
        self.assertEqual(got.shape, wanted.shape)
        self.assertEqual(int((got.view(np.uint32) != np.ascontiguousarray(wanted).view(np.uint32)).sum()), 0, f"of {got.size}")

    def test_it_has_the_bits_of_torchvisions_transforms(self):
        r = np.random.default_rng(8)
        for i in range(400):
            h, w = (int(x) for x in r.integers(1 if i % 4 == 0 else 30, 120 if i % 3 else 600, 2))
            pixels = picture(h, w, 3, i)
            short = int(r.integers(0 if i % 5 == 0 else 1, 90))
            with self.subTest(h=h, w=w, short=short, i=i):
                self.check(pixels if i % 4 else grey_of(pixels), short, int(r.integers(0 if i % 7 == 0 else 1, 100)),
                           [1 / 255, 1.0, 1 / 127.5][i % 3], [0.485, 0.0, 103.94][i % 3], [0.229, 1.0, 57.0][i // 3 % 3],
                           bgr=i // 2 % 2, nhwc=i // 4 % 2, channels=3 if i % 8 == 0 else None)

    def test_resnets(self):
        for h, w in [(1080, 1920), (1920, 1080), (500, 375), (256, 256), (224, 300), (2000, 300), (300, 2000), (60, 41)]:
            with self.subTest(h=h, w=w):
                self.check(picture(h, w), 256, 224)
                self.check(picture(h, w), 232, 224)

    def test_every_sample_is_divided_in_f32(self):
        every = np.arange(256, dtype=np.uint8).reshape(16, 16)
        for mean, std in [(0.485, 0.229), (0.0, 1.0), (0.5, 0.5)]:
            self.check(every, 0, 0, mean=mean, std=std)
            self.check(np.stack([every, every[::-1], every.T], axis=2), 0, 0, mean=mean, std=std)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

#!/usr/bin/env python3
"""Canny beside OpenCV on at least 500 images: those made by canny_opencv_test and natural ones, which scikit-image's wheel from
PyPI carries, whole, halved, turned and cropped, in grey and in colour.
Usage: canny_natural.py ENVIRONMENT FOLDER [PROGRAM]

Writes the images to FOLDER as .npy, and runs PROGRAM --all FOLDER. Exits with 77 where scikit-image cannot be had."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import environment

environment.enter(sys.argv[1], "skimage", ["scikit-image==0.25.2"])

import numpy
import skimage.data
import skimage.io

# What lies in the wheel itself; the others are downloaded at first use.
NAMES = ["astronaut", "brick", "camera", "cell", "chelsea", "clock_motion", "coffee", "coins", "color", "grass", "gravel", "horse",
         "hubble_deep_field", "ihc", "logo", "microaneurysms", "moon", "motorcycle_left", "page", "phantom", "retina", "rocket", "text"]


def images():
    folder = os.path.dirname(skimage.data.__file__)
    for name in NAMES:
        path = next((p for e in ("png", "jpg", "jpeg", "gif", "tif") if os.path.exists(p := os.path.join(folder, f"{name}.{e}"))), None)
        if path is None:
            continue
        image = numpy.asarray(skimage.io.imread(path))
        if image.dtype != numpy.uint8 or image.ndim not in (2, 3):
            continue
        if image.ndim == 3:
            colour = image[..., :3]
            yield name, colour
            weights = numpy.array([77, 150, 29], numpy.uint32)
            yield name + "-grey", ((colour.astype(numpy.uint32) * weights).sum(axis=2) >> 8).astype(numpy.uint8)
        else:
            yield name, image


def main():
    folder = sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    natural = 0
    for name, image in images():
        natural += 1
        height, width = image.shape[:2]
        for way, view in (("", image), ("-half", image[::2, ::2]), ("-turned", numpy.rot90(image)),
                          ("-crop", image[height // 5:, width // 7:width - 3])):
            numpy.save(os.path.join(folder, name + way + ".npy"), numpy.ascontiguousarray(view))
    print(f"{natural} natural images in {folder}", flush=True)
    if natural < 20:
        sys.exit("canny_natural: scikit-image has fewer than 20 images")
    if len(sys.argv) > 3:
        sys.exit(subprocess.run([sys.argv[3], "--all", folder]).returncode)


if __name__ == "__main__":
    main()

"""The picture of the benchmarks of /v1/canny, and whether a server's edges are OpenCV's. For a Python with OpenCV and the files of
scikit-image's wheel.

    pictures.py make FILE           1920 x 1080 pixels of scikit-image's photographs, side by side, as JPEG
    pictures.py check FILE URL      exits with 1 unless URL answers FILE with the edges of cv2.Canny, as PNG
"""
import glob
import importlib.util
import os
import sys
import urllib.request

import cv2
import numpy as np

PHOTOGRAPHS = ["astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "camera.png", "hubble_deep_field.jpg", "ihc.png", "retina.jpg",
               "coins.png", "moon.png", "grass.png", "brick.png", "gravel.png", "page.png"]
ROWS, COLUMNS = 1080, 1920


def photographs():
    folder = os.path.join(importlib.util.find_spec("skimage").submodule_search_locations[0], "data")
    found = [p for name in PHOTOGRAPHS for p in glob.glob(os.path.join(folder, name))]
    if len(found) < 6:
        sys.exit(f"{folder} has {len(found)} of the {len(PHOTOGRAPHS)} photographs")
    return [cv2.imread(p) for p in found]


def make(path):
    """Rows of photographs as high as the lowest of each, from left to right."""
    picture = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    images, top, turn = photographs(), 0, 0
    while top < ROWS:
        left, height = 0, ROWS
        while left < COLUMNS:
            image = images[turn % len(images)]
            turn += 1
            part = image[:ROWS - top, :COLUMNS - left]
            picture[top:top + part.shape[0], left:left + part.shape[1]] = part
            left, height = left + part.shape[1], min(height, image.shape[0])
        top += height
    cv2.imwrite(path, picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


def check(path, url):
    with open(path, "rb") as file:
        body = file.read()
    asked = urllib.request.Request(url, body, {"Content-Type": "image/jpeg", "Accept": "image/png"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        edges = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_GRAYSCALE)
    wanted = cv2.Canny(cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_GRAYSCALE), 100, 200)
    different = int((edges != wanted).sum()) if edges.shape == wanted.shape else wanted.size
    if different:
        sys.exit(f"{url}: {different} of {wanted.size} pixels are not those of OpenCV {cv2.__version__}")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])

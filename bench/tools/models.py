"""What the benchmarks of models ask for. For a Python with onnx, onnxruntime, Pillow, OpenCV and the files of scikit-image's wheel.

    models.py make FOLDER       FOLDER/models/resnet18/1/model.onnx, of seeded random weights; photo.jpg, 600 x 400; tensor.npy
    models.py engine            the folder of the ONNX Runtime that this Python has
    models.py check FOLDER URL  exits with 1 unless URL answers photo.jpg with the classes that ONNX Runtime finds, within 1e-4
"""
import json
import os
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def model_in(folder):
    return os.path.join(folder, "models", "resnet18", "1", "model.onnx")


def make(folder):
    import cv2
    import numpy as np
    import pictures

    os.makedirs(os.path.dirname(model_in(folder)), exist_ok=True)
    subprocess.run([sys.executable, os.path.join(ROOT, "tests", "model", "write_resnet18.py"), model_in(folder)], check=True,
                   stdout=subprocess.DEVNULL)
    cv2.imwrite(os.path.join(folder, "photo.jpg"), pictures.photographs()[1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    np.save(os.path.join(folder, "tensor.npy"), np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32))


def engine():
    import onnxruntime

    print(os.path.join(os.path.dirname(onnxruntime.__file__), "capi"))


def check(folder, url):
    os.environ.setdefault("MODEL", model_in(folder))
    sys.path.insert(0, os.path.join(ROOT, "bench", "peers"))
    import models_fastapi
    import numpy as np

    with open(os.path.join(folder, "photo.jpg"), "rb") as file:
        body = file.read()
    scores = models_fastapi.session.run(None, {models_fastapi.name: models_fastapi.prepared(body)})[0][0]
    p = np.exp(scores - scores.max())
    p /= p.sum()
    asked = urllib.request.Request(url, body, {"Content-Type": "image/jpeg", "Accept": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        found = json.loads(answer.read())["predictions"]
    wanted = [int(i) for i in np.argsort(-p, kind="stable")[:5]]
    if [f["index"] for f in found] != wanted or max(abs(f["probability"] - p[f["index"]]) for f in found) > 1e-4:
        sys.exit(f"{url}: {found} and not {[(i, float(p[i])) for i in wanted]}")


if __name__ == "__main__":
    {"make": make, "engine": engine, "check": check}[sys.argv[1]](*sys.argv[2:])

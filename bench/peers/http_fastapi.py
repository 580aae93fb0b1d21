"""The same endpoints on FastAPI with orjson and NumPy, or CuPy (FASTAPI_ARRAYS=cupy), and OpenCV, the way that is quick there: no
model of the body, bytes in and out."""
import io
import os

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

app = FastAPI()

if os.environ.get("FASTAPI_ARRAYS") == "cupy":
    import cupy

    def times_ones(matrix):
        there = cupy.asarray(matrix)
        return cupy.asnumpy(there @ cupy.ones_like(there))
else:

    def times_ones(matrix):
        return matrix @ np.ones_like(matrix)


@app.get("/hello")
async def hello():
    return Response(b"hello", media_type="text/plain")


@app.post("/gpu_multiply")
async def gpu_multiply(request: Request):
    product = times_ones(np.asarray(orjson.loads(await request.body())["matrix"], dtype=np.float32))
    return Response(orjson.dumps({"result": product}, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


@app.post("/raw")
async def raw(request: Request):
    matrix = np.load(io.BytesIO(await request.body()), allow_pickle=False)
    out = io.BytesIO()
    np.save(out, times_ones(matrix))
    return Response(out.getvalue(), media_type="application/x-npy")


try:
    import cv2

    if "FASTAPI_OPENCV_THREADS" in os.environ:
        cv2.setNumThreads(int(os.environ["FASTAPI_OPENCV_THREADS"]))
except ImportError:  # then there is no /canny
    pass


@app.post("/canny")
async def canny(request: Request, low: float = 100, high: float = 200):
    image = cv2.imdecode(np.frombuffer(await request.body(), np.uint8), cv2.IMREAD_GRAYSCALE)
    edges = cv2.Canny(image, low, high)
    if request.headers.get("accept") == "image/jpeg":
        return Response(cv2.imencode(".jpg", edges, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes(), media_type="image/jpeg")
    return Response(cv2.imencode(".png", edges, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes(), media_type="image/png")

"""A peer of bench/serve.py: FastAPI with ONNX Runtime, as a program: `serve_fastapi.py PORT FILE.onnx THREADS`.

Written as its documentation has it: the route leaves the work to FastAPI's pool of threads. THREADS are those of a call of
ONNX Runtime, 0 for its default.
"""

from __future__ import annotations

import io
import sys
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from starlette.concurrency import run_in_threadpool

EDGE, CROP = 256, 224  # lcnet_050's preprocessing
MEAN, STD = (np.array(v, np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def pixels(data: bytes) -> np.ndarray:
    """A picture as the network takes it: the usual lines of Pillow and numpy."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = EDGE / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = round((image.width - CROP) / 2), round((image.height - CROP) / 2)
    x = np.asarray(image.crop((left, top, left + CROP, top + CROP)), np.float32) / 255
    return ((x - MEAN) / STD).transpose(2, 0, 1)[None]


def classify(session: onnxruntime.InferenceSession, name: str, data: bytes) -> dict[str, Any]:
    """The five best classes."""
    logits = session.run(None, {name: pixels(data)})[0][0]
    powers = np.exp(logits - logits.max())
    probabilities = powers / powers.sum()
    order = probabilities.argsort()[::-1][:5]
    return {"classes": order.tolist(), "probabilities": probabilities[order].tolist()}


def main() -> None:
    """Serve."""
    port, file, threads = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    work = partial(classify, session, session.get_inputs()[0].name)
    app = FastAPI()

    @app.post("/classify")
    async def route(request: Request) -> dict[str, Any]:
        return await run_in_threadpool(work, await request.body())

    @app.get("/health")
    async def health() -> dict[str, bool]:
        return {"ready": True}

    uvicorn.run(app, port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

"""The Open Inference Protocol, version 2, as KServe and Triton speak it, with the binary extension and Triton's classes.

Inputs: `images` BYTES [N], a picture file an element, or `pixels` FP32 [N,C,H,W], the network's input. Outputs:
`probabilities` and `embeddings`, FP32. A picture that cannot be read is the request's error: a tensor has no place for one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..config import MIN_SIDE
from ..formats import json_text
from ..runtime import Classifier
from ..text import quoted
from . import bodies
from .models import Served
from .refusals import Refused
from .service import Service, json_response, values
from .tensors import BYTES, FLOATS, LENGTH, Inference, Tensor, flat, inference, output
from .work import Done

PROBABILITIES, EMBEDDINGS = "probabilities", "embeddings"
MODEL = "/v2/models/{name}"
VERSION = "1"  # a model has one


class OpenInference:
    """Endpoints over one service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def routes(self) -> list[Route]:
        """All of them."""
        both = (MODEL, MODEL + "/versions/{version}")
        return [
            Route("/v2", self.server, methods=["GET"]),
            *(Route(path, self.model, methods=["GET"]) for path in both),
            *(Route(path + "/ready", self.model_ready, methods=["GET"]) for path in both),
            *(Route(path + "/infer", self.infer, methods=["POST"]) for path in both),
        ]

    async def server(self, request: Request) -> Response:
        """What this server is."""
        extensions = ["binary_tensor_data", "classification"]
        return json_response({"name": "lcnet", "version": version("lcnet"), "extensions": extensions})

    async def model_ready(self, request: Request) -> Response:
        """Whether a model is there."""
        return json_response({"name": self._served(request).name, "ready": True})

    async def model(self, request: Request) -> Response:
        """What a model takes and gives."""
        served = self._served(request)
        arch, size = served.model.arch, served.model.preprocessing.input_size
        inputs = [_described("images", BYTES, [-1]), _described("pixels", FLOATS, [-1, *size])]
        sizes = {PROBABILITIES: arch.num_classes, EMBEDDINGS: arch.head_hidden_size}
        outputs = [_described(name, FLOATS, [-1, sizes[name]]) for name in _given(served.model)]
        said = {"name": served.name, "versions": [VERSION], "platform": "lcnet", "inputs": inputs, "outputs": outputs}
        return json_response(said)

    async def infer(self, request: Request) -> Response:
        """Outputs for all pictures of one request."""
        service, served = self.service, self._served(request)
        with service.admitted(request) as admitted:
            body = await service.body(request, admitted)
            length = request.headers.get(LENGTH)
            asked: Inference = await service.taken_apart(request, body, lambda: inference(body, length))
            wanted = _wanted(asked, served.model)
            answer = partial(_answered, served.model, list(wanted))
            done = await service.counted(request, served, self._work(request, asked, served.model, answer))
        columns = dict(zip(wanted, zip(*values(done), strict=True), strict=True))
        return _response(served, asked, {name: (columns[name], wanted[name]) for name in wanted})

    async def _work(self, request: Request, asked: Inference, model: Classifier, answer: Callable[[Any], Any]) -> list[Done]:
        work, tensor = self.service.work, _input(asked)
        bodies.check_count(tensor.shape[0] if tensor.shape else 0, self.service.limits)
        if tensor.name == "images":
            return await work.pictures(request, tensor.pictures(), model, answer)
        x = _pixels(tensor, model)
        return await work.each(request, [partial(work.ready_made, x[i : i + 1], answer) for i in range(len(x))])

    def _served(self, request: Request) -> Served:
        if request.path_params.get("version", VERSION) != VERSION:
            raise Refused("not_found", f"there is only version {VERSION} of a model")
        return self.service.models.get(request.path_params["name"])


def _described(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def _given(model: Classifier) -> list[str]:
    return [PROBABILITIES, EMBEDDINGS] if model.arch.num_classes else [EMBEDDINGS]


def _wanted(asked: Inference, model: Classifier) -> dict[str, dict[str, Any]]:
    """The outputs that are asked for, by default all. Raises `Refused`."""
    known = _given(model)
    wanted = {name: {} for name in known} if asked.outputs is None else asked.outputs
    for name, parameters in wanted.items():
        if name not in known:
            raise Refused("argument", f"there is no output '{quoted(name)}': there is {' and '.join(known)}")
        count = parameters.get("classification", 1)
        if type(count) is not int or count < 1 or ("classification" in parameters and name != PROBABILITIES):
            raise Refused("argument", f"classification is a whole number of at least 1, and of {PROBABILITIES} only")
    if not wanted:
        raise Refused("argument", "outputs is empty: leave it out for all")
    return wanted


def _input(asked: Inference) -> Tensor:
    """The input. Raises `Refused`."""
    if len(asked.inputs) != 1 or asked.inputs[0].name not in ("images", "pixels"):
        raise Refused("argument", "expected one input: images, a picture file an element, or pixels")
    tensor = asked.inputs[0]
    expected, sides = (BYTES, (1, 2)) if tensor.name == "images" else (FLOATS, (4,))
    if tensor.datatype != expected or len(tensor.shape) not in sides or not all(tensor.shape):
        raise Refused("argument", f"the input {tensor.name} is expected as {expected} of {sides[0]} dimensions")
    return tensor


def _pixels(tensor: Tensor, model: Classifier) -> np.ndarray:
    """Ready input, float32 [N,C,H,W]. Raises `Refused`."""
    channels, least = model.arch.in_chans, MIN_SIDE
    if tensor.shape[1] != channels or min(tensor.shape[2:]) < least:
        raise Refused("argument", f"pixels are expected as [N,{channels},H,W] with sides of at least {least}")
    return tensor.floats()


def _answered(model: Classifier, wanted: list[str], x: np.ndarray) -> list[Any]:
    """For the one picture in `x`, a row of each output."""
    return [[(model.probs if name == PROBABILITIES else model.embeddings)(x)[0] for name in wanted]]


def _classes(row: np.ndarray, count: int, model: Classifier) -> list[str]:
    """The best classes as Triton writes them: value, index and label."""
    best = np.argsort(-row, kind="stable")[:count].tolist()
    return [f"{row[i]:f}:{i}" + (f":{model.labels.names[i]}" if model.labels else "") for i in best]


def _response(served: Served, asked: Inference, columns: dict[str, tuple[Any, dict[str, Any]]]) -> Response:
    said, packed = [], []
    for name, (rows, parameters) in columns.items():
        count = parameters.get("classification")
        table = flat(rows) if count is None else [_classes(row, count, served.model) for row in rows]
        one, raw = output(name, table, parameters.get("binary_data", asked.binary) is True)
        said.append(one)
        packed.append(raw)
    named = {} if asked.id is None else {"id": asked.id}
    text = json_text({"model_name": served.name, "model_version": VERSION, **named, "outputs": said}).encode()
    if not any("parameters" in one for one in said):
        return Response(text, media_type="application/json")
    return Response(text + b"".join(packed), headers={LENGTH: str(len(text))}, media_type="application/octet-stream")

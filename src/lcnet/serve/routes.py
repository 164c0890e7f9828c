"""The routes of our own: /v1 and metrics. Pictures in; results, embeddings, feature maps out."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..arch import reduction_name
from . import bodies
from .bodies import Picture
from .metrics import CONTENT_TYPE
from .models import Served
from .refusals import Refused
from .service import Query, Service, exchange_of, json_response, values
from .work import Answer, Done

OCTETS, NPY, NPZ = "application/octet-stream", "application/x-npy", "application/x-npz"
TOP_K = 5


class Routes:
    """Endpoints over one service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/v1/classify", self.classify, methods=["POST"]),
            Route("/v1/embed", self.embed, methods=["POST"]),
            Route("/v1/features", self.features, methods=["POST"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{name}", self.model, methods=["GET"]),
            Route("/v1/models/{name}/reload", self.reload, methods=["POST"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def classify(self, request: Request) -> Response:
        """The best classes of each picture."""
        query = Query(request, ("model", "top_k", "threshold"))
        served = self.service.models.get(query.text("model"))
        answer = served.model.answer("classify", query.count("top_k", TOP_K), threshold=query.fraction("threshold"))
        pictures, done = await self._answered(request, served, answer)
        self.service.results(served, pictures, done)
        return _listed(request, served, pictures, done, lambda result: result.to_dict())

    async def embed(self, request: Request) -> Response:
        """The embedding of each picture."""
        query = Query(request, ("model", "encoding"))
        encoding = query.one_of("encoding", ("float", "base64"))
        served = self.service.models.get(query.text("model"))
        pictures, done = await self._answered(request, served, served.model.answer("embeddings"))
        wanted = _accepted(request, (OCTETS, NPY))
        if wanted:
            rows = np.stack(values(done)).astype("<f4", copy=False)
            return _binary(request, served, rows.tobytes() if wanted == OCTETS else _npy(rows), wanted)
        shown = _in_base64 if encoding == "base64" else _as_list
        return _listed(request, served, pictures, done, lambda row: {"embedding": shown(row)})

    async def features(self, request: Request) -> Response:
        """The feature maps of all pictures, as the arrays of an .npz file."""
        query = Query(request, ("model", "out_indices"))
        served = self.service.models.get(query.text("model"))
        wanted = _indices(query.text("out_indices"), len(served.model.arch.reductions))
        answer = served.model.answer("feature_maps", out_indices=wanted)
        _, done = await self._answered(request, served, answer, _bytes_of(served, wanted))
        names = [f"stride_{reduction_name(served.model.arch.reductions[i])}" for i in wanted]
        maps = [np.stack(some) for some in zip(*values(done), strict=True)]
        data = await self.service.work.call(request, lambda: _npz(dict(zip(names, maps, strict=True))))
        return _binary(request, served, data, NPZ)

    async def models(self, request: Request) -> Response:
        """Every model."""
        models = self.service.models
        return json_response({"models": [models.describe(served.name) for served in models.all()]})

    async def model(self, request: Request) -> Response:
        """One model."""
        return json_response(self.service.models.describe(request.path_params["name"]))

    async def reload(self, request: Request) -> Response:
        """Read a model again, in all processes or in none."""
        name = self.service.models.get(request.path_params["name"]).name
        await self.service.peers.reload([name])
        return json_response(self.service.models.describe(name))

    async def metrics(self, request: Request) -> Response:
        """All numbers, for Prometheus."""
        return Response(await self.service.peers.metrics(), media_type=CONTENT_TYPE)

    async def _answered(
        self, request: Request, served: Served, answer: Answer, size: int = 0
    ) -> tuple[list[Picture], list[Done]]:
        """Pictures and what became of them. size: bytes of an answer that is so large that it counts as its body does."""
        service = self.service
        with service.admitted(request) as admitted:
            body = await service.body(request, admitted)
            kind = request.headers.get("content-type", "")
            raw = bodies.is_raw(kind)
            parse = partial(bodies.pictures_of, body, kind, service.limits)
            pictures: list[Picture] = parse() if raw else await service.taken_apart(request, body, parse)
            service.hold(request, admitted, size * len(pictures))
            return pictures, await service.answers(request, pictures, served, answer)


def _listed(request: Request, served: Served, pictures: Sequence[Picture], done: Sequence[Done], shown: Any) -> Response:
    """An item for each picture, in order; where there is an error, it stands in the picture's place."""
    items = []
    for picture, one in zip(pictures, done, strict=True):
        named = {} if picture.name is None else {"name": picture.name}
        items.append({**named, **({"error": one.error.to_dict()} if one.error else shown(one.value))})
    timing = exchange_of(request).timing
    assert timing is not None
    return json_response({"model": served.name, "results": items, "timing": timing.to_dict()})


def _binary(request: Request, served: Served, data: bytes, media_type: str) -> Response:
    return Response(data, media_type=media_type, headers={"x-model": served.name})


def _accepted(request: Request, known: Sequence[str]) -> str | None:
    """Which of the binary forms the client asks for, None for JSON."""
    given = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return next((kind for kind in given if kind in known), None)


def _bytes_of(served: Served, wanted: Sequence[int]) -> int:
    """Of a picture's feature maps."""
    shapes = served.model.arch.feature_shapes(*served.model.preprocessing.input_size[1:])
    return sum(4 * math.prod(shapes[i]) for i in wanted)


def _in_base64(row: np.ndarray) -> str:
    """Float32, little-endian."""
    return base64.b64encode(row.astype("<f4", copy=False).tobytes()).decode("ascii")


def _as_list(row: np.ndarray) -> list[float]:
    found: list[float] = row.tolist()
    return found


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    return file.getvalue()


def _indices(text: str | None, count: int) -> list[int]:
    """Which feature maps: `2,4`, or all. Raises `Refused`."""
    if text is None:
        return list(range(count))
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 3 and int(part) < count for part in parts):
        raise Refused("argument", f"out_indices is expected as numbers from 0 to {count - 1} with commas between")
    if len(set(parts)) < len(parts):
        raise Refused("argument", "out_indices names a map twice")
    return [int(part) for part in parts]

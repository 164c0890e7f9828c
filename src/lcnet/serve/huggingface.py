"""Image classification as Hugging Face's inference servers answer it, so that `huggingface_hub.InferenceClient` is a client.

The body is a picture's bytes, or JSON with it as base64 under `inputs`; the answer a list of labels and scores, best first.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..config import Decision
from ..runtime import Classifier
from ..runtime.decision import probabilities
from . import bodies
from .bodies import Picture
from .refusals import Refused
from .routes import TOP_K
from .service import Query, Service, json_response, values

FUNCTIONS = ("softmax", "sigmoid", "none")


class HuggingFace:
    """Endpoints over one service: of the default model, and of each by name."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def routes(self) -> list[Route]:
        """Both."""
        return [Route(path, self.classify, methods=["POST"]) for path in ("/", "/models/{name}")]

    async def classify(self, request: Request) -> Response:
        """The best classes of one picture."""
        Query(request, ())
        service, served = self.service, self.service.models.get(request.path_params.get("name"))
        served.model.answer("classify")
        with service.admitted(request) as admitted:
            body = await service.body(request, admitted)
            kind = request.headers.get("content-type", "")
            raw = bodies.is_raw(kind)
            pair = (Picture(body), {}) if raw else await service.taken_apart(request, body, lambda: _from_json(body))
            picture, parameters = pair
            top_k, function = _count(parameters), _function(parameters)
            done = await service.answers(request, [picture], served, partial(_scores, served.model, function))
        return json_response(_listed(served.model, values(done)[0], top_k))


def _from_json(body: bytes) -> tuple[Picture, dict[str, Any]]:
    data = bodies.parsed(body)
    parameters = data.get("parameters") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("inputs"), str) or not isinstance(parameters or {}, dict):
        raise Refused("argument", 'expected {"inputs": a picture as base64, "parameters": {"top_k": 5}}')
    return bodies.from_base64(data["inputs"]), parameters or {}


def _count(parameters: dict[str, Any]) -> int:
    top_k = parameters.get("top_k", TOP_K)
    if type(top_k) is not int or top_k < 1:
        raise Refused("argument", "top_k is expected as a whole number of at least 1")
    return top_k


def _function(parameters: dict[str, Any]) -> str | None:
    function = parameters.get("function_to_apply")
    if function not in (None, *FUNCTIONS):
        raise Refused("argument", f"function_to_apply is expected as {', '.join(FUNCTIONS)}")
    return function


def _scores(model: Classifier, function: str | None, x: np.ndarray) -> np.ndarray:
    """The scores of all classes, float32 [1,K]: by default the model's own probabilities."""
    if function is None:
        return model.probs(x)
    logits = model.logits(x)
    return logits if function == "none" else probabilities(logits, Decision(multi_label=function == "sigmoid"))


def _listed(model: Classifier, row: np.ndarray, top_k: int) -> list[dict[str, Any]]:
    best = np.argsort(-row, kind="stable")[:top_k].tolist()
    return [{"label": model.labels.names[i] if model.labels else str(i), "score": float(row[i])} for i in best]

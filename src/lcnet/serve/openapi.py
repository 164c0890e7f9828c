"""The description of the routes as OpenAPI 3.1: what /docs shows, and what schemathesis holds the server to."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .refusals import STATUS
from .service import json_response

NUMBER: dict[str, Any] = {"type": "number"}
TEXT: dict[str, Any] = {"type": "string"}
WHOLE: dict[str, Any] = {"type": "integer"}
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [name for name in properties if name not in optional]}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_PROBLEM = _object({"code": {"enum": sorted(STATUS)}, "message": TEXT})
_CLASS = _object({"index": WHOLE, "label": TEXT, "id": {"type": ["string", "null"]}, "probability": NUMBER})
_RESULT = {"known": {"type": "boolean"}, "labels": _list(TEXT), "answers": {"type": "object"}, "top": _list(_CLASS)}
_NAMED = {"name": TEXT, "error": _PROBLEM}
_TIMING = _object({"queue_ms": NUMBER, "decode_ms": NUMBER, "network_ms": NUMBER})
_MODEL = _object(
    {
        "name": TEXT,
        "architecture": TEXT,
        "input_size": _list(WHOLE),
        "num_classes": WHOLE,
        "embedding_size": WHOLE,
        "labels": {"type": ["array", "null"], "items": TEXT},
        "multi_label": {"type": "boolean"},
        "precision": TEXT,
        "isa": TEXT,
        "sha256": TEXT,
        "loaded": NUMBER,
        "preprocessing": {"type": "object"},
        "decision": {"type": "object"},
        "default": {"type": "boolean"},
    }
)


def _results(item: dict[str, Any]) -> dict[str, Any]:
    properties = {**_NAMED, **item}
    return _object({"model": TEXT, "results": _list(_object(properties, *properties)), "timing": _TIMING})


SCHEMAS = {
    "Error": _object({"error": _object({"code": {"enum": sorted(STATUS)}, "message": TEXT, "request_id": TEXT})}),
    "Error2": _object({"error": TEXT}),
    "Classes": _results(_RESULT),
    "Embeddings": _results({"embedding": {"type": ["array", "string"], "items": NUMBER}}),
    "Model": _MODEL,
    "Pictures": _object({"images": _list(_object({"base64": TEXT, "name": TEXT}, "name"))}),
    "Scores": _list(_object({"label": TEXT, "score": NUMBER})),
}


# The headings of /docs, in their order: what is said of each, and whose paths begin so.
TAGS = {
    "Pictures": ("What a model says of pictures: one as a body, several as a form or as JSON.", ("/v1/",)),
    "Models": ("What there is, and reading it again.", ("/v1/models",)),
    "Open Inference Protocol": ("Version 2, as the clients of KServe and Triton speak it, binary tensors too.", ("/v2",)),
    "Hugging Face": ("For `huggingface_hub.InferenceClient`.", ("/models/",)),
    "The server": ("For what watches it.", ("/health/", "/metrics")),
}


def _tag(path: str) -> str:
    """The heading of a path: the one with the longest beginning."""
    starts = {start: name for name, (_, some) in TAGS.items() for start in some if path.startswith(start)}
    return starts[max(starts, key=len)]


def _query(name: str, schema: dict[str, Any], what: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": what}


MODEL = _query("model", TEXT, "the name of a model; the default one if left out")
TOP_K = _query("top_k", {**WHOLE, "minimum": 1, "maximum": 999_999_999, "default": 5}, "classes to answer")
THRESHOLD = _query(
    "threshold", {**NUMBER, "minimum": 0, "maximum": 1}, "the least accepted probability, instead of the model's"
)
ENCODING = _query("encoding", {"enum": ["float", "base64"]}, "base64: float32, little-endian")
INDICES = _query("out_indices", TEXT, "which maps, such as 2,4; all if left out")
NAME = {"name": "name", "in": "path", "required": True, "schema": TEXT}
PICTURES = {
    "required": True,
    "content": {
        "image/*": {"schema": BINARY},
        "multipart/form-data": {"schema": _object({"file": _list(BINARY)})},
        "application/json": {"schema": _ref("Pictures")},
    },
}


def _operation(
    what: str, answers: dict[str, Any], parameters: Any = (), body: Any = None, errors: str = "Error"
) -> dict[str, Any]:
    content = {kind: {"schema": schema} for kind, schema in answers.items()}
    wrong = {"description": "an error", "content": {"application/json": {"schema": _ref(errors)}}}
    found: dict[str, Any] = {"summary": what, "parameters": list(parameters)}
    if body:
        found["requestBody"] = body
    return {**found, "responses": {"200": {"description": "done", "content": content}, "4XX": wrong, "5XX": wrong}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": schema}


def _paths() -> dict[str, Any]:
    classes, told = _json(_ref("Classes")), _json({"type": "object"})
    embeddings = {**_json(_ref("Embeddings")), "application/octet-stream": BINARY, "application/x-npy": BINARY}
    raw = {"required": True, "content": {"image/*": {"schema": BINARY}, "application/json": {"schema": {"type": "object"}}}}
    tensors = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    scores, text = _json(_ref("Scores")), {"text/plain": TEXT}
    infer = _operation("Outputs of a model, by the Open Inference Protocol", told, [NAME], tensors, "Error2")
    one = _operation("What a model takes and gives", told, [NAME], errors="Error2")
    return {
        "/v1/classify": {"post": _operation("The best classes of pictures", classes, [MODEL, TOP_K, THRESHOLD], PICTURES)},
        "/v1/embed": {"post": _operation("Embeddings of pictures", embeddings, [MODEL, ENCODING], PICTURES)},
        "/v1/features": {"post": _operation("Feature maps", {"application/x-npz": BINARY}, [MODEL, INDICES], PICTURES)},
        "/v1/models": {"get": _operation("All models", _json(_object({"models": _list(_ref("Model"))})))},
        "/v1/models/{name}": {"get": _operation("One model", _json(_ref("Model")), [NAME])},
        "/v1/models/{name}/reload": {"post": _operation("Read a model's file again", _json(_ref("Model")), [NAME])},
        "/v2": {"get": _operation("What this server is", told)},
        "/v2/models/{name}": {"get": one},
        "/v2/models/{name}/infer": {"post": infer},
        "/models/{name}": {"post": _operation("Classes of a picture, as Hugging Face answers", scores, [NAME], raw)},
        "/health/live": {"get": _operation("Whether the process answers", told)},
        "/health/ready": {"get": _operation("Whether it takes requests", told)},
        "/metrics": {"get": _operation("All numbers, for Prometheus", text)},
    }


def description() -> dict[str, Any]:
    """The whole document."""
    token, paths = {"type": "http", "scheme": "bearer"}, _paths()
    for path, methods in paths.items():
        for method, operation in methods.items():
            methods[method] = {"tags": [_tag(path)], **operation}
    return {
        "openapi": "3.1.0",
        "info": {"title": "lcnet", "version": version("lcnet"), "description": "LCNet image classification on CPUs."},
        "tags": [{"name": name, "description": what} for name, (what, _) in TAGS.items()],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": {"token": token}},
        "security": [{}, {"token": []}],
    }


async def document(request: Request) -> Response:
    """The document."""
    return json_response(description())

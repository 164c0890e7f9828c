"""A server of models over HTTP: one process answers each picture by itself, on as many threads as there are processors.

    import lcnet.serve
    app = lcnet.serve.app("lcnet_050.cifar10")              # an ASGI application
    with lcnet.serve.running("lcnet_050.cifar10") as url:   # for tests and notebooks
        ...

`lcnet serve` is this as a program. Needs the extra `serve`. docs/serve.md says what it answers and what it bounds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from .limits import Limits as Limits

if TYPE_CHECKING:
    from .application import Application

__all__ = ["Limits", "app", "running"]

Models = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]]


def app(
    models: Models,
    *,
    isa: str | None = None,
    precision: str = "fp32",
    decode: str = "exact",
    log: str = "none",
    keep_uncertain: str | os.PathLike[str] | None = None,
    **limits: Any,
) -> Application:
    """Return an ASGI application that serves models; it can be mounted in another.

    models: a name or file as `lcnet.load` takes it, a list of these or of `NAME=MODEL`, or a dict by name; the first is the
    default. They are loaded and run once, here. isa, precision, decode: as `lcnet.load` takes them. log: `text`, `json` or
    `none`, to standard error. keep_uncertain: a folder for the pictures of which the model is unsure. limits: the fields of
    `Limits`. Raises `InputError`, and as `lcnet.load` does.
    """
    check_extra()
    from .making import make

    return make(models, {"isa": isa, "precision": precision, "decode": decode}, log, keep_uncertain, limits)


def running(models: Models, *, host: str = "127.0.0.1", port: int = 0, **options: Any) -> AbstractContextManager[str]:
    """Serve models in this process, in a thread, and give the address: for tests and notebooks. options: as `app` takes."""
    made = app(models, **options)
    from .server import in_thread

    return in_thread(made, host, port)


def check_extra() -> None:
    """Raise `MissingExtraError` for a package that is not installed."""
    for name in ("prometheus_client", "python_multipart", "starlette", "uvicorn"):
        if find_spec(name) is None:
            raise MissingExtraError(f"lcnet.serve needs {name}: pip install 'lcnet[serve]'")

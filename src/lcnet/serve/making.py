"""A service from what was asked for: models loaded, limits checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..image import jpeg
from ..text import suggest
from .application import Application
from .limits import Limits
from .logs import FORMATS, Log
from .models import Models, named
from .service import Service
from .uncertain import Keeper


def make(
    models: Any,
    options: Mapping[str, Any],
    log: str,
    keep_uncertain: str | os.PathLike[str] | None,
    limits: Mapping[str, Any],
    processes: int = 1,
) -> Application:
    """The application that `lcnet.serve.app` returns. processes: that serve together, and share `keep_uncertain`."""
    known = [field.name for field in fields(Limits)]
    for name in limits:
        if name not in known:
            raise InputError(f"there is no limit {name!r}{suggest(name, known) or ': there is ' + ', '.join(known)}")
    if log not in (*FORMATS, "none"):
        raise InputError(f"log is {log!r}, expected text, json or none")
    jpeg.wanted()  # so that an environment that says what is not to be had is told now, and not to clients
    bounds = Limits(**limits)
    keeper = None if keep_uncertain is None else Keeper(Path(keep_uncertain), bounds.keep_below, processes)
    return Application(Service(Models(named(models), bounds.max_pixels, options), bounds, Log(log), keeper))

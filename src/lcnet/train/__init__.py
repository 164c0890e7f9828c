"""Training: a folder of pictures and a recipe in, a checked model file out. Needs torch, which is imported when it is used."""

from __future__ import annotations

from typing import Any

from ..renamed import renamed

_PLACES = {"Recipe": ".recipe", "RECIPES": ".recipes", "fit": ".training", "TrainOptions": ".options"}
__all__ = sorted(_PLACES)


def _placed(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name], __name__), name)


__getattr__ = renamed(__name__, {"Options": "TrainOptions"}, otherwise=_placed)

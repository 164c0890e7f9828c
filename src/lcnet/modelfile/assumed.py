"""What a description assumes for want of better knowledge: kept by name in the provenance, and said with every value.

`assumed` is the list for programs, which a later conversion shortens; `note` is the sentence for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..config import ModelConfig

FIELDS = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")  # what timm stores too
LABELS = "labels"


def assumptions(config: ModelConfig) -> tuple[str, ...]:
    """The names of what a description says that it assumes."""
    names = config.provenance.get("assumed")
    return tuple(name for name in (*FIELDS, LABELS) if name in names) if isinstance(names, list) else ()


def noted(config: ModelConfig, assumed: Iterable[str], also: Sequence[str] = ()) -> ModelConfig:
    """The description with exactly this assumed, said by name and value; `also`: more to say in the note."""
    wanted = set(assumed)
    names = [name for name in (*FIELDS, LABELS) if name in wanted]
    provenance = {key: value for key, value in config.provenance.items() if key not in ("assumed", "note")}
    texts = [_sentence(config, names)] if names else []
    note = {"note": "; ".join((*texts, *also))} if texts or also else {}
    return replace(config, provenance=provenance | ({"assumed": names} if names else {}) | note)


def _sentence(config: ModelConfig, names: list[str]) -> str:
    said = [f"{name} {_value(getattr(config.preprocessing, name), name)}" for name in names if name != LABELS]
    labels = ["labels of ImageNet-1k"] if LABELS in names else []
    unknown = "" if config.labels or not config.arch.num_classes else "; labels unknown"
    return f"assumed, as nothing says otherwise: {', '.join(said + labels)}{unknown}"


def _value(value: Any, name: str) -> str:
    if name == "input_size":
        return f"{value[1]}x{value[2]}"
    return ",".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)

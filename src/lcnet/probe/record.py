"""What comes of a probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..modelfile import ModelFile


@dataclass(frozen=True)
class Probe:
    """The model, as it was written or is to be, and what was chosen and measured, as plain values."""

    model: ModelFile
    report: dict[str, Any]

"""What a gallery says of itself: by which model and arithmetic its embeddings were made, and how they are kept.

Embeddings of two models cannot be compared, and nothing in the numbers tells: every other model is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GalleryError
from ..text import plain
from .coding import CODINGS

if TYPE_CHECKING:
    from ..runtime import Classifier

LARGEST = 1 << 16  # values of an embedding


@dataclass(frozen=True)
class About:
    """The model: its name or path, the sha256 of its file, what it expects of pictures, its arithmetic; and the vectors."""

    model: str
    model_sha256: str
    preprocessing: str  # JSON
    precision: str  # fp32, bf16 or int8
    dimension: int
    coding: str

    @classmethod
    def of(cls, name: str, model: Classifier, coding: str) -> About:
        """What a gallery says that this model makes. name: as `lcnet.load` takes it."""
        from .. import hub

        digest = sha256(hub.locate(name).path.read_bytes()).hexdigest()
        expects = json.dumps(asdict(model.preprocessing), sort_keys=True, default=list)
        named = os.path.abspath(name) if os.path.exists(name) else os.fspath(name)  # noqa: PTH100, PTH110
        return cls(named, digest, expects, model.precision, model.arch.head_hidden_size, coding)

    @classmethod
    def read(cls, rows: Mapping[str, Any], path: Path) -> About:
        """From the rows of the table. Raises `GalleryError`."""
        from .database import damaged

        found: dict[str, Any] = {field.name: rows.get(field.name) for field in fields(cls)}
        if isinstance(found["model"], bytes):  # a path that is no UTF-8
            found["model"] = os.fsdecode(found["model"])
        texts = [v for k, v in found.items() if k != "dimension"]
        if not all(isinstance(text, str) for text in texts) or found["coding"] not in CODINGS:
            raise damaged(path, "what it says of its model cannot be read")
        if not isinstance(found["dimension"], int) or not 0 < found["dimension"] <= LARGEST:
            raise damaged(path, "its vectors have no length")
        return cls(**found)

    def refuse_other(self, other: About, path: Path) -> None:
        """Raise `GalleryError` if pictures embedded as `other` says cannot be compared with these."""
        name, way = plain(path), "use that model (-m), or make a gallery of another name with this one"
        if self.model_sha256 != other.model_sha256:
            raise GalleryError(
                f"{name} has embeddings of the model {plain(self.model)} (sha256 {self.model_sha256[:16]}), not of "
                f"{plain(other.model)} (sha256 {other.model_sha256[:16]}), and the two cannot be compared: {way}"
            )
        if self.precision != other.precision:
            raise GalleryError(
                f"{name} has embeddings computed in {plain(self.precision)}, not in {other.precision}: use the same precision"
            )
        if (self.preprocessing, self.dimension) != (other.preprocessing, other.dimension):
            raise GalleryError(f"{name} has embeddings of pictures that were prepared in another way: {way}")

"""One picture on its way into a gallery, or into a search: its bytes, their hash, its pixels, the network's input."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Preprocessing
from ..dataset.look import codes_of, pixel_hash
from ..errors import ImageError, LcnetError
from ..image import decode
from ..image.reading import file_of
from ..sources.formats import KNOWN, START, format_of
from ..sources.found import Found
from ..sources.stamp import stamp_of
from ..text import reason, shown
from .places import Key
from .store import Content

if TYPE_CHECKING:
    from ..runtime import Classifier

MOST = 1 << 30  # bytes of one file
_COLORS = Preprocessing()  # by whose rules pixels are compared, whatever the network takes


class Candidate:
    """A picture that is to be embedded. For `runtime.stream` it is a file of that name, and weighs what its source holds."""

    __slots__ = ("content", "key", "name", "nbytes", "sha256", "source", "stamp", "what")

    def __init__(self, source: Any, key: Key = "", what: str = "") -> None:
        """To be made in the order of the sources."""
        if isinstance(source, Found):
            source.prepare()
        self.source, self.key, self.what, self.name = source, key, what, shown(source)
        self.stamp = stamp_of(source)
        self.sha256, self.content = b"", Content(b"", b"", b"", False)
        self.nbytes = source.weight if isinstance(source, Found) else 0

    def read(self) -> bytes:
        """The bytes of the picture, hashed, if they begin as a picture does. Raises `ImageError`."""
        try:
            data = self._bytes()
        except (OSError, ValueError) as error:
            raise ImageError(f"{self.name}: {reason(error)}") from None
        except ImageError as error:
            raise self._named(error) from None
        self.sha256 = sha256(data).digest()
        return data

    def _bytes(self) -> bytes:
        with file_of(self.source.open() if isinstance(self.source, Found) else self.source) as file:
            start = file.read(START)
            if start and format_of(start) is None:
                raise ImageError(f"it is not a picture of a known format ({KNOWN}): it starts with {start[:16]!r}")
            data = start + file.read(MOST)
        if len(data) >= MOST:
            raise ImageError(f"it has {MOST >> 30} GiB or more, which no picture has")
        return data

    def look(self, data: bytes, model: Classifier) -> np.ndarray:
        """Hash the pixels; return the network's input, float32 [1,C,H,W]. Raises `ImageError`."""
        try:
            pixels = decode(data, _COLORS, model.max_pixels)
            code, _, plain = codes_of(pixels)
            self.content = Content(self.sha256, pixel_hash(pixels), code, plain)
            return model.preprocess([pixels if _decodes_alike(model.preprocessing) else data])
        except LcnetError as error:
            raise self._named(error) from None

    def prepared(self, data: bytes, model: Classifier) -> np.ndarray:
        """The network's input alone. Raises `ImageError`."""
        try:
            return model.preprocess([data])
        except LcnetError as error:
            raise self._named(error) from None

    def _named(self, error: LcnetError) -> ImageError:
        text = str(error)
        for start in (f"{self.name}: ", f"{self.source}: ", "image bytes: ", "image array: "):
            text = text.removeprefix(start)
        return ImageError(f"{self.name}: {text}")


def _decodes_alike(preprocessing: Preprocessing) -> bool:
    """Whether a network decodes pictures by the rules by which their pixels are compared, and so takes what was decoded."""
    rules = ("exif", "background", "resize", "alpha")
    same = all(getattr(preprocessing, name) == getattr(_COLORS, name) for name in rules)
    return same and preprocessing.input_size[0] == 3

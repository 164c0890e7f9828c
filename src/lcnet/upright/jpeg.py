"""JPEG files turned: without loss in the DCT where that is possible, otherwise decoded, turned and encoded as they were.

Without loss (`dct`) needs the extra `jpeg` (the package turbojpeg, which carries libjpeg-turbo) and that the sides which come
to the left and to the top are whole coding blocks, 8 or 16 pixels. Otherwise (`reencoded`) the file's own quantization tables
are used, with its subsampling where Pillow has it and finer where not, so that little more is lost than is lost already.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ImageError
from ..image.pixels import ORIENTATION, TURNS, quiet_and_strict
from ..image.reading import opened
from .ifd import Damaged
from .segments import APP0, APP14, Segment, has_more_pictures, is_said, joined, parted, tagged, trailer, turned
from .turns import LYING, UPRIGHT, applied, both, transposed

if TYPE_CHECKING:
    from PIL import Image

OPERATIONS = {2: "HFLIP", 3: "ROT180", 4: "VFLIP", 5: "TRANSPOSE", 6: "ROT90", 7: "TRANSVERSE", 8: "ROT270"}
SUBSAMPLINGS = {(1, 1): 0, (2, 1): 1, (2, 2): 2}  # of Pillow, by how many luminance pixels a chrominance pixel has


def turn(data: bytes, back: int, tag_only: bool = False) -> tuple[bytes, str]:
    """Turn a file, seen as its orientation tag says, by an operation; returns it and how that was done. Raises `ImageError`.

    tag_only: change nothing but the tag.
    """
    segments, scans = parted(data)
    if has_more_pictures(segments):
        raise ImageError("it holds more than one picture (MPF), which would lie differently then: it is left as it is")
    tag = orientation_of(data)
    operation = both(tag, back)
    if tag_only:
        return joined(_tagged(segments, operation), scans), "tag"
    if operation == UPRIGHT:  # the tag alone is wrong
        return joined(_tagged(segments, UPRIGHT), scans), "tag"
    said = turned(segments, operation)
    lossless = by_dct(data, operation)
    if lossless is not None:
        return _with(lossless, said, own=False) + trailer(scans), "dct"
    return _with(_encoded(data, operation), said, own=True) + trailer(scans), "reencoded"


def orientation_of(data: bytes) -> int:
    """The orientation that viewers go by, 1 where a file says none."""
    with quiet_and_strict(), opened(data) as image:
        try:
            tag = image.getexif().get(ORIENTATION, UPRIGHT)
        except Exception:  # whatever a damaged block raises: it says nothing
            return UPRIGHT
    return tag if tag in TURNS else UPRIGHT


def _tagged(segments: list[Segment], orientation: int) -> list[Segment]:
    try:
        return tagged(segments, orientation)
    except Damaged as error:
        raise ImageError(f"its EXIF block cannot be changed: {error}") from None


def by_dct(data: bytes, operation: int) -> bytes | None:
    """The file turned by libjpeg-turbo, bare; None where that is not to be had, or not without loss."""
    try:
        import turbojpeg

        how = getattr(turbojpeg.OP, OPERATIONS[operation])
    except (ImportError, AttributeError):  # not there, or the other package of this name
        return None
    with quiet_and_strict(), opened(data) as image:
        progressive = bool(image.info.get("progressive"))
    try:
        done: bytes = turbojpeg.transform(data, how, perfect=True, copynone=True, progressive=progressive, optimize=True)
    except RuntimeError:  # not whole blocks, or damage that Pillow passes over
        return None
    return done if _agree(data, done, operation) else None


def _agree(before: bytes, after: bytes, operation: int) -> bool:
    """Whether the turned file decodes to the turned pixels, but for how the inverse DCT rounds: what is not so is not kept."""
    one, other = applied(_planes(before), operation), _planes(after)
    return one.shape == other.shape and int(np.abs(one.astype(np.int16) - other).max(initial=0)) <= 4


def _planes(data: bytes) -> np.ndarray:
    """The pixels as they are coded, if that can be had."""
    with quiet_and_strict(1 << 62), opened(data) as image:
        if image.mode == "RGB" and not _is_coded_as_rgb(image):
            image.draft("YCbCr", image.size)
        return np.asarray(image)


def _is_coded_as_rgb(image: Any) -> bool:
    """By its Adobe segment, or as libjpeg guesses by the names of its components."""
    return image.info.get("adobe_transform") == 0 or bytes(layer[0] for layer in image.layer) == b"RGB"


def _encoded(data: bytes, operation: int) -> bytes:
    """The file decoded, turned and encoded, bare."""
    with quiet_and_strict(1 << 62), opened(data) as image:
        if image.mode not in ("L", "RGB", "CMYK"):
            raise ImageError(f"it has pixels of an unusual kind ({image.mode}): it is left as it is")
        return encoded(image, operation, options(image, operation))


def encoded(image: Image.Image, operation: int, how: dict[str, Any]) -> bytes:
    """A picture turned and encoded by options of Pillow's encoder."""
    upright = transposed(image, operation)
    out = io.BytesIO()
    upright.info = {}
    upright.save(out, "JPEG", **how)
    return out.getvalue()


def options(image: Any, operation: int) -> dict[str, Any]:
    """What Pillow's encoder needs to write as the file was written."""
    lying = operation in LYING
    tables = [image.quantization[layer[3]] for layer in image.layer[:2]]
    options: dict[str, Any] = {"qtables": [_transposed(table) if lying else list(table) for table in tables]}
    if len(image.layer) == 3:
        options["subsampling"] = _subsampling(image, lying)
    if image.mode == "RGB" and _is_coded_as_rgb(image):
        options.update(keep_rgb=True, subsampling=0)
    return {**options, "progressive": bool(image.info.get("progressive")), "optimize": True}


def _transposed(table: list[int]) -> list[int]:
    return [int(value) for value in np.reshape(table, (8, 8)).T.ravel()]


def _subsampling(image: Any, lying: bool) -> int:
    (_, across, down, _), *others = image.layer
    if any(layer[1:3] != (1, 1) for layer in others):
        return 0
    return SUBSAMPLINGS.get((down, across) if lying else (across, down), 0)


def _with(bare: bytes, said: list[Segment], own: bool) -> bytes:
    """A file that says what another said. own: of its colours what its encoder says, which may have changed them."""
    segments, scans = parted(bare)
    adobe = [s for s in segments if s.marker == APP14]
    if own:
        said = [*(s for s in said if s.marker != APP14), *adobe]
    said = sorted(said, key=lambda s: s.marker != APP0)  # JFIF comes first
    return joined([*said, *(s for s in segments if not is_said(s))], scans)

"""PDF files: pages rendered small to be read, and turned by their /Rotate, all else as it was. Needs the extra `pdf`.

The turned file is the old one, byte for byte, with the changed pages behind it (an incremental update, ISO 32000-1, 7.5.6), so
that text, forms, attachments and what was signed stay. Encrypted files are left alone. PDFium is not made for threads: one
file is open at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from ..errors import ImageError
from .refused import Refused

SUFFIX = ".pdf"
START = b"%PDF-"
FINER = 2  # times as many pixels as the decision needs at least: what is rendered is not averaged
MAX_RATIO = 50  # of a page's sides, beyond which it is no page
_LOCK = RLock()
_ENCRYPTED = "it is encrypted: take its password off first, for what is written behind it would not be"


def pdfium() -> Any:
    """The package pypdfium2. Raises `Refused` where it is not installed."""
    try:
        import pypdfium2
    except ImportError:
        raise Refused("PDF files need pypdfium2: pip install 'lcnet[pdf]'") from None
    return pypdfium2


def is_pdf(path: Path) -> bool:
    """Whether a file begins as PDF does, in its first kilobyte as readers allow."""
    with open(path, "rb") as file:
        return START in file.read(1024)


@contextmanager
def _open(source: Path | bytes) -> Iterator[Any]:
    with _LOCK:
        module = pdfium()
        try:
            document = module.PdfDocument(source)
        except module.PdfiumError as error:
            if "assword" in str(error):
                raise Refused("it asks for a password: take that off first") from None
            raise ImageError("it is damaged or no PDF file: get it again") from None
        try:
            if module.raw.FPDF_GetSecurityHandlerRevision(document) != -1:
                raise Refused(_ENCRYPTED)
            yield document
        finally:
            document.close()


def count(path: Path) -> int:
    """How many pages there are. Raises `ImageError`."""
    with _open(path) as document:
        return len(document)


def render(path: Path, first: int, number: int, short_side: int) -> list[np.ndarray | ImageError]:
    """Some pages as viewers show them, uint8 [H,W,3] RGB; in place of one that cannot be rendered why."""
    with _open(path) as document:
        return [_rendered(document, index, short_side) for index in range(first, min(first + number, len(document)))]


def _rendered(document: Any, index: int, short_side: int) -> np.ndarray | ImageError:
    try:
        page = document[index]
    except pdfium().PdfiumError:
        return ImageError("this page cannot be read: the file is damaged")
    try:
        width, height = page.get_size()
        short, long = sorted((width, height))
        if not 0 < short <= long <= MAX_RATIO * short:
            return ImageError(f"its size is {width:g} x {height:g} points: no page")
        bitmap = page.render(scale=FINER * short_side / short, rev_byteorder=True)
        return np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
    except (pdfium().PdfiumError, RuntimeError, ValueError):
        return ImageError("this page cannot be rendered: the file is damaged")
    finally:
        page.close()


def turn(path: Path, angles: Mapping[int, int]) -> tuple[bytes, str]:
    """Turn pages, numbered from 0, back by angles; returns the file and how that was done. Raises `ImageError`."""
    data = path.read_bytes()
    with _open(data) as document:
        wanted = _rotations(document)
        for index, angle in angles.items():
            wanted[index] = (wanted[index] - angle) % 360
            document[index].set_rotation(wanted[index])
        out = io.BytesIO()
        document.save(out, flags=pdfium().raw.FPDF_INCREMENTAL)
    turned = out.getvalue()
    with _open(turned) as document:
        if not turned.startswith(data) or _rotations(document) != wanted:
            raise ImageError("PDFium cannot write it with its pages turned: it is left as it is")
    return turned, "rotate"


def _rotations(document: Any) -> list[int]:
    return [document[index].get_rotation() for index in range(len(document))]

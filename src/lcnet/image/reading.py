"""From a source to a picture of Pillow's whose header is read and whose pixels are not yet.

A file is shown only to the one reader that its first bytes ask for. Pillow is imported only when there is something to
decode, and a plugin only when there is a file for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import ImageError, InputError
from ..sources.formats import KNOWN, START, Format, format_of
from ..sources.pipes import open_file
from .limits import check_file, check_layout

if TYPE_CHECKING:
    from PIL import Image


@contextmanager
def opened(source: Any) -> Iterator[Image.Image]:
    """The picture, its header read and its pixels not yet; what was opened here is closed."""
    from PIL import Image

    if isinstance(source, Image.Image):
        yield source
    else:
        with file_of(source) as file:
            row = _format_of(file)
            check_file(row.name, file)
            file.seek(0)
            # Not Image.open, which imports the readers of five formats first: a third of the time that Pillow takes.
            with Image.OPEN[row.name][0](file, "") as image:
                check_layout(image, file)
                yield image


def file_of(source: Any) -> AbstractContextManager[BinaryIO]:
    """A binary file that can be sought, of a path, bytes or a file object; the latter stays open."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source if isinstance(source, bytes) else bytes(source))
    if not hasattr(source, "read"):
        return open_file(source)
    if isinstance(source, io.TextIOBase):
        raise InputError("a file object is open as text, expected binary: open the file with mode 'rb'")
    seekable = source.seekable() if hasattr(source, "seekable") else hasattr(source, "seek")
    return nullcontext(source if seekable else io.BytesIO(source.read()))


def _format_of(file: BinaryIO) -> Format:
    """The format that the first bytes of `file` announce, its reader imported."""
    from PIL import Image

    file.seek(0)
    start = file.read(START)
    if not start:
        raise ImageError("it is empty (0 bytes): get it again")
    row = format_of(start)
    if row is None:
        raise ImageError(f"it is not a picture of a known format ({KNOWN}): it starts with {start[:16]!r}")
    if row.name not in Image.OPEN:
        _import_reader(row)
    return row


def _import_reader(row: Format) -> None:
    try:
        import_module(row.module)
    except ImportError:
        what = f"pip install {row.package}, or " if row.package else ""
        raise ImageError(
            f"it is a {row.name} picture and there is no {row.module} here: {what}convert it to PNG or JPEG"
        ) from None

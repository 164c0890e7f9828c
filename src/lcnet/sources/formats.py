"""The formats of pictures as data: first bytes, suffixes, and the one module of Pillow's, or of a plugin, that reads each.

A format is a row. Left out are formats for which Pillow runs another program (EPS), those that almost any bytes pass for
(TGA), and those whose size is not known before they are decoded (ICO, and JPEG XL's plugin); `UNREAD` says what to do.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

MAX_PIXELS = 178_956_970  # width * height where Pillow, left at its own default, gives up too
START = 64  # bytes that tell a format: 12 brands of an ISO media file (ISO/IEC 14496-12, 4.3)


class Format(NamedTuple):
    """One format. `name` is Pillow's, `magic` a pattern of the first bytes; `package` is to be installed for `module`."""

    name: str
    magic: bytes
    module: str
    suffixes: str
    package: str = ""


FORMATS = (
    Format("JPEG", rb"\xff\xd8\xff", "PIL.JpegImagePlugin", ".jfif .jpe .jpeg .jpg .mpo .pjp .pjpeg"),
    Format("PNG", rb"\x89PNG\r\n\x1a\n", "PIL.PngImagePlugin", ".apng .png"),
    Format("GIF", rb"GIF8[79]a", "PIL.GifImagePlugin", ".gif"),
    Format("WEBP", rb"RIFF....WEBP", "PIL.WebPImagePlugin", ".webp"),
    Format("TIFF", rb"II[*+]\0(?!....CR)|MM\0[*+]", "PIL.TiffImagePlugin", ".tif .tiff"),  # CR: Canon's raw files
    Format("BMP", rb"BM", "PIL.BmpImagePlugin", ".bmp"),
    Format("PPM", rb"P[0-6fy]\s", "PIL.PpmImagePlugin", ".pbm .pfm .pgm .pnm .ppm"),
    Format("JPEG2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "PIL.Jpeg2KImagePlugin", ".j2c .j2k .jp2 .jpc .jpf .jpx"),
    Format("AVIF", rb"....ftypavi[fs]", "PIL.AvifImagePlugin", ".avif .avifs"),
    Format("HEIF", rb"....ftyphe[iv][cxms]", "pillow_heif.HeifImagePlugin", ".heic .heics .heif .heifs .hif", "pillow-heif"),
)
KNOWN = ", ".join(row.name for row in FORMATS)

_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIF"),
}
_BY_NAME = {row.name: row for row in FORMATS}
_BY_SUFFIX = {suffix: row for row in FORMATS for suffix in row.suffixes.split()}

_CONVERT = "not read: convert to PNG or JPEG"
_DEVELOP = "camera raw: develop to JPEG or TIFF"
# Suffixes of pictures that are not read, and what to do.
UNREAD = {
    **dict.fromkeys(
        ".bpg .cur .dds .dib .eps .exr .hdr .icns .ico .jng .jxl .jxr .pcx .psd .qoi .sgi .svg .svgz .tga "
        ".wdp .wmf .xbm .xcf .xpm".split(),
        _CONVERT,
    ),
    **dict.fromkeys(
        ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw "
        ".rw2 .rwl .sr2 .srf .srw .x3f".split(),
        _DEVELOP,
    ),
}


def format_of(start: bytes) -> Format | None:
    """The format that a file's first `START` bytes announce, None if they announce none that is read."""
    if start[4:8] == b"ftyp":
        return _BY_NAME.get(_by_brands(start))
    return next((row for row in FORMATS if re.match(row.magic, start, re.DOTALL)), None)


def _by_brands(start: bytes) -> str:
    """Of an ISO media file: by its major brand, or if that only says that it is a picture, by those it is compatible with."""
    major, end = start[8:12], min(int.from_bytes(start[:4], "big"), len(start))
    if major not in (b"mif1", b"msf1"):
        return _BRANDS.get(major, "")
    others = (start[i : i + 4] for i in range(16, end - 3, 4))
    return next((_BRANDS[brand] for brand in others if brand in _BRANDS), "AVIF")


def is_suffix(suffix: str) -> bool:
    """Whether a suffix, with its dot and in small letters, is that of pictures that can be read here."""
    row = _BY_SUFFIX.get(suffix)
    return row is not None and (not row.package or installed(row.module))


@cache
def installed(module: str) -> bool:
    """Whether there is the plugin that a module is of; it is not imported."""
    try:
        return find_spec(module.partition(".")[0]) is not None
    except ValueError:  # of a module that was put in place by hand, or blocked
        return False


def advice(suffix: str) -> str:
    """What to do with files of a suffix that are not taken; "" for what is no picture."""
    row = _BY_SUFFIX.get(suffix)
    return f"needs pip install {row.package}" if row and row.package else UNREAD.get(suffix, "")

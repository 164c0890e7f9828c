"""What is an address, such as `s3://bucket/key`, and which are read: by the text alone, nothing is asked or loaded.

Only the protocols of `PROTOCOLS` are. Others are refused, http and https among them: what a list names must not make this
machine ask any server. A file of this machine whose name looks like an address is that file.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ..text import quoted

# What is read -> the package that fsspec needs for it.
PROTOCOLS = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
    "oss": "ossfs",
    "memory": "",
}

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://.", re.DOTALL)  # of two letters and more: one is a drive of Windows
_LOCAL = "file:///"


def is_address(source: Any) -> bool:
    """Whether a path is an address, also of a protocol that is not read: it begins with `NAME://`, and is no file here."""
    looks = isinstance(source, str) and _ADDRESS.match(source) and not _is_local(source)
    return bool(looks) and not os.path.lexists(source)


def local(source: Any) -> Any:
    """The path that a `file:///` address names; everything else as it is."""
    if isinstance(source, str) and _is_local(source) and not os.path.lexists(source):
        return source[len(_LOCAL) - 1 :]
    return source


def _is_local(source: str) -> bool:
    return source[: len(_LOCAL)].lower() == _LOCAL


def protocol(address: str) -> str:
    """What an address begins with, in small letters."""
    return address.partition("://")[0].lower()


def not_read(address: str) -> str:
    """Why an address is not read, "" if it is."""
    name = protocol(address)
    if name in PROTOCOLS:
        return ""
    if name in ("http", "https"):
        return "pictures are not fetched from web servers: download them first"
    return f"addresses of {quoted(name)}:// are not read, but {', '.join(f'{p}://' for p in PROTOCOLS)} and file:///"

"""Foreign checkpoints -> named arrays: torch's zip format and its predecessor, pickled numpy arrays, safetensors.

Owns the containers and needs neither torch nor paddle: pickles go through `unpickle`, so nothing in a file is executed,
and no more is kept than the file's own bytes describe. Knows nothing about networks or what they call their tensors.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..modelfile import invalid, is_pickled
from ..modelfile.description import METADATA_KEY
from ..modelfile.kinds import MAX_MEMBERS, SUFFIXES, crowded, identify, identify_folder
from ..text import quoted, reason
from .find import find_network, named_tensors
from .says import is_run
from .tensors import CALLS, Array, Storage, Storages, Tensor
from .unpickle import describe, interpret

MAX_BYTES = 1 << 30  # of a file, and of the arrays read from one: thirty times the largest network of the family
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a pickled number, the first of five pickles
_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, LookupError, MemoryError, OSError, RuntimeError, ValueError, struct.error)
_SAFETENSORS = {
    "F64": "Double",
    "F32": "Float",
    "F16": "Half",
    "BF16": "BFloat16",
    "I64": "Long",
    "I32": "Int",
    "I16": "Short",
    "I8": "Char",
    "U8": "Byte",
}


@dataclass(frozen=True)
class Checkpoint:
    """What a foreign file holds: float32 and int64 arrays by their cleaned names, and where they came from."""

    tensors: dict[str, np.ndarray]
    format: str  # torch, pickle or safetensors
    key: str | None  # the entry of a training checkpoint that was taken; None: the file is the state dict
    sha256: str  # of the whole file
    description: str | None = None  # JSON text of a model file's metadata
    prefix: str = ""  # what stood before every tensor's name
    left_out: tuple[str, ...] = ()  # entries beside the network that are not its own
    root: Any = None  # everything that the file says, as plain values


def read_checkpoint(path: str | os.PathLike[str], use_ema: bool = True) -> Checkpoint:
    """Read a checkpoint by its content, whatever its suffix.

    Of a training checkpoint the averaged weights are taken (if `use_ema`), else the others; see `find`. Floats become
    float32 and integers int64. Raises `ModelFileError`, which names what the file is if it is none.
    """
    data = read_bytes(path)
    kind, root, storages = _parse(Path(path).name, data)
    network = find_network(root, use_ema)
    entries, left_out = named_tensors(network)
    description = _description(data) if kind == "safetensors" else _of_run(root)
    return Checkpoint(
        _arrays(entries, storages),
        kind,
        network.key,
        hashlib.sha256(data).hexdigest(),
        description,
        network.prefix,
        tuple(left_out),
        root,
    )


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A whole file of the size that one of the family can have. Raises `ModelFileError`."""
    try:
        if Path(path).is_dir():
            raise ModelFileError(_folder(Path(path)))
        size = Path(path).stat().st_size
        if size <= MAX_BYTES:
            return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be read: {reason(error)}") from None
    raise ModelFileError(f"has {size >> 20} MiB: no checkpoint of an LCNet is larger than {MAX_BYTES >> 20} MiB")


def _folder(path: Path) -> str:
    names = sorted(entry.name for entry in path.iterdir())
    likely = [name for name in names if name.endswith(SUFFIXES)]
    some = f", such as {', '.join(likely[:3])}" if likely else ""
    return identify_folder(names) or f"this is a folder: name the checkpoint in it{some}"


def _parse(name: str, data: bytes) -> tuple[str, Any, Storages]:
    if not is_pickled(data[:8], len(data)):
        return "safetensors", *_read_safetensors(name, data)
    if told := identify(name, io.BytesIO(data), len(data)):
        raise ModelFileError(told)
    if data.startswith(b"PK"):
        return "torch", *_read_torch_zip(data)
    if data.startswith(_LEGACY_MAGIC):
        return "torch", *_read_torch_legacy(data)
    return "pickle", interpret(io.BytesIO(data), CALLS), Storages(lambda _: b"")


def _arrays(entries: Mapping[str, Any], storages: Storages) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    left = MAX_BYTES
    for name, value in entries.items():
        if not isinstance(value, (Tensor, Array)):
            raise ModelFileError(f"{quoted(name)} is {describe(value)}, expected a tensor")
        try:
            out[name] = value.to_array(storages)
        except ModelFileError as error:
            raise ModelFileError(f"{quoted(name)}: {error}") from None
        left -= out[name].nbytes
        if left < 0:
            raise ModelFileError(f"the tensors share their values and take more than {MAX_BYTES >> 20} MiB: refused")
    return out


def _read_torch_zip(data: bytes) -> tuple[Any, Storages]:
    if crowded(data):
        raise ModelFileError(f"the zip archive has more than {MAX_MEMBERS} members: no checkpoint of an LCNet has")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _ZIP_ERRORS as error:
        raise ModelFileError(f"the zip archive is damaged or cut short ({quoted(error)}): get the file again") from None
    names = _stored_names(archive, len(data))
    root = _archive_root(names)
    order = _entry(archive, f"{root}/byteorder") if f"{root}/byteorder" in names else b"little"
    if order not in (b"little", b"big"):
        raise ModelFileError(f"its byteorder is {quoted(order.decode('latin1'))}, expected little or big")
    value = interpret(io.BytesIO(_entry(archive, f"{root}/data.pkl")), CALLS, Storage.from_id)
    return value, Storages(lambda s: _entry(archive, f"{root}/data/{s.key}"), "<" if order == b"little" else ">")


def _stored_names(archive: zipfile.ZipFile, size: int) -> set[str]:
    """Names in the archive, which must be as torch writes it: uncompressed, each once, no larger than the file."""
    entries = archive.infolist()
    names = {e.filename for e in entries}
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
        raise ModelFileError("the zip archive is compressed, which torch's checkpoints are not: refused")
    if sum(e.file_size for e in entries) > size or len(names) != len(entries):
        raise ModelFileError("the zip archive has overlapping or repeated entries: refused")
    return names


def _archive_root(names: set[str]) -> str:
    roots = [n.removesuffix("/data.pkl") for n in names if n.count("/") == 1 and n.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ModelFileError("this zip archive is no torch checkpoint: it has no data.pkl")
    return roots[0]


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except _ZIP_ERRORS as error:
        raise ModelFileError(f"{quoted(name)} of the archive is missing or damaged ({quoted(error)})") from None


def _read_torch_legacy(data: bytes) -> tuple[Any, Storages]:
    """Read the format before torch 1.6, which timm's releases have: five pickles, then the storages."""
    stream = io.BytesIO(data)
    storages: dict[str, Storage] = {}

    def persistent(pid: Any) -> Storage:
        storage = Storage.from_id(pid)
        return storages.setdefault(storage.key, storage)

    for _ in ("magic number", "protocol version", "system information"):
        interpret(stream, CALLS)
    root, keys = interpret(stream, CALLS, persistent), interpret(stream, CALLS)
    if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise ModelFileError("the list of storages is damaged: get the file again")
    raw = {key: _legacy_storage(stream, storages.get(key)) for key in keys}
    return root, Storages(lambda s: raw.get(s.key, b""))


def _legacy_storage(stream: io.BytesIO, storage: Storage | None) -> bytes:
    count = int.from_bytes(stream.read(8), "little")
    if storage is None or count != storage.count:
        raise ModelFileError("a storage is not of the size that its tensors need: the file is damaged or cut short")
    return stream.read(storage.nbytes)


def _read_safetensors(name: str, data: bytes) -> tuple[dict[str, Tensor], Storages]:
    from safetensors import SafetensorError, deserialize

    try:
        found: dict[str, dict[str, Any]] = dict(deserialize(data))  # type: ignore[no-untyped-call, unused-ignore]
    except SafetensorError as error:
        raise ModelFileError(invalid(name, io.BytesIO(data), len(data), error)) from None
    views = {name: _view(name, str(info["dtype"]), tuple(info["shape"])) for name, info in found.items()}
    return views, Storages(lambda s: bytes(found[s.key]["data"]))


def _description(data: bytes) -> str | None:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text: str | None = (header.get("__metadata__") or {}).get(METADATA_KEY)
    return text


def _of_run(root: Any) -> str | None:
    """The description that a `last.ckpt` of `lcnet train` carries."""
    text = root.get("description") if is_run(root) else None
    return text if isinstance(text, str) else None


def _view(name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    kind = f"torch.{_SAFETENSORS[dtype]}Storage" if dtype in _SAFETENSORS else dtype
    strides = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    return Tensor(Storage(name, kind, math.prod(shape)), 0, shape, strides)

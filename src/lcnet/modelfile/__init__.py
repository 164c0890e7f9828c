"""The model file: one `.safetensors` with weights in timm's keys and the rest as JSON in its metadata.

The specification is docs/model-file.md. Refuses what does not describe the network it claims to, and never unpickles.
Plain timm files (no metadata) are read too: their description comes from a `config.json` beside them or from the zoo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import system, zoo
from ..arch import BN_EPS, FAMILIES, MAX_DEPTH, Arch
from ..config import ModelConfig, Quantization
from ..errors import ModelFileError
from ..files import write_atomically
from ..labels import load_labels
from ..text import one_line, plain, quoted, reason, shown
from . import quantized
from .branches import fused, is_branched
from .description import FORMAT_VERSION as FORMAT_VERSION
from .description import METADATA_KEY, classes_of, longest_header, parse_config, strict_json, write_config
from .values import COUNTER, check_values, dtypes_of

__all__ = [
    "ModelFile",
    "check_shapes",
    "check_values",
    "has_branches",
    "infer_arch",
    "is_pickled",
    "naming",
    "parse_config",
    "plain_config",
    "read",
    "read_config",
    "to_bytes",
    "write",
]
MAX_HEADER = 100_000_000  # bytes; safetensors refuses longer ones
HEADER_ROOM = 2 << 20  # bytes of a header beyond twice those of the tensors: the parser needs ten times as many


@dataclass(frozen=True)
class ModelFile:
    """A model in memory: its description and its float32 tensors by timm key (plus int64 counters, where stored).

    Of a quantised one, the tensors are those that `lcnet.modelfile.quantized.shapes` lists.
    """

    config: ModelConfig
    weights: dict[str, np.ndarray]


def read(
    path: str | os.PathLike[str], default: ModelConfig | None = None, mapped: bool = False, branches: bool = False
) -> ModelFile:
    """Read and check a model file; `default` describes a file that carries no description of its own.

    `mapped`: the tensors are read-only views of the file on disk, for a reader that is done with them soon. `branches`: those
    of timm's file of a PP-LCNetV2 stay as they are; otherwise they are fused.

    Raises `ModelFileError` naming the file and what is wrong with it.
    """
    with naming(path), _open(path) as file:
        shapes = _shapes(file)
        config = _config_of(file, Path(path), shapes, default)
        plain = METADATA_KEY not in (file.metadata() or {})
        check_shapes(shapes, config.arch, config.quantization, plain and is_branched(shapes))
        _check_dtypes({key: file.get_slice(key).get_dtype() for key in shapes}, config)
        header = _header(path, config.arch.num_classes)
        weights = _mapped(path, header) if mapped else {key: file.get_tensor(key) for key in shapes}
        check_values(weights, config)
        if branches or not is_branched(weights):
            return ModelFile(config, weights)
        weights = fused(weights, config.arch, config.bn_eps)
        check_values(weights, config)
        return ModelFile(config, weights)


def read_config(path: str | os.PathLike[str], default: ModelConfig | None = None) -> ModelConfig:
    """Read the description alone, without the weights."""
    with naming(path), _open(path) as file:
        return _config_of(file, Path(path), _shapes(file), default)


def has_branches(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the branches of a PP-LCNetV2's training, as timm's have. Raises `ModelFileError`."""
    with naming(path), _open(path) as file:
        return is_branched(_shapes(file))


def write(path: str | os.PathLike[str], model: ModelFile) -> None:
    """Check and write a model file: under a temporary name, then renamed, so that no half-written file is ever seen."""
    with naming(path):
        data = to_bytes(model)
    write_atomically(path, data)


def to_bytes(model: ModelFile) -> bytes:
    """The file's bytes, the same for equal models every time. Raises `ModelFileError` for what `read` would refuse."""
    from safetensors.numpy import save

    check_shapes({k: v.shape for k, v in model.weights.items()}, model.config.arch, model.config.quantization)
    check_values(model.weights, model.config)
    # One metadata key: the library writes several in an order that changes from run to run.
    metadata = {METADATA_KEY: write_config(model.config)}
    data: bytes = save({k: np.asarray(v, order="C") for k, v in model.weights.items()}, metadata)
    _check_header(data[:8], len(data))  # of many classes by few weights each it may be too long
    return data


def check_shapes(
    shapes: Mapping[str, tuple[int, ...]], arch: Arch, quantization: Quantization | None = None, branches: bool = False
) -> None:
    """Raise `ModelFileError` naming the tensors that are missing, unknown, or of another shape than `arch` needs.

    `branches`: it needs those of training.
    """
    expected = arch.shapes(branches)
    if quantization:
        expected = {key: shape for key, (_, shape) in quantized.shapes(arch, quantization).items()}
    problems = [f"{k} is missing (expected {list(s)})" for k, s in expected.items() if k not in shapes]
    for key, shape in shapes.items():
        if key in expected:
            if tuple(shape) != expected[key]:
                problems.append(f"{key} has shape {list(shape)}, expected {list(expected[key])}")
        elif not (key.endswith(COUNTER) and f"{key[: -len(COUNTER)]}running_mean" in expected):
            problems.append(f"{key} {list(shape)} does not belong to the network")
        elif tuple(shape) != ():
            problems.append(f"{key} has shape {list(shape)}, expected a scalar, []")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelFileError(
            f"the tensors do not fit {arch.name} with {arch.num_classes} classes: " + "; ".join(problems[:5]) + more
        )


def infer_arch(shapes: Mapping[str, tuple[int, ...]]) -> Arch:
    """Find the registered network whose tensors have these shapes; raises `ModelFileError` if none has."""
    family = next((name for name, table in FAMILIES.items() if f"{table.stem[0]}.weight" in shapes), "lcnet")
    keys = (FAMILIES[family].stem[0], "conv_head", "classifier")
    stem, head, classifier = (shapes.get(f"{key}.weight", ()) for key in keys)
    if len(stem) != 4 or len(head) != 4:
        raise ModelFileError(_no_lcnet(shapes))
    classes = classifier[0] if len(classifier) == 2 else 0
    for name in FAMILIES[family].sizes:
        arch = Arch.of(name, stem[1], classes)
        if (arch.stem_channels, arch.num_features) == (stem[0], head[1]):
            return replace(arch, depths=_depths(shapes, family))
    title = FAMILIES[family].title
    raise ModelFileError(f"no {title} has a stem of {stem[0]} and {head[1]} channels before the head")


def _depths(shapes: Mapping[str, tuple[int, ...]], family: str) -> tuple[int, ...]:
    """How many blocks the stages have whose number the family leaves open; one of those that are missing."""
    table = FAMILIES[family]
    stages = [name for name, row in zip(table.stage_names, table.stages, strict=True) if row.depth is None]
    counts = (len({key.split(".")[2] for key in shapes if key.startswith(f"{stage}.")}) for stage in stages)
    return tuple(min(max(count, 1), MAX_DEPTH) for count in counts)


def _no_lcnet(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Say why the tensors are no LCNet's: by other names, which `lcnet convert` knows, or another network's."""
    if any(key.endswith((".conv_stem.weight", "conv1.conv.weight", ".stem.0.conv.weight")) for key in shapes):
        return "its tensors have the names of a checkpoint: run `lcnet convert IN OUT.safetensors`"
    found = f"found {', '.join(quoted(key) for key in list(shapes)[:3])} and so on" if shapes else "found no tensors"
    return f"this is no LCNet in timm's keys: conv_stem.weight and conv_head.weight are needed, {found}"


def plain_config(path: Path, shapes: Mapping[str, tuple[int, ...]], default: ModelConfig | None = None) -> ModelConfig:
    """Describe weights that carry no description: from `default`, a `config.json` beside `path`, or the zoo."""
    from .assumed import FIELDS, LABELS, noted
    from .timm_config import from_config_json, read_config_json

    beside = path.with_name("config.json")
    # Before the shapes, which show that an option is other than ours but not which.
    described = read_config_json(beside, classes_of(shapes)) if default is None and beside.is_file() else None
    arch = infer_arch(shapes)
    if default is not None:
        return default
    if described is not None:
        return from_config_json(beside, described, arch)
    known = zoo.find(arch.name).config()
    provenance = {"source": shown(path.name)}
    if arch.num_classes == known.arch.num_classes and arch.in_chans == 3:
        labels = known.labels or load_labels("imagenet1k")
        return noted(replace(known, labels=labels, provenance=provenance), (*FIELDS, LABELS))
    pre = known.preprocessing.with_channels(arch.in_chans)
    return noted(ModelConfig(arch, pre, bn_eps=BN_EPS, provenance=provenance), FIELDS)


def _shapes(file: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def _config_of(file: Any, path: Path, shapes: Mapping[str, tuple[int, ...]], default: ModelConfig | None) -> ModelConfig:
    text = (file.metadata() or {}).get(METADATA_KEY)
    return plain_config(path, shapes, default) if text is None else parse_config(text, classes_of(shapes))


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            start, size = file.read(8), os.fstat(file.fileno()).st_size
            if is_pickled(start, size):
                from .kinds import identify

                raise ModelFileError(identify(Path(path).name, file, size) or _to_convert(path))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be read: {reason(error)}") from None
    _check_header(start, size)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ModelFileError(_invalid(path, error)) from None
    except OSError as error:
        raise ModelFileError(f"cannot be read: {reason(error)}") from None


def _to_convert(path: str | os.PathLike[str]) -> str:
    from shlex import quote

    return f"this is a pickled checkpoint, not loaded: run `lcnet convert {quote(plain(path))} OUT.safetensors`"


def _invalid(path: str | os.PathLike[str], error: Exception) -> str:
    try:
        with open(path, "rb") as file:
            return invalid(Path(path).name, file, os.fstat(file.fileno()).st_size, error)
    except OSError:
        return f"not a valid safetensors file ({error})"


def invalid(name: str, file: BinaryIO, size: int, error: Exception) -> str:
    """Say what a file is that safetensors refused with `error`: of its own kind only what begins like one."""
    from .kinds import identify

    if told := identify(name, file, size):
        return told
    file.seek(0)
    start = file.read(16)
    if size <= 8 or start[8:9] == b"{":
        return f"not a valid safetensors file ({error}): it may be cut short; get it again"
    return f"not a valid safetensors file ({error}), and no checkpoint that `lcnet convert` reads: it begins with {start!r}"


def _check_header(start: bytes, size: int) -> None:
    """Refuse, before anything is parsed, a header out of all proportion to the tensors that it describes."""
    length = int.from_bytes(start, "little")
    most = HEADER_ROOM + 2 * (size - 8 - length)
    if most < length <= size - 8:
        raise ModelFileError(f"its header has {length} bytes, expected at most {most} for the tensors that it describes")


def _header(path: str | os.PathLike[str], classes: int) -> dict[str, Any]:
    """The entries of a file that `_open` has validated, of a network that its tensors fit. Raises `ModelFileError`."""
    with open(path, "rb") as file:
        length, most = int.from_bytes(file.read(8), "little"), longest_header(classes)
        if length > most:
            raise ModelFileError(f"its header has {length} bytes, expected at most {most} for {classes} classes")
        try:
            header: dict[str, Any] = strict_json(file.read(length))
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"its header is not JSON: {error}") from None
    header.pop("__metadata__", None)
    return header


def _mapped(path: str | os.PathLike[str], header: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """View the tensors of a file that `_open` has validated, and of checked dtypes, without reading them."""
    data = np.frombuffer(system.contents(path), np.uint8)
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")

    def view(entry: Mapping[str, Any]) -> np.ndarray:  # whose other keys mean nothing
        begin, end = (start + offset for offset in entry["data_offsets"])
        dtype = np.dtype(quantized.DTYPES[entry["dtype"]]).newbyteorder("<")
        return np.asarray(data[begin:end]).view(dtype).reshape(entry["shape"])

    return {key: view(entry) for key, entry in header.items()}


def is_pickled(start: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with these 8 is a zip archive or a pickle, not safetensors.

    A safetensors file begins with the length of its header, whose low bytes can be those of a zip archive or a pickle:
    it is one if a header of that length fits into the file.
    """
    length = int.from_bytes(start[:8], "little")
    if len(start) == 8 and length <= min(size - 8, MAX_HEADER):
        return False
    return start[:2] == b"PK" or (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name in front of what is wrong with it, and make what the file itself says short and printable."""
    try:
        yield
    except ModelFileError as error:
        text, name = str(error)[:1000], os.fspath(path)
        text = one_line(text)
        raise ModelFileError(text if text.startswith(f"{name}: ") else f"{name}: {text}") from None


def _check_dtypes(dtypes: Mapping[str, str], config: ModelConfig) -> None:
    advice = "" if config.quantization else ": `lcnet convert` writes a float32 copy"
    for key, expected in dtypes_of(dtypes, config).items():
        if dtypes[key] != expected:
            raise ModelFileError(f"{key} has dtype {dtypes[key]}, expected {expected}{advice}")

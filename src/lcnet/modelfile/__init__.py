"""The model file: one `.safetensors` with weights in timm's keys and the rest as JSON in its metadata.

The specification is docs/model-file.md. Refuses what does not describe the network it claims to, and never unpickles.
Plain timm files (no metadata) are read too: their description comes from a `config.json` beside them or from the zoo.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, BinaryIO

import numpy as np

from .. import zoo
from ..arch import BN_EPS, WIDTHS, Arch
from ..config import ModelConfig, Quantization
from ..errors import ModelFileError
from ..files import write_atomically
from ..labels import load_labels
from ..text import plain, quoted, reason
from . import quantized
from .assumed import FIELDS, LABELS, noted
from .kinds import identify
from .timm_config import from_config_json, read_config_json

FORMAT_VERSION = 1
METADATA_KEY = "lcnet"
COUNTER = "num_batches_tracked"  # batch-norm's int64 step counter: kept where it exists, never needed
MAX_HEADER = 100_000_000  # bytes; safetensors refuses longer ones
MAX_DEPTH = 32  # of the description; the JSON parser's own limit differs from one Python to the next


@dataclass(frozen=True)
class ModelFile:
    """A model in memory: its description and its float32 tensors by timm key (plus int64 counters, where stored).

    Of a quantised one, the tensors are those that `lcnet.modelfile.quantized.shapes` lists.
    """

    config: ModelConfig
    weights: dict[str, np.ndarray]


def read(path: str | os.PathLike[str], default: ModelConfig | None = None, mapped: bool = False) -> ModelFile:
    """Read and check a model file; `default` describes a file that carries no description of its own.

    `mapped`: the tensors are read-only views of the file on disk, for a reader that is done with them soon.

    Raises `ModelFileError` naming the file and what is wrong with it.
    """
    with naming(path), _open(path) as file:
        config = _config_of(file, Path(path), default)
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        check_shapes(shapes, config.arch, config.quantization)
        _check_dtypes({key: file.get_slice(key).get_dtype() for key in shapes}, config)
        weights = _mapped(path) if mapped else {key: file.get_tensor(key) for key in shapes}
        check_values(weights, config)
        return ModelFile(config, weights)


def read_config(path: str | os.PathLike[str], default: ModelConfig | None = None) -> ModelConfig:
    """Read the description alone, without the weights."""
    with naming(path), _open(path) as file:
        return _config_of(file, Path(path), default)


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
    metadata = {METADATA_KEY: description_text(model.config)}
    return save({k: np.asarray(v, order="C") for k, v in model.weights.items()}, metadata)


def description_text(config: ModelConfig) -> str:
    """The JSON text of a model file's metadata. Raises `ModelFileError` for what `parse_config` would refuse."""
    data = {"format_version": FORMAT_VERSION, **config.to_json()}
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the model's description cannot be stored as JSON: {error}") from None
    parse_config(text)
    return text


def check_shapes(shapes: Mapping[str, tuple[int, ...]], arch: Arch, quantization: Quantization | None = None) -> None:
    """Raise `ModelFileError` naming the tensors that are missing, unknown, or of another shape than `arch` needs."""
    expected = arch.shapes()
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
        raise ModelFileError(f"the tensors do not fit {arch.name} with {arch.num_classes} classes: "
                             + "; ".join(problems[:5]) + more)  # fmt: skip


def check_values(weights: Mapping[str, np.ndarray], config: ModelConfig) -> None:
    """Raise `ModelFileError` naming the first tensor with NaN, Inf or a negative variance, or that is not float32.

    The counters must be int64, and what is quantised as `lcnet.modelfile.quantized` says.
    """
    dtypes = _dtypes(weights, config)
    for key, value in weights.items():
        if value.dtype != quantized.DTYPES[dtypes[key]]:
            raise ModelFileError(f"{key} has dtype {value.dtype}, expected {np.dtype(quantized.DTYPES[dtypes[key]])}")
        bad = value.size - np.count_nonzero(np.isfinite(value))
        if bad:
            raise ModelFileError(f"{key} has {bad} NaN or Inf values of {value.size}: the weights are damaged")
        if key.endswith("running_var") and (value < 0).any():
            raise ModelFileError(f"{key} has negative values: a variance cannot be")
    if config.quantization:
        quantized.check_values(weights)


def _dtypes(keys: Iterable[str], config: ModelConfig) -> dict[str, str]:
    """What type each tensor must have, as safetensors writes it."""
    if config.quantization:
        return {key: dtype for key, (dtype, _) in quantized.shapes(config.arch, config.quantization).items()}
    return {key: "I64" if key.endswith(COUNTER) else "F32" for key in keys}


def infer_arch(shapes: Mapping[str, tuple[int, ...]]) -> Arch:
    """Find the network of the family whose tensors have these shapes; raises `ModelFileError` if none has."""
    stem, head, classifier = (shapes.get(f"{k}.weight", ()) for k in ("conv_stem", "conv_head", "classifier"))
    if len(stem) != 4 or len(head) != 4:
        raise ModelFileError(_no_lcnet(shapes))
    classes = classifier[0] if len(classifier) == 2 else 0
    for width in WIDTHS.values():
        arch = Arch(width, stem[1], classes)
        if (arch.stem_channels, arch.num_features) == (stem[0], head[1]):
            return arch
    raise ModelFileError(f"no LCNet has a stem of {stem[0]} and {head[1]} channels before the head")


def _no_lcnet(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Say why the tensors are no LCNet's: by other names, which `lcnet convert` knows, or another network's."""
    if any(key.endswith((".conv_stem.weight", "conv1.conv.weight")) for key in shapes):
        return "its tensors have the names of a checkpoint: run `lcnet convert IN OUT.safetensors`"
    found = f"found {', '.join(quoted(key) for key in list(shapes)[:3])} and so on" if shapes else "found no tensors"
    return f"this is no LCNet in timm's keys: conv_stem.weight and conv_head.weight are needed, {found}"


def plain_config(path: Path, shapes: Mapping[str, tuple[int, ...]], default: ModelConfig | None = None) -> ModelConfig:
    """Describe weights that carry no description: from `default`, a `config.json` beside `path`, or the zoo."""
    beside = path.with_name("config.json")
    # Before the shapes, which show that an option is other than ours but not which.
    described = read_config_json(beside) if default is None and beside.is_file() else None
    arch = infer_arch(shapes)
    if default is not None:
        return default
    if described is not None:
        return from_config_json(beside, described, arch)
    known = zoo.find(arch.name).config()
    provenance = {"source": path.name}
    if arch.num_classes == known.arch.num_classes and arch.in_chans == 3:
        labels = known.labels or load_labels("imagenet1k")
        return noted(replace(known, labels=labels, provenance=provenance), (*FIELDS, LABELS))
    pre = known.preprocessing.with_channels(arch.in_chans)
    return noted(ModelConfig(arch, pre, bn_eps=BN_EPS, provenance=provenance), FIELDS)


def _config_of(file: Any, path: Path, default: ModelConfig | None) -> ModelConfig:
    text = (file.metadata() or {}).get(METADATA_KEY)
    if text is None:
        return plain_config(path, {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}, default)  # noqa: SIM118
    return parse_config(text)


def parse_config(text: str) -> ModelConfig:
    """Read the JSON text of a model file's metadata. Raises `ModelFileError`."""
    try:
        data = json.loads(text, parse_constant=_no_constant)
        if not isinstance(data, dict):
            raise ModelFileError(f"its {METADATA_KEY!r} metadata is {type(data).__name__}, expected a JSON object")
        version = data.pop("format_version", None)
        if type(version) is not int or version != FORMAT_VERSION:
            found = f"{version!r:.40}"
            raise ModelFileError(f"format_version is {found}, expected {FORMAT_VERSION}: a newer lcnet may read it")
        _check_depth(data, MAX_DEPTH)
        return ModelConfig.from_json(data)
    except ValueError as error:
        raise ModelFileError(f"its {METADATA_KEY!r} metadata is not JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, (dict, list)):
        if not left:
            raise _too_deep()
        for child in value.values() if isinstance(value, dict) else value:
            _check_depth(child, left - 1)


def _too_deep() -> ModelFileError:
    return ModelFileError(f"its {METADATA_KEY!r} metadata is nested more than {MAX_DEPTH} levels deep")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            start, size = file.read(8), os.fstat(file.fileno()).st_size
            if is_pickled(start, size):
                raise ModelFileError(identify(Path(path).name, file, size) or _to_convert(path))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"cannot be read: {reason(error)}") from None
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ModelFileError(_invalid(path, error)) from None
    except OSError as error:
        raise ModelFileError(f"cannot be read: {reason(error)}") from None


def _to_convert(path: str | os.PathLike[str]) -> str:
    return f"this is a pickled checkpoint, not loaded: run `lcnet convert {quote(plain(path))} OUT.safetensors`"


def _invalid(path: str | os.PathLike[str], error: Exception) -> str:
    try:
        with open(path, "rb") as file:
            return invalid(Path(path).name, file, os.fstat(file.fileno()).st_size, error)
    except OSError:
        return f"not a valid safetensors file ({error})"


def invalid(name: str, file: BinaryIO, size: int, error: Exception) -> str:
    """Say what a file is that safetensors refused with `error`: of its own kind only what begins like one."""
    if told := identify(name, file, size):
        return told
    file.seek(0)
    start = file.read(16)
    if size <= 8 or start[8:9] == b"{":
        return f"not a valid safetensors file ({error}): it may be cut short; get it again"
    return f"not a valid safetensors file ({error}), and no checkpoint that `lcnet convert` reads: it begins with {start!r}"


def _mapped(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """View the tensors of a file that `_open` has validated, and of checked dtypes, without reading them."""
    data = np.memmap(path, np.uint8, "r")
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:start].tobytes())
    header.pop("__metadata__", None)

    def view(dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
        begin, end = (start + offset for offset in data_offsets)
        return np.asarray(data[begin:end]).view(np.dtype(quantized.DTYPES[dtype]).newbyteorder("<")).reshape(shape)

    return {key: view(**fields) for key, fields in header.items()}


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
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        raise ModelFileError(text if text.startswith(f"{name}: ") else f"{name}: {text}") from None


def _check_dtypes(dtypes: Mapping[str, str], config: ModelConfig) -> None:
    advice = "" if config.quantization else ": `lcnet convert` writes a float32 copy"
    for key, expected in _dtypes(dtypes, config).items():
        if dtypes[key] != expected:
            raise ModelFileError(f"{key} has dtype {dtypes[key]}, expected {expected}{advice}")

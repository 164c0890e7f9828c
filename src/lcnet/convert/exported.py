"""An exported network as a file or a folder (ONNX, Paddle's inference model, transformers' folder) -> what a model file says.

Owns which of these a source is and where each value of its description comes from: options, then the zoo's entry that is
named, then the source, then a configuration beside it. What nobody says is asked for: the network was exported to be run,
and one that is fed wrongly answers without an error.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import zoo
from ..arch import BN_EPS, HARD_SIGMOID_SLOPE, Arch
from ..config import Decision, Labels, ModelConfig, Preprocessing, from_json
from ..errors import ModelFileError
from ..modelfile import parse_config
from ..modelfile.assumed import FIELDS, noted
from ..modelfile.description import METADATA_KEY
from ..modelfile.kinds import identify, is_onnx
from ..text import quoted, reason, shown
from . import transformers
from .checkpoint import read_bytes, read_checkpoint
from .describe import config_of, fitted
from .match import Match, match
from .onnx import read_onnx
from .paddle import is_part, parts_of, read_paddle
from .paddle_config import PaddleConfig

CHARACTERS = "character"  # where RapidAI's tools keep the labels in an ONNX file, a line each
_LOGITS = "the graph gives logits: softmax is assumed, one class a picture (--multi-label if each stands for itself)"
_OPTIONS = {name: "--" + name.replace("_", "-") for name in FIELDS}


@dataclass(frozen=True)
class Exported:
    """A network, and what its files say."""

    network: Match
    said: PaddleConfig
    origin: dict[str, Any]
    description: ModelConfig | None = None  # of a model of ours


def read_exported(source: Path, config: Path | None) -> Exported | None:
    """Read a source that is an exported network; None: it is another thing. Raises `ModelFileError`."""
    if source.is_dir():
        if any(map(is_part, _entries(source))):
            return _paddle(source, config)
        return _transformers(source, config) if transformers.is_transformers(source) else None
    if source.name == transformers.WEIGHTS and transformers.is_transformers(source.parent):
        return _transformers(source.parent, config)
    if is_part(source):
        return _paddle(source, config)
    return _onnx(source, config) if _is_onnx(source) else None


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ModelFileError(f"cannot be read: {reason(error)}") from None


def _is_onnx(source: Path) -> bool:
    if source.suffix.lower() == ".onnx":
        return source.is_file()
    try:
        with open(source, "rb") as file:
            return is_onnx(file.read(3))
    except (OSError, ValueError):  # of which the reader of checkpoints says what it is
        return False


def _onnx(source: Path, config: Path | None) -> Exported:
    data = read_bytes(source)
    if not is_onnx(data[:3]) and (told := identify("", io.BytesIO(data), len(data))):
        raise ModelFileError(told)
    found = read_onnx(data, source.parent)
    description = parse_config(found.metadata[METADATA_KEY]) if METADATA_KEY in found.metadata else None
    ours = description.arch if description else None
    network = match(found.graph, ours is not None and not ours.num_classes and ours.head_activation == "none")
    said, labels = config_of(config), found.metadata.get(CHARACTERS)
    if labels:
        said = replace(said, labels=Labels(tuple(labels.removesuffix("\n").split("\n"))))
    producer = {"producer": quoted(found.producer)} if found.producer else {}
    origin = {"format": "onnx", **producer, "opset": found.opset}
    files = {source.name: data, **found.files}
    return Exported(network, said, _origin(files, origin, network, len(found.graph.nodes)), description)


def _paddle(source: Path, config: Path | None) -> Exported:
    parts = parts_of(source)
    files = {path: read_bytes(path) for path in (parts.graph, parts.parameters)}
    found = read_paddle(parts.graph, files)
    network = match(found.graph)
    beside = config or parts.config
    named = {path.name: data for path, data in files.items()}
    if beside is not None and config is None:
        named[beside.name] = read_bytes(beside)
    origin = _origin(named, {"format": found.format}, network, len(found.graph.nodes))
    said = config_of(beside)
    return Exported(network, said, origin | ({"source": quoted(said.name)} if said.name else {}))


def _transformers(folder: Path, chosen: Path | None) -> Exported:
    config, said = transformers.read_config(folder)
    if chosen is not None:
        said = replace(said, preprocessing=config_of(chosen).preprocessing, notes=())
    checkpoint = read_checkpoint(folder / transformers.WEIGHTS)
    classes = next((len(v) for k, v in checkpoint.tensors.items() if k in ("head.bias", "fc.bias")), 0)
    arch, factor = transformers.architecture(config, classes)
    weights = transformers.from_transformers(checkpoint.tensors, factor)
    network = Match(arch, weights, BN_EPS, "sigmoid" if said.multi_label else "softmax", None, factor, False)
    origin = {"file": transformers.WEIGHTS, "sha256": checkpoint.sha256, "format": "transformers", "dropout_scale": factor}
    return Exported(network, said, origin)


def _origin(files: Mapping[str, bytes], said: dict[str, Any], network: Match, nodes: int) -> dict[str, Any]:
    """Where the weights came from: the files with their hashes, the first of them the graph, and what was found in it."""
    hashes = {shown(name): hashlib.sha256(data).hexdigest() for name, data in files.items()}
    name, digest = next(iter(hashes.items()))
    out = {"file": name, "sha256": digest, **said, "nodes": nodes, "dropout_scale": network.factor}
    others = {other: value for other, value in hashes.items() if other != name}
    return out | ({"files": others} if others else {}) | ({"batch_norm": "folded in the source"} if network.folded else {})


def describe_exported(
    found: Exported, name: str | None, labels: Labels | None, preprocessing: Mapping[str, Any], multi_label: bool | None
) -> ModelConfig:
    """The description of an exported network. Raises `ModelFileError` naming what nobody says and the options that do."""
    network, said = found.network, found.said
    said.check_classes(network.arch.num_classes)
    base = _base(found, name)
    values = _values(network, base, said, preprocessing)
    labels = labels or (base.labels if base else None) or said.labels
    _ask(found, values, labels)
    pre = from_json(Preprocessing, values, "preprocessing")
    decision, notes = _decision(found, base, labels, multi_label)
    if (turns := zoo.turns_temperature(name or (None if base else said.name), labels)) is not None:
        decision, notes = replace(decision, turns_temperature=turns), [*notes, f"decision.turns_temperature: {zoo.TURNS}"]
    config = ModelConfig(network.arch, pre, labels, decision, network.bn_eps, found.origin)
    return noted(config, (), [*notes, *(() if base else said.notes)])


def _base(found: Exported, name: str | None) -> ModelConfig | None:
    """A description that says everything: the zoo's entry, or that of a model of ours."""
    if name is not None:
        entry = zoo.find(name)
        config = entry.config()
        arch = found.network.arch
        if _shape(arch) not in map(_shape, (config.arch, *entry.earlier)):
            raise ModelFileError(f"the graph is that of {_shown(arch)}, and {name} is {_shown(config.arch)}")
        return config if config.arch.num_classes == arch.num_classes else replace(config, arch=arch, labels=None)
    if found.description is not None and _gated(found.description.arch) != _gated(found.network.arch):
        raise ModelFileError(f"its {METADATA_KEY!r} metadata describes another network than its graph is")
    return found.description


def _gated(arch: Arch) -> Arch:
    """The same with a sixth for the slope of its gates, as our exports have it: what another does is in their weights."""
    return replace(arch, hard_sigmoid_slope=HARD_SIGMOID_SLOPE)


def _shape(arch: Arch) -> tuple[Any, ...]:
    return arch.family, arch.width, arch.depths, arch.stem_stride, arch.stage_strides, arch.head_channels, arch.activation


def _shown(arch: Arch) -> str:
    strides = ", ".join("x".join(map(str, stride)) for stride in (arch.stem_stride, *arch.stage_strides))
    return f"{arch.name} with strides of {strides} and {f'a head of {arch.head_channels}' if arch.head_channels else 'no head'}"


def _values(network: Match, base: ModelConfig | None, said: PaddleConfig, preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Preprocessing` from all who say some."""
    size = {"input_size": (network.arch.in_chans, *network.size)} if network.size else {}
    own = {key: getattr(base.preprocessing, key) for key in Preprocessing.__dataclass_fields__} if base else {}
    return {**size, **said.preprocessing, **own, **fitted(dict(preprocessing), network.arch.in_chans)}


def _ask(found: Exported, values: Mapping[str, Any], labels: Labels | None) -> None:
    arch = found.network.arch
    missing = [_OPTIONS[field] for field in FIELDS if field not in values]
    what = ["how a picture becomes its input"] if missing else []
    if arch.num_classes and labels is None:
        missing.append("--labels")
        what.append(f"what its {arch.num_classes} classes are called")
    if missing:
        raise ModelFileError(
            f"nothing says {' and '.join(what)}: give {', '.join(missing)}; or --config FILE, its inference.yml; or "
            f"{_likely_name(found.origin['file'])}"
        )


def _likely_name(file: str) -> str:
    """The option that would say it all; with the model of Paddle's that a file is called after, as RapidOCR's are."""
    called = [entry.name for entry in zoo.ENTRIES if entry.paddle and entry.name.lower() in file.lower()]
    return f"--name {called[0]}, if that is what it is" if called else "--name, if it is one of `lcnet models`"


def _decision(
    found: Exported, base: ModelConfig | None, labels: Labels | None, chosen: bool | None
) -> tuple[Decision, list[str]]:
    """From probabilities to an answer, and a note of what is assumed.

    Softmax or sigmoid: as the caller chooses, as the graph ends, as a decision layer is made for; else softmax, and noted.
    """
    said = base.decision if base else found.said.decision(labels)
    end = None if found.network.end is None else found.network.end == "sigmoid"
    if said is not None and chosen is None and end not in (None, said.multi_label):
        asked = "several classes a picture" if said.multi_label else "one"
        raise ModelFileError(
            f"the graph ends in {found.network.end}, and what is said of its answers is for {asked}: give --multi-label or"
            " --single-label"
        )
    several = chosen if chosen is not None else end if end is not None else said.multi_label if said else None
    if said is not None and said.multi_label == several:
        return said, []
    assumed = [_LOGITS] if several is None and found.network.arch.num_classes else []
    return Decision(multi_label=bool(several)), assumed

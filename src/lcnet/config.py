"""What a model file says besides its weights: architecture, labels, preprocessing, decisions, provenance.

Plain frozen records with JSON in and out. Unknown keys and impossible values raise `ModelFileError`; after that the
records are trusted everywhere. docs/model-file.md is the specification.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from .arch import BN_EPS, FAMILIES, Arch
from .errors import InputError, ModelFileError
from .groups import MAX_GROUPS, Group, check_groups
from .needs import check_needs, fields_of, needs_of, without_unneeded
from .text import short, suggest

T = TypeVar("T")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
CROP_MODES = ("center", "squash", "border")
RESIZES = ("pillow", "opencv")
ALPHAS = ("composite", "drop")
CHANNEL_ORDERS = ("rgb", "bgr")
MAX_CLASSES = 1 << 20
MIN_SIDE, MAX_SIDE = 32, 65536  # pixels of an input: below, the last maps of the network would be all padding
MAX_PIXELS = 1 << 24  # of an input, 4096 x 4096: the maps of the largest network then take some 0.7 GB a thread
MAX_VALUES = 1 << 26  # of an input, channels x pixels: 256 MiB
MAX_MAP = 1 << 29  # values of a map inside the network: with the usual strides the largest has 0.6 of it at MAX_PIXELS
# Of std and temperature, by which inputs and logits are divided. Real ones lie between 0.001 and 100; these leave float32 room.
SMALLEST, LARGEST = 1e-6, 1e6


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input; the first six fields mean what timm's `pretrained_cfg` means by them.

    `exif`: turn the picture upright as its EXIF orientation says (timm does not). `background`: the RGB colour on which
    transparent pixels are composited, unless `alpha` is "drop". `resize`: whose arithmetic scales and rounds, "opencv" for
    networks of PaddlePaddle. `channel_order`: in which the network takes colours, and `mean` and `std` state them.
    """

    input_size: tuple[int, int, int] = (3, 224, 224)  # channels, height, width
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    exif: bool = True
    background: tuple[int, int, int] = (255, 255, 255)
    resize: str = "pillow"
    alpha: str = "composite"
    channel_order: str = "rgb"

    def __post_init__(self) -> None:
        def check(name: str, good: bool, expected: str | tuple[str, ...]) -> None:
            _check(good, f"preprocessing.{name}", getattr(self, name), expected)

        size = len(self.input_size) == 3 and all(_whole(n, 1, MAX_SIDE) for n in self.input_size)
        check("input_size", size, f"[channels, height, width], whole numbers from 1 to {MAX_SIDE}")
        channels, pixels = self.input_size[0], self.input_size[1] * self.input_size[2]
        fits = pixels <= MAX_PIXELS and channels * pixels <= MAX_VALUES
        check("input_size", fits, f"at most {MAX_PIXELS} pixels, and {MAX_VALUES} values with all channels")
        check("interpolation", self.interpolation in INTERPOLATIONS, INTERPOLATIONS)
        check("crop_mode", self.crop_mode in CROP_MODES, CROP_MODES)
        check("crop_pct", _real(self.crop_pct) and 0.01 <= self.crop_pct <= 8, "a number from 0.01 to 8")
        near = all(_real(m) and abs(m) <= LARGEST for m in self.mean)
        check("mean", near and len(self.mean) == channels, f"{channels} numbers from {-LARGEST:g} to {LARGEST:g}")
        positive = all(map(_divisor, self.std))
        check("std", positive and len(self.std) == channels, f"{channels} numbers above 0, {SMALLEST:g} to {LARGEST:g}")
        check("exif", isinstance(self.exif, bool), "true or false")
        rgb = len(self.background) == 3 and all(_whole(n, 0, 255) for n in self.background)
        check("background", rgb, "three whole numbers from 0 to 255")
        check("resize", self.resize in RESIZES, RESIZES)
        linear = self.resize != "opencv" or self.interpolation == "bilinear"
        check("interpolation", linear, "'bilinear', since resize is 'opencv', whose INTER_LINEAR is all that there is here")
        check("alpha", self.alpha in ALPHAS, ALPHAS)
        check("channel_order", self.channel_order in CHANNEL_ORDERS, CHANNEL_ORDERS)
        colored = self.channel_order == "rgb" or channels == 3
        check("channel_order", colored, f"'rgb', since the network takes {channels} channels")

    @property
    def order(self) -> slice:
        """Of the channels of pixels, which are RGB, the order in which the network takes them, and the other way round."""
        return slice(None, None, -1 if self.channel_order == "bgr" else 1)

    def of_arrays(self, channel_order: str) -> Preprocessing:
        """The same for arrays whose colours come in this order, "rgb" or "bgr": nothing is copied, the network's order changes.

        Raises `InputError`, or `ModelFileError` for "bgr" where the network does not take 3 channels.
        """
        if channel_order not in CHANNEL_ORDERS:
            raise InputError(
                f"channel_order is {short(repr(channel_order))}, expected {' or '.join(map(repr, CHANNEL_ORDERS))}"
            )
        return self if channel_order == "rgb" else replace(self, channel_order=CHANNEL_ORDERS[self.channel_order == "rgb"])

    def with_channels(self, channels: int) -> Preprocessing:
        """The same for another number of channels, for which no statistics are known: mean and deviation become 0.5."""
        if channels == self.input_size[0]:
            return self
        size, half = (channels, *self.input_size[1:]), (0.5,) * channels
        return replace(self, input_size=size, mean=half, std=half, channel_order="rgb")

    @classmethod
    def from_timm(cls, cfg: dict[str, Any]) -> Preprocessing:
        """Take the fields that matter from a timm `pretrained_cfg`; absent ones get timm's fallback values."""
        keys = (field.name for field in fields(cls))
        return from_json(cls, {k: cfg[k] for k in keys if cfg.get(k) is not None}, "pretrained_cfg")

    def departures(self, *known: str) -> dict[str, Any]:
        """The fields without those in `known` that are not as usual."""
        names = (field.name for field in fields(self) if field.name not in known and getattr(self, field.name) != field.default)
        return {name: getattr(self, name) for name in names}


def crop_pct_for(side: int, scaled: int) -> float:
    """The `crop_pct` by which pictures are scaled to exactly `scaled` before `side` pixels are kept: 0.875 for 224 of 256."""
    share = side / scaled
    return share if math.floor(side / share) == scaled else math.nextafter(share, 0.0)  # rounded up, it makes one pixel less


@dataclass(frozen=True)
class Labels:
    """Class names in the order of the logits, with ids (WordNet ids for ImageNet) where they exist."""

    names: tuple[str, ...]
    ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _check(_texts(self.names), "labels.names", self.names, "a list of texts")
        _check_written("labels.names", self.names)
        if self.ids is not None:
            _check(_texts(self.ids), "labels.ids", self.ids, "a list of texts")
            _check_written("labels.ids", self.ids)
            _check(len(self.ids) == len(self.names), "labels.ids", f"{len(self.ids)} ids", f"{len(self.names)} ids")


@dataclass(frozen=True)
class Decision:
    """From logits to an answer: temperature, and thresholds by label, below which the answer is unknown, or `default`.

    `multi_label`: each label is decided by itself, by a sigmoid, instead of one of all by softmax; but for those of `groups`,
    which are decided together. Of two classes with a `default` the other is the answer from its threshold on.
    `turns_temperature`: of the mean over the log-probabilities of a picture and its turns (`lcnet.upright`), no other answer's.
    """

    temperature: float | None = None
    thresholds: dict[str, float] | None = None
    multi_label: bool = False
    default: str | None = None
    groups: tuple[Group, ...] | None = None
    turns_temperature: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "turns_temperature"):
            value = getattr(self, name)
            good = value is None or _divisor(value)
            _check(good, f"decision.{name}", value, f"a number above 0, {SMALLEST:g} to {LARGEST:g}")
        if self.thresholds is not None:
            good = all(_real(v) and 0 <= v <= 1 for v in self.thresholds.values())
            _check(good, "decision.thresholds", self.thresholds, "numbers from 0 to 1")
        _check(isinstance(self.multi_label, bool), "decision.multi_label", self.multi_label, "true or false")
        good = self.default is None or (isinstance(self.default, str) and not self.multi_label)
        _check(good, "decision.default", self.default, "a label, or null, as in every multi-label model")
        if self.groups is not None:
            check_groups(self.groups)
            _check_written("decision.groups", tuple(text for group in self.groups for text in group.texts))
            _check(self.multi_label, "decision.multi_label", self.multi_label, "true, as there are groups")

    @property
    def alone(self) -> tuple[str, ...]:
        """The labels that it names and that must be of one class each."""
        grouped = tuple(label for group in self.groups or () for label in group.labels)
        return grouped if self.default is None else (self.default,)


@dataclass(frozen=True)
class Quantization:
    """How the weights of an int8 model are to be read, and what was measured when they were made.

    `float_layers`: the parts that stayed in float, of `quantizable_units`. `verdict`: free, as provenance is.
    """

    scheme: str = "u8s8"
    float_layers: tuple[str, ...] = ()
    verdict: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.scheme == "u8s8", "quantization.scheme", self.scheme, "'u8s8'")
        good = _texts(self.float_layers) and len(set(self.float_layers)) == len(self.float_layers)
        _check(good, "quantization.float_layers", self.float_layers, "a list of different texts")
        _check(isinstance(self.verdict, dict), "quantization.verdict", self.verdict, "an object")


def quantizable_units(arch: Arch) -> tuple[str, ...]:
    """The parts of a network that are int8 or float as a whole: the blocks, the head conv and the classifier."""
    ends = (("conv_head", arch.head_channels), ("classifier", arch.num_classes))
    return (*(name for name, _ in arch.blocks()), *(name for name, size in ends if size))


@dataclass(frozen=True)
class ModelConfig:
    """Everything about a model but its weights."""

    arch: Arch
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    labels: Labels | None = None
    decision: Decision = field(default_factory=Decision)
    bn_eps: float = BN_EPS
    provenance: dict[str, Any] = field(default_factory=dict)
    quantization: Quantization | None = None

    def __post_init__(self) -> None:
        good = _real(self.bn_eps) and 0 < self.bn_eps < 1
        _check(good, "architecture.bn_eps", self.bn_eps, "a number between 0 and 1")
        count, classes = len(self.labels.names) if self.labels else None, self.arch.num_classes
        if count is not None and count != classes:
            raise ModelFileError(f"{count} labels for {classes} classes: one label per class is needed, in logit order")
        self._check_decision(self.labels.names if self.labels else ())
        if self.preprocessing.input_size[0] != self.arch.in_chans:
            raise ModelFileError(
                f"preprocessing.input_size is {self.preprocessing.input_size}, expected"
                f" {self.arch.in_chans} channels as the network has"
            )
        sides = self.preprocessing.input_size[1:]
        _check(min(sides) >= MIN_SIDE, "preprocessing.input_size", sides, f"a height and a width of at least {MIN_SIDE}")
        largest = max(math.prod(shape) for _, _, shape in self.arch.conv_costs(*sides))
        _check(largest <= MAX_MAP, "preprocessing.input_size", sides, f"maps of at most {MAX_MAP} values inside the network")
        if self.quantization:
            self._check_quantization(self.quantization)

    def _check_decision(self, names: tuple[str, ...]) -> None:
        alone, known = set(self.decision.alone), set(names)
        named = {"thresholds": set(self.decision.thresholds or ()), "default" if self.decision.default else "groups": alone}
        for key, labels in named.items():
            if not labels <= known:
                raise ModelFileError(f"decision.{key} has {min(labels - known)!r}, which is none of the labels")
        if alone and len(known) < len(names):
            shared = next((name for name, count in Counter(names).items() if count > 1 and name in alone), None)
            _check(shared is None, f"{shared!r} of the decision", "the label of several classes", "that of one")

    def _check_quantization(self, quantization: Quantization) -> None:
        known = quantizable_units(self.arch)
        for name in quantization.float_layers:
            if name not in known:
                raise ModelFileError(
                    f"quantization.float_layers has {name!r}{suggest(name, known)}, which is no part of the"
                    f" network (known: {', '.join(known)})"
                )
        inside = all(0 <= mean <= 1 for mean in self.preprocessing.mean)
        _check(inside, "preprocessing.mean", self.preprocessing.mean, "numbers from 0 to 1 in a quantised model")

    def to_json(self) -> dict[str, Any]:
        """The JSON object of docs/model-file.md, without the format version: with `needs` if a reader must know any."""
        full = self._to_json()
        needs = needs_of(full, ModelConfig(Arch(1.0))._to_json())
        return ({"needs": needs} if needs else {}) | without_unneeded(full, needs)

    def _to_json(self) -> dict[str, Any]:
        """All that there is to say, needed or not."""
        arch = asdict(self.arch)
        first = {key: arch.pop(key) for key in ("family", "width", "in_chans", "num_classes")}  # as version 1 has them
        arch = first | {"bn_eps": self.bn_eps} | arch
        # Only where there is something to say: readers from before int8 refuse the key, and should only what they cannot read.
        quantization = {"quantization": asdict(self.quantization)} if self.quantization else {}
        return {
            "architecture": arch,
            "labels": asdict(self.labels) if self.labels else None,
            "preprocessing": asdict(self.preprocessing),
            "decision": asdict(self.decision),
            "provenance": self.provenance,
            **quantization,
        }

    @classmethod
    def from_json(cls, data: Any) -> ModelConfig:
        """Read the JSON object of docs/model-file.md. Raises `ModelFileError` that names the field, or an unknown need."""
        known = ("architecture", "labels", "preprocessing", "decision", "provenance", "quantization", "needs")
        _check(isinstance(data, dict), "the model description", data, "a JSON object")
        check_needs(data)
        _known_keys(data, known, "the model description")
        arch, bn_eps = _arch_from_json(data.get("architecture"))
        _check(isinstance(data.get("provenance", {}), dict), "provenance", data.get("provenance"), "an object")
        quantized = data.get("quantization")
        return cls(
            arch=arch,
            preprocessing=from_json(Preprocessing, data.get("preprocessing", {}), "preprocessing"),
            labels=from_json(Labels, data["labels"], "labels") if data.get("labels") is not None else None,
            decision=_decision_from_json(data.get("decision", {})),
            bn_eps=bn_eps,
            provenance=data.get("provenance", {}),
            quantization=from_json(Quantization, quantized, "quantization") if quantized is not None else None,
        )


def from_json(cls: type[T], data: Any, where: str) -> T:
    """Build record `cls` from a JSON object: lists become tuples, unknown and missing keys raise `ModelFileError`."""
    _known_keys(data, tuple(f.name for f in fields(cls)), where)  # type: ignore[arg-type]
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    try:
        return cls(**values)
    except (TypeError, AttributeError) as error:
        raise ModelFileError(f"{where}: {error}") from None


def _decision_from_json(data: Any) -> Decision:
    groups = data.get("groups") if isinstance(data, dict) else None
    if isinstance(groups, list) and len(groups) <= MAX_GROUPS:
        data = data | {"groups": [from_json(Group, group, "decision.groups") for group in groups]}
    return from_json(Decision, data, "decision")


def _arch_from_json(data: Any) -> tuple[Arch, float]:
    later = fields_of("architecture")
    _known_keys(data, ("family", "width", "in_chans", "num_classes", "bn_eps", *later), "architecture")
    family, width, bn_eps = data.get("family"), data.get("width"), data.get("bn_eps", BN_EPS)
    _check(isinstance(family, str) and family in FAMILIES, "architecture.family", family, tuple(map(repr, FAMILIES)))
    widths = [size for size, _ in FAMILIES[family].sizes.values()]
    _check(_real(width) and width in widths, "architecture.width", width, f"one of {', '.join(map(str, widths))}")
    channels, classes = data.get("in_chans"), data.get("num_classes")
    _check(_whole(channels, 1, 1024), "architecture.in_chans", channels, "1 to 1024")
    _check(_whole(classes, 0, MAX_CLASSES), "architecture.num_classes", classes, f"0 to {MAX_CLASSES}")
    try:
        arch = Arch(float(width), channels, classes, family=family, **{key: data[key] for key in later if key in data})
    except ValueError as error:
        raise ModelFileError(f"architecture.{error}") from None
    stages, given = len(arch.stage_strides), data.get("stage_strides", arch.stage_strides)
    _check(len(given) == stages, "architecture.stage_strides", given, f"{stages} pairs, one for each stage that there is")
    return arch, bn_eps


def _known_keys(data: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(data, dict):
        raise ModelFileError(f"{where} is {type(data).__name__}, expected a JSON object")
    for key in data:
        if key not in known:
            raise ModelFileError(f"{where} has an unknown key {key!r}{suggest(key, known)} (known: {', '.join(known)})")


def _check(good: bool, name: str, found: Any, expected: str | tuple[str, ...]) -> None:
    if not good:
        text = short(repr(found))
        wanted = expected if isinstance(expected, str) else " or ".join(expected)
        raise ModelFileError(f"{name} is {text}, expected {wanted}")


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(text, str) for text in value)


def _check_written(name: str, texts: tuple[str, ...]) -> None:
    """Refuse texts that no file of results could hold: UTF-8 has no halves of a pair, and some formats end at a NUL."""
    joined = "".join(texts)
    if "\0" in joined or not _encodable(joined):
        bad = next(text for text in texts if "\0" in text or not _encodable(text))
        raise ModelFileError(f"{name} has {short(repr(bad))}, expected Unicode text without U+0000")


def _encodable(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text) if not text.isascii() else True


def _divisor(value: Any) -> bool:
    return _real(value) and SMALLEST <= value <= LARGEST


def _real(value: Any) -> bool:
    if isinstance(value, int):  # isfinite overflows on integers of more than 308 digits
        return not isinstance(value, bool) and abs(value) < 1 << 63
    return isinstance(value, float) and math.isfinite(value)


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

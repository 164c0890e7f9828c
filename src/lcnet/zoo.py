"""Names of models and weights: where each published checkpoint lives, how it is verified, what accuracy was published.

Rows of data. Sources: timm 1.0.31's registry and result tables, PaddleClas's PP-LCNet page, the Hugging Face hub pages.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .arch import BN_EPS, WIDTHS, Arch
from .config import ModelConfig, Preprocessing
from .errors import InputError
from .text import suggest

TIMM = "timm results tables (224 px, crop 0.875, bicubic)"
PADDLE = "PaddleClas PP-LCNet page (224 px, short side 256, bilinear)"
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
}
_PADDLE_URL = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/legendary_models/PPLCNet_x{}_{}.pdparams"

Accuracy = tuple[float | None, float | None]  # top-1, top-5 in percent


@dataclass(frozen=True)
class Entry:
    """One set of weights. `hub_id`, `bundled` or `url` says where it is; none does: an architecture without weights."""

    name: str  # arch.tag
    hub_id: str | None = None
    revision: str = "main"
    size: int | None = None  # bytes of model.safetensors
    sha256: str | None = None
    bundled: str | None = None  # file in the package
    url: str | None = None  # a file for `lcnet convert`
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    num_classes: int = 1000
    labels: str | None = "imagenet1k"
    accuracy: dict[str, Accuracy] = field(default_factory=dict)
    source: str | None = None
    license: str = "apache-2.0"

    @property
    def arch_name(self) -> str:
        """`lcnet_050` of `lcnet_050.ra2_in1k`."""
        return self.name.partition(".")[0]

    @property
    def arch(self) -> Arch:
        """The architecture with this entry's number of classes."""
        return Arch(WIDTHS[self.arch_name], num_classes=self.num_classes)

    @property
    def pretrained(self) -> bool:
        """Whether `load` can get the weights by this name (bundled, or on the hub)."""
        return bool(self.hub_id or self.bundled)

    def config(self) -> ModelConfig:
        """The model description for files that do not carry one."""
        from .labels import load_labels

        labels = load_labels(self.labels) if self.labels else None
        return ModelConfig(self.arch, self.preprocessing, labels, bn_eps=BN_EPS, provenance={"source": self.name})


def _timm(name: str, accuracy: dict[str, Accuracy], **where: Any) -> Entry:
    return Entry(name, hub_id=f"timm/{name}", accuracy=accuracy, source=TIMM, **where)


def _untrained(name: str) -> Entry:
    return Entry(f"{name}.untrained", preprocessing=Preprocessing(interpolation="bilinear"), labels=None)


def _paddle(arch: str, kind: str, top1: float, top5: float | None) -> Entry:
    tag, file = ("paddle_ssld_in1k", "ssld_pretrained") if kind == "ssld" else ("paddle_in1k", "pretrained")
    url = _PADDLE_URL.format(str(WIDTHS[arch]).replace(".", "_"), file)
    pre = Preprocessing(interpolation="bilinear")
    return Entry(f"{arch}.{tag}", url=url, preprocessing=pre, accuracy={"imagenet": (top1, top5)}, source=PADDLE)


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
)

# The tag that a bare architecture name stands for: timm's.
DEFAULT_TAGS = {
    "lcnet_035": "untrained",
    "lcnet_050": "ra2_in1k",
    "lcnet_075": "ra2_in1k",
    "lcnet_100": "ra2_in1k",
    "lcnet_150": "untrained",
}


def find(name: str) -> Entry:
    """Return the entry of `arch` or `arch.tag`; raises `InputError` that names the near ones."""
    arch = name.partition(".")[0]
    full = f"{name}.{DEFAULT_TAGS[name]}" if name in DEFAULT_TAGS else name
    for entry in ENTRIES:
        if entry.name == full:
            return entry
    if name in WIDTHS:
        return Entry(name, labels=None)
    if arch in WIDTHS:
        tags = [e.name for e in ENTRIES if e.arch_name == arch]
        raise InputError(f"no weights {name!r}: {arch} has {', '.join(tags) or 'no published weights'}")
    hint = "`lcnet models` lists all; a file needs its path"
    raise InputError(f"unknown model {name!r}{suggest(name, _names())}: {hint}")


def search(pattern: str = "*", pretrained: bool = False) -> list[Entry]:
    """Entries whose name matches the shell pattern, or contains it; by architecture, loadable ones first."""
    rows = sorted(ENTRIES, key=lambda e: (e.arch_name, not e.pretrained, e.name))
    wanted = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    return [e for e in rows if fnmatch.fnmatch(e.name, wanted) and (e.pretrained or not pretrained)]


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
    known = {e.name for e in ENTRIES} if tagged else {*WIDTHS}
    wanted = _matched(known, filter, tagged) if filter else known
    left = wanted - _matched(wanted, exclude_filters, tagged) if exclude_filters else wanted
    return sorted(name for name in left if not pretrained or _has_weights(name))


def list_pretrained(filter: str | Iterable[str] = "", exclude_filters: str | Iterable[str] = "") -> list[str]:
    """Return the names of the weights that `load` can get: timm's function, with its patterns."""
    return list_models(filter, pretrained=True, exclude_filters=exclude_filters, include_tags=True)


def is_model(model_name: str) -> bool:
    """Whether a name is that of an architecture, whatever tag it has: timm's function."""
    return model_name.partition(".")[0] in WIDTHS


def _matched(names: set[str], patterns: str | Iterable[str], tagged: bool) -> set[str]:
    several = [patterns] if isinstance(patterns, str) else patterns
    return {name for pattern in several for name in names if fnmatch.fnmatchcase(name, _whole(pattern, tagged))}


def _whole(pattern: str, tagged: bool) -> str:
    """The pattern of names with tags, where they have some: timm's rule."""
    arch, _, tag = pattern.partition(".")
    return f"{arch}.*" if tagged and not tag else pattern


def _has_weights(name: str) -> bool:
    return ("." in name or name in DEFAULT_TAGS) and find(name).pretrained


def _names() -> list[str]:
    return [*WIDTHS, *(e.name for e in ENTRIES)]

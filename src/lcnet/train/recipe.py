"""A recipe: everything that decides how a network is trained, as one frozen record of plain values.

Unknown keys and impossible values raise `InputError`; after that a recipe is trusted everywhere. The published ones are in
recipes.py. Nothing here needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..errors import InputError
from ..text import short, suggest

NONE = "none"
Size = int | tuple[int, int]  # pixels a side, or height and width; 0: the weights' own

# What a key may name. Each name has a row in a table beside the code that it chooses, which tests/train/test_rows.py holds.
CHOICES: dict[str, tuple[Any, ...]] = {
    "optimizer": ("rmsprop_tf", "sgd", "adamw", "lamb"),
    "schedule": ("step", "cosine", "constant"),
    "crop": ("resized", "shifted"),
    "interpolation": ("random", "bilinear", "bicubic"),
    "erasing_mode": ("pixel", "rand", "const"),
    "sampler": ("shuffle", "balanced"),
    "loss": ("ce", "bce"),
    "class_weights": (NONE, "balanced"),
    "freeze": (NONE, "trunk"),
    "ema_version": (2, 3),
    "dist_bn": ("reduce", "broadcast"),
}
_PIXELS = "32 to 4096 pixels, a number or HxW"
SIZES = {"input_size": f"{_PIXELS}, or 0 for the weights' own", "test_size": f"{_PIXELS}, or 0 for input_size"}


@dataclass(frozen=True)
class Recipe:
    """How to train. Batch sizes and learning rates are those of one optimizer step over all processes."""

    # Length and size
    epochs: int = 100
    batch_size: int = 256  # images a step, over all processes and accumulated parts
    input_size: Size = 0  # while training: pixels a side, or HxW; 0: what the weights have that it starts from
    test_size: Size = 0  # of the finished model and of validation; 0: input_size
    crop_pct: float = 0.0  # of the finished model and of validation; 0: the weights' own
    # Optimizer
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9  # rmsprop_tf, sgd; the first beta of adamw and lamb
    nesterov: bool = False  # sgd
    alpha: float = 0.9  # rmsprop_tf: smoothing of the squares
    beta2: float = 0.999  # adamw, lamb
    eps: float = 1e-8
    weight_decay: float = 2e-5
    decay_biases: bool = False  # decay every tensor but batch norm's; else only those of more than one dimension
    layer_decay: float = 1.0  # learning rate of a layer over that of the layer behind it
    trust_clip: bool = False  # lamb: LAMBC
    clip_grad: float = 0.0  # the largest norm of all gradients together; 0: not clipped
    # Schedule
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    warmup_lr: float = 0.0
    warmup_prefix: bool = False  # the schedule begins after the warm-up, instead of under it
    min_lr: float = 0.0  # cosine
    decay_epochs: float = 90.0  # step
    decay_rate: float = 0.1  # step
    per_update: bool = False  # the rate changes after each step, instead of each epoch
    # Pictures
    crop: str = "resized"  # resized: a random part, scaled; shifted: the whole, moved by up to `shift`
    scale: tuple[float, float] = (0.08, 1.0)  # resized: the part's share of the area
    ratio: tuple[float, float] = (0.75, 4 / 3)  # resized: the part's width over its height
    shift: float = 0.125  # shifted: of the side; what comes in is mirrored
    hflip: float = 0.5
    vflip: float = 0.0
    interpolation: str = "random"
    randaugment: str = ""  # timm's notation, such as rand-m9-mstd0.5-inc1; empty: none
    erasing: float = 0.0  # probability
    erasing_mode: str = "pixel"  # pixel, rand, const
    erasing_count: int = 1
    repeats: int = 1  # repeated augmentation: times that a picture comes in an epoch, in as many images in all
    sampler: str = "shuffle"  # shuffle, or balanced: classes equally often
    # Targets
    loss: str = "ce"  # ce, bce
    label_smoothing: float = 0.0
    bce_threshold: float = -1.0  # bce: targets above it become 1, others 0; negative: as they are
    bce_sum: bool = False  # bce: sum over classes instead of the mean
    class_weights: str = NONE  # none, or balanced: inverse frequency, 1 in the mean over pictures
    mixup: float = 0.0  # alpha; 0: none
    cutmix: float = 0.0  # alpha; 0: none
    mix_prob: float = 1.0
    mix_switch: float = 0.5  # probability of cutmix where both are on
    # Network
    dropout: float = 0.0
    freeze: str = NONE  # none, trunk (all but the classifier)
    freeze_epochs: int = 0  # how long `freeze` holds; 0: to the end
    ema: float = 0.0  # decay of the averaged weights, which are then the result; 0: none
    ema_version: int = 3  # timm's ModelEmaV2 or ModelEmaV3
    ema_warmup: bool = False  # V3
    sync_bn: bool = False  # batch statistics over all processes
    dist_bn: str = "reduce"  # running statistics after an epoch: reduce (mean over the processes), broadcast (the first's)

    def __post_init__(self) -> None:
        for name, good, expected in _RULES:
            value = getattr(self, name)
            if not good(value):
                raise InputError(f"recipe: {name} is {value!r}, expected {expected}")

    def change(self, values: dict[str, Any]) -> Recipe:
        """Return the recipe with some values replaced. Raises `InputError` for an unknown key or a wrong type."""
        return replace(self, **{key: _typed(key, value) for key, value in values.items()})

    def to_json(self) -> dict[str, Any]:
        """Plain values by key."""
        return asdict(self)

    @property
    def final_size(self) -> Size:
        """The size of the finished model's input."""
        return self.test_size or self.input_size


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` texts, values as JSON or as plain text. Raises `InputError`."""
    values = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{text!r} is no setting: expected key=value, such as epochs=30")
        try:
            values[key.strip()] = json.loads(value)
        except ValueError:
            values[key.strip()] = value.strip()
    return values


def _typed(key: str, value: Any) -> Any:
    known = {field.name: field.default for field in fields(Recipe)}
    if key not in known:
        raise InputError(f"a recipe has no key {key!r}{suggest(key, tuple(known))} (`lcnet recipes` prints them)")
    default = known[key]
    if key in SIZES:
        return size_of(key, value)
    kind = type(default)
    if kind is float and type(value) is int:
        value = float(value)
    if kind is tuple and isinstance(value, (list, tuple)):
        value = tuple(float(v) if type(v) is int else v for v in value)
    if type(value) is not kind:
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "[low, high]"}
        raise InputError(f"recipe: {key} is {value!r}, expected {wanted[kind]}")
    return value


def size_of(key: str, value: Any) -> Size:
    """Read a size: a number, text such as 192x256, or [height, width]. Raises `InputError`."""
    found = value.lower().split("x") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
    pair = [int(s) if isinstance(s, str) and s.isascii() and s.isdigit() and len(s) < 6 else s for s in found]
    if len(pair) not in (1, 2) or not all(type(side) is int for side in pair):
        raise InputError(f"recipe: {key} is {short(repr(value))}, expected {SIZES[key]}")
    height, width = int(pair[0]), int(pair[-1])
    return height if height == width else (height, width)


def sides(size: Size) -> tuple[int, int]:
    """Height and width."""
    return size if isinstance(size, tuple) else (size, size)


def _fits(size: Size) -> bool:
    return size == 0 or all(32 <= side <= 4096 for side in sides(size))


def _between(low: float, high: float) -> Any:
    return lambda v: low <= v <= high


def _pair(low: float, high: float) -> Any:
    return lambda v: len(v) == 2 and all(isinstance(x, float) for x in v) and low < v[0] <= v[1] <= high


def _choice(key: str) -> tuple[str, Any, str]:
    names = CHOICES[key]
    return key, lambda v: v in names, " or ".join(map(str, names))


_PROBABILITY = "a number from 0 to 1"
_RULES: tuple[tuple[str, Any, str], ...] = (
    ("epochs", _between(1, 1_000_000), "at least 1"),
    ("batch_size", _between(2, 1 << 24), "at least 2: batch norm needs several images"),
    ("input_size", _fits, SIZES["input_size"]),
    ("test_size", _fits, SIZES["test_size"]),
    ("crop_pct", lambda v: v == 0 or 0.01 <= v <= 8, "a number from 0.01 to 8, or 0 for the weights' own"),
    ("lr", lambda v: 0 <= v < float("inf"), "a number from 0 up"),
    ("momentum", lambda v: 0 <= v < 1, "a number from 0 to below 1"),
    ("alpha", lambda v: 0 <= v < 1, "a number from 0 to below 1"),
    ("beta2", lambda v: 0 <= v < 1, "a number from 0 to below 1"),
    ("eps", lambda v: 0 <= v < 1, "a number from 0 to below 1"),
    ("weight_decay", _between(0, 10), "a number from 0 to 10"),
    ("layer_decay", lambda v: 0 < v <= 1, "a number above 0, at most 1"),
    ("clip_grad", _between(0, 1e9), "a number above 0, or 0 for none"),
    ("warmup_epochs", _between(0, 1e6), "a number from 0 up"),
    ("warmup_lr", _between(0, 1e6), "a number from 0 up"),
    ("min_lr", _between(0, 1e6), "a number from 0 up"),
    ("decay_epochs", lambda v: 0 < v < 1e7, "a number above 0"),
    ("decay_rate", lambda v: 0 < v <= 1, "a number above 0, at most 1"),
    ("scale", _pair(0, 1), "[low, high], above 0 and at most 1"),
    ("ratio", _pair(0, 100), "[low, high], above 0"),
    ("shift", _between(0, 0.5), "a number from 0 to 0.5"),
    ("hflip", _between(0, 1), _PROBABILITY),
    ("vflip", _between(0, 1), _PROBABILITY),
    ("erasing", _between(0, 1), _PROBABILITY),
    ("erasing_count", _between(1, 100), "1 to 100"),
    ("repeats", _between(1, 100), "1 to 100"),
    ("label_smoothing", lambda v: 0 <= v < 1, "a number from 0 to below 1"),
    ("bce_threshold", lambda v: v < 1, "a number below 1, negative for none"),
    ("mixup", _between(0, 1000), "a number from 0 up"),
    ("cutmix", _between(0, 1000), "a number from 0 up"),
    ("mix_prob", _between(0, 1), _PROBABILITY),
    ("mix_switch", _between(0, 1), _PROBABILITY),
    ("dropout", lambda v: 0 <= v < 1, "a number from 0 to below 1"),
    ("freeze_epochs", _between(0, 1_000_000), "0 or more epochs"),
    ("ema", lambda v: 0 <= v < 1, "a number from 0 to below 1"),
    *map(_choice, CHOICES),
)

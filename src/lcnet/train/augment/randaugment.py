"""RandAugment: a few operations drawn at random for each picture, described in timm's notation.

A description is `rand`, then sections in any order, each a key and its value, such as rand-m9-mstd0.5-inc1:

    m     the magnitude (10)
    mstd  the standard deviation of the magnitude (0); above 100 it is uniform from 0 to m
    mmax  the largest magnitude (10)
    n     how many operations are drawn for a picture (2)
    p     the probability that a drawn one is applied (0.5)
    inc   1: the operations that grow stronger with the magnitude, throughout (0)
    t     a set of operations by name: weights, 3a or 3aw

What timm ignores or falls over is refused: unknown keys and sets, keys without a value, keys given twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from PIL import Image

from ...errors import InputError
from ...text import suggest
from . import ops

# The filters of which a picture takes one at random, by what a recipe calls them.
FILTERS = {
    "random": (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC),
    "bilinear": (Image.Resampling.BILINEAR,),
    "bicubic": (Image.Resampling.BICUBIC,),
}
UNIFORM = 100.0  # a greater mstd


@dataclass(frozen=True)
class Spec:
    """What the notation says."""

    magnitude: int = 10
    count: int = 2
    probability: float = 0.5
    deviation: float = 0.0
    largest: int = 10
    increasing: bool = False
    set_name: str = ""  # of ops.SETS; empty: all 15 operations

    @property
    def operations(self) -> tuple[str, ...]:
        """The names to draw from."""
        if self.set_name:
            return tuple(ops.SETS[self.set_name])
        return ops.INCREASING if self.increasing else ops.PLAIN

    @property
    def weights(self) -> tuple[float, ...] | None:
        """How likely each is, if not equally."""
        chosen = ops.SETS.get(self.set_name)
        return tuple(chosen.values()) if isinstance(chosen, Mapping) else None


class RandAugment:
    """Applies operations drawn at random: `RandAugment("rand-m9-mstd0.5", (124, 116, 104))(image, rng)`."""

    def __init__(self, spec: str, fill: tuple[int, ...], interpolation: str = "random") -> None:
        """`fill`: 0 to 255 per channel, what comes in from outside. Raises `InputError` as `parse` does."""
        self.spec = parse(spec)
        self.fill = tuple(fill)
        self.filters = FILTERS[interpolation]

    def __call__(self, image: Image.Image, rng: Random) -> Image.Image:
        """Return the picture, changed or as it is; of modes RGB and L, as many channels as `fill`. Raises `InputError`."""
        if image.mode not in ("RGB", "L") or len(image.getbands()) != len(self.fill):
            expected = f"L or RGB, with the {len(self.fill)} channels of fill"
            raise InputError(f"RandAugment: the picture is of mode {image.mode}, expected {expected}")
        for name in self._choose(rng):
            if not self._skipped(rng):
                image = self._apply(name, image, rng)
        return image

    def _choose(self, rng: Random) -> list[str]:
        """Draw with replacement if all are equally likely, else without, as timm does."""
        names, weights = list(self.spec.operations), self.spec.weights
        if weights is None:
            return rng.choices(names, k=self.spec.count)
        left = list(weights)
        chosen = []
        for _ in range(self.spec.count):
            index = rng.choices(range(len(left)), left)[0]
            chosen.append(names[index])
            left[index] = 0.0
        return chosen

    # From here on draw for draw as timm.

    def _skipped(self, rng: Random) -> bool:
        return self.spec.probability < 1 and rng.random() > self.spec.probability

    def _apply(self, name: str, image: Image.Image, rng: Random) -> Image.Image:
        op = ops.OPS[name]
        level = self._magnitude(rng) / 10
        if op.signed and rng.random() > 0.5:
            level = -level
        resample = rng.choice(self.filters) if op.resamples and len(self.filters) > 1 else self.filters[0]
        return ops.apply(name, image, level, ops.Surround(self.fill, resample))

    def _magnitude(self, rng: Random) -> float:
        spec = self.spec
        magnitude: float = spec.magnitude
        if spec.deviation > UNIFORM:
            magnitude = rng.uniform(0, spec.magnitude)
        elif spec.deviation > 0:
            magnitude = rng.gauss(spec.magnitude, spec.deviation)
        return max(0.0, min(magnitude, spec.largest))


def parse(text: str) -> Spec:
    """Read timm's notation. Raises `InputError` that names the section."""
    first, *sections = text.split("-")
    if first != "rand":
        raise InputError(f"randaugment is {text!r}, expected rand and sections such as rand-m9-mstd0.5-inc1")
    values: dict[str, Any] = {}
    for section in sections:
        field, value = _section(section, text)
        if field in values:
            raise InputError(f"randaugment {text!r}: {section!r} repeats a key")
        values[field] = value
    spec = Spec(**values)
    if spec.weights and spec.count > len(spec.weights):
        raise InputError(f"randaugment {text!r}: n is {spec.count}, expected at most the {len(spec.weights)} of its set")
    return spec


def _section(section: str, text: str) -> tuple[str, Any]:
    """The field of `Spec` and its value."""
    key, value = ("t", section[1:]) if section.startswith("t") else _split(section)
    if key not in _KEYS:
        raise InputError(
            f"randaugment {text!r} has the unknown key {key!r}{suggest(key, tuple(_KEYS))}, expected "
            f"{', '.join(_KEYS)}, each with its value"
        )
    field, convert, good, expected = _KEYS[key]
    try:
        converted = convert(value)
    except ValueError:
        converted = None
    if converted is None or not good(converted):
        raise InputError(f"randaugment {text!r}: {key} is {value!r}, expected {expected}")
    return field, converted


def _split(section: str) -> tuple[str, str]:
    match = re.search(r"\d", section)
    return (section[: match.start()], section[match.start() :]) if match else (section, "")


_KEYS: dict[str, tuple[str, Callable[[str], Any], Callable[[Any], bool], str]] = {
    "m": ("magnitude", int, lambda v: v >= 0, "a whole number"),
    "n": ("count", int, lambda v: v >= 1, "a whole number of at least 1"),
    "p": ("probability", float, lambda v: 0 <= v <= 1, "a number from 0 to 1"),
    "mstd": ("deviation", float, lambda v: v >= 0, "a number"),
    "mmax": ("largest", int, lambda v: v >= 1, "a whole number of at least 1"),
    "inc": ("increasing", {"0": False, "1": True}.get, lambda v: True, "0 or 1"),
    "t": ("set_name", str, lambda v: v in ops.SETS, " or ".join(ops.SETS)),
}

"""The operations of RandAugment on Pillow images: what an operation does, how strongly at a level, and the sets of them.

Names, arithmetic and pixels are timm 1.0.31's. A level is a magnitude over 10: 1 is the nominal maximum. Takes modes
RGB and L; levels are trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Value = float  # what an operation is told: degrees, a factor, bits, a threshold, a radius


class Surround(NamedTuple):
    """How an operation that moves pixels makes new ones."""

    fill: tuple[int, ...]  # of what comes in from outside, a value per channel
    resample: Image.Resampling


class Op(NamedTuple):
    """An operation. A signed one also takes negative levels, as often as positive ones."""

    apply: Callable[[Image.Image, Value, Surround], Image.Image]
    value: Callable[[float], Value]  # of the level
    signed: bool = False
    resamples: bool = False


def apply(name: str, image: Image.Image, level: float, surround: Surround) -> Image.Image:
    """Apply the operation called `name` at a level: an image of the same size and mode."""
    op = OPS[name]
    return op.apply(image, op.value(level), surround)


def _affine(image: Image.Image, matrix: tuple[float, ...], surround: Surround) -> Image.Image:
    """Each new pixel (x, y) is the old one at (ax + by + c, dx + ey + f)."""
    method = Image.Transform.AFFINE
    return image.transform(image.size, method, matrix, resample=surround.resample, fillcolor=_color(surround.fill))


def _rotate(image: Image.Image, degrees: Value, surround: Surround) -> Image.Image:
    return image.rotate(degrees, resample=surround.resample, fillcolor=_color(surround.fill))


def _color(fill: tuple[int, ...]) -> int | tuple[int, ...]:
    return fill[0] if len(fill) == 1 else fill


def _shear_x(image: Image.Image, factor: Value, surround: Surround) -> Image.Image:
    return _affine(image, (1, factor, 0, 0, 1, 0), surround)


def _shear_y(image: Image.Image, factor: Value, surround: Surround) -> Image.Image:
    return _affine(image, (1, 0, 0, factor, 1, 0), surround)


def _translate_x(image: Image.Image, share: Value, surround: Surround) -> Image.Image:
    return _affine(image, (1, 0, share * image.width, 0, 1, 0), surround)


def _translate_y(image: Image.Image, share: Value, surround: Surround) -> Image.Image:
    return _affine(image, (1, 0, 0, 0, 1, share * image.height), surround)


def _posterize(image: Image.Image, bits: Value, _: Surround) -> Image.Image:
    dropped = 8 - int(bits)  # by a table: newer Pillows refuse to drop all 8, which leaves black
    return _mapped(image, [v >> dropped << dropped for v in range(256)]) if dropped > 0 else image


def _solarize(image: Image.Image, threshold: Value, _: Surround) -> Image.Image:
    return ImageOps.solarize(image, int(threshold))


def _solarize_add(image: Image.Image, added: Value, _: Surround) -> Image.Image:
    return _mapped(image, [min(v + int(added), 255) if v < 128 else v for v in range(256)])


def _mapped(image: Image.Image, table: list[int]) -> Image.Image:
    return image.point(table * len(image.getbands()))


def _blur(image: Image.Image, radius: Value, _: Surround) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _plain(function: Callable[[Image.Image], Image.Image]) -> Op:
    return Op(lambda image, _value, _surround: function(image), lambda level: level)


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance], value: Callable[[float], Value], signed: bool) -> Op:
    return Op(lambda image, factor, _: kind(image).enhance(factor), value, signed)


def _factor(level: float) -> Value:
    return level * 1.8 + 0.1  # no change in the middle


def _factor_increasing(level: float) -> Value:
    return max(0.1, 1.0 + level * 0.9)  # no change at 0


def _add(level: float) -> Value:
    return min(128, int(level * 110))


def _threshold(level: float) -> Value:
    return int(level * 256)


def _desaturated(level: float) -> Value:
    return min(1.0, max(0.0, 1.0 - (0.5 + 0.5 * min(level, 1.0))))


def _radius(level: float) -> Value:
    return min(2.0, 0.1 + 1.9 * level)


OPS: Mapping[str, Op] = {
    "AutoContrast": _plain(ImageOps.autocontrast),
    "Equalize": _plain(ImageOps.equalize),
    "Invert": _plain(ImageOps.invert),
    "Rotate": Op(_rotate, lambda level: level * 30.0, signed=True, resamples=True),
    "Posterize": Op(_posterize, lambda level: int(level * 4)),
    "PosterizeIncreasing": Op(_posterize, lambda level: 4 - int(level * 4)),
    "Solarize": Op(_solarize, _threshold),
    "SolarizeIncreasing": Op(_solarize, lambda level: 256 - _threshold(level)),
    "SolarizeAdd": Op(_solarize_add, _add),
    "Color": _enhance(ImageEnhance.Color, _factor, signed=False),
    "ColorIncreasing": _enhance(ImageEnhance.Color, _factor_increasing, signed=True),
    "Contrast": _enhance(ImageEnhance.Contrast, _factor, signed=False),
    "ContrastIncreasing": _enhance(ImageEnhance.Contrast, _factor_increasing, signed=True),
    "Brightness": _enhance(ImageEnhance.Brightness, _factor, signed=False),
    "BrightnessIncreasing": _enhance(ImageEnhance.Brightness, _factor_increasing, signed=True),
    "Sharpness": _enhance(ImageEnhance.Sharpness, _factor, signed=False),
    "SharpnessIncreasing": _enhance(ImageEnhance.Sharpness, _factor_increasing, signed=True),
    "ShearX": Op(_shear_x, lambda level: level * 0.3, signed=True, resamples=True),
    "ShearY": Op(_shear_y, lambda level: level * 0.3, signed=True, resamples=True),
    "TranslateXRel": Op(_translate_x, lambda level: level * 0.45, signed=True, resamples=True),
    "TranslateYRel": Op(_translate_y, lambda level: level * 0.45, signed=True, resamples=True),
    "Desaturate": _enhance(ImageEnhance.Color, _desaturated, signed=False),
    "GaussianBlur": Op(_blur, _radius),
}

_COLORS = ("Posterize", "Solarize", "SolarizeAdd", "Color", "Contrast", "Brightness", "Sharpness")
_MOVES = ("ShearX", "ShearY", "TranslateXRel", "TranslateYRel")
PLAIN = ("AutoContrast", "Equalize", "Invert", "Rotate", *_COLORS, *_MOVES)
INCREASING = tuple(f"{name}Increasing" if f"{name}Increasing" in OPS else name for name in PLAIN)

# Sets that timm's notation knows by name; weights where the operations are not equally likely.
SETS: Mapping[str, Mapping[str, float] | tuple[str, ...]] = {
    "weights": {
        "Rotate": 3,
        "ShearX": 2,
        "ShearY": 2,
        "TranslateXRel": 1,
        "TranslateYRel": 1,
        "ColorIncreasing": 0.25,
        "SharpnessIncreasing": 0.25,
        "AutoContrast": 0.25,
        "SolarizeIncreasing": 0.05,
        "SolarizeAdd": 0.05,
        "ContrastIncreasing": 0.05,
        "BrightnessIncreasing": 0.05,
        "Equalize": 0.05,
        "PosterizeIncreasing": 0.05,
        "Invert": 0.05,
    },
    "3a": ("SolarizeIncreasing", "Desaturate", "GaussianBlur"),
    "3aw": {
        "SolarizeIncreasing": 6,
        "Desaturate": 6,
        "GaussianBlur": 6,
        "Rotate": 3,
        "ShearX": 2,
        "ShearY": 2,
        "PosterizeIncreasing": 1,
        "AutoContrast": 1,
        "ColorIncreasing": 1,
        "SharpnessIncreasing": 1,
        "ContrastIncreasing": 1,
        "BrightnessIncreasing": 1,
        "Equalize": 1,
        "Invert": 1,
    },
}

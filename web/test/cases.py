"""Model files of every kind, pictures, and what Python makes of them: for the tests of the browser package to compare with.

Run as `python web/test/cases.py FOLDER`. Needs what the tests of the core need.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from quantized_models import bundled, quantized_layers, ready, small  # noqa: E402
from weights import random_weights  # noqa: E402

import lcnet  # noqa: E402
from lcnet import _native, hub, modelfile  # noqa: E402
from lcnet.arch import Arch  # noqa: E402
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing, Quantization  # noqa: E402
from lcnet.groups import Group  # noqa: E402
from lcnet.image import prepare  # noqa: E402
from lcnet.modelfile import ModelFile  # noqa: E402
from lcnet.modelfile.quantized import to_weights  # noqa: E402

SIZES = ((47, 61), (64, 64), (200, 90), (33, 300), (31, 32))  # height, width
CROPS = [
    {"crop_mode": mode, "interpolation": filter_, "crop_pct": pct}
    for mode in ("center", "squash", "border")
    for filter_, pct in (
        ("bicubic", 0.875),
        ("bilinear", 1.0),
        ("lanczos", 0.9),
        ("nearest", 0.95),
        ("box", 1.3),
        ("hamming", 0.7),
    )
]


def labels(count: int) -> Labels:
    """Names and ids."""
    return Labels(tuple(f"class {i}" for i in range(count)), tuple(f"n{i:08}" for i in range(count)))


def plain(arch: Arch, pre: Preprocessing, decision: Decision | None = None, seed: int = 0) -> ModelFile:
    """A float model of random weights."""
    named = labels(arch.num_classes) if arch.num_classes else None
    return ModelFile(ModelConfig(arch, pre, named, decision or Decision()), random_weights(arch, seed))


def quantized(kept: tuple[str, ...]) -> ModelFile:
    """The bundled model in int8, but for the parts `kept`."""
    model = small()
    layers = quantized_layers(model, ready(32, size=48), kept)
    config = replace(model.config, quantization=Quantization(float_layers=kept))
    return ModelFile(config, to_weights(layers, config.arch))


def models() -> dict[str, ModelFile]:
    """A model of each kind that differs in how it is run or decides."""
    pre, soft = Preprocessing((3, 64, 64)), Decision(temperature=2000.0)  # or all but one of the probabilities are zero
    groups = (
        Group("one", ("class 0", "class 1"), otherwise="neither"),
        Group("some", ("class 2", "class 3"), take="each", names=("two", "three")),
        Group("certain", ("class 4", "class 5"), at_least_one=True),
    )
    return {
        "bundled": bundled(),
        "usual": plain(Arch.of("lcnet_050"), Preprocessing(), soft),
        "large": plain(Arch.of("lcnet_100"), Preprocessing(), soft),
        "unknown": plain(
            Arch(0.35, num_classes=5), pre, Decision(temperature=1.7, thresholds={f"class {i}": 0.6 for i in range(5)})
        ),
        "default": plain(Arch(0.25, num_classes=2), pre, Decision(thresholds={"class 1": 0.3}, default="class 0")),
        "many": plain(
            Arch(0.25, num_classes=6), pre, Decision(thresholds={f"class {i}": 0.4 for i in range(6)}, multi_label=True)
        ),
        "groups": plain(Arch(0.25, num_classes=7), pre, Decision(multi_label=True, groups=groups)),
        "grey": plain(Arch(0.25, in_chans=1, num_classes=3), Preprocessing((1, 48, 80), mean=(0.4,), std=(0.3,))),
        "four": plain(Arch(0.25, in_chans=4, num_classes=3), Preprocessing((4, 48, 48), mean=(0.4,) * 4, std=(0.3,) * 4)),
        "lines": plain(
            Arch(
                0.25,
                num_classes=2,
                stem_stride=(2, 2),
                stage_strides=((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1)),
                head_channels=0,
                classifier_input=("blocks.2", "blocks.5"),
                activation="relu",
                hard_sigmoid_slope=0.2,
            ),
            Preprocessing((3, 48, 192), "bilinear", 1, "squash", resize="opencv", channel_order="bgr", alpha="drop"),
        ),
        "none": plain(Arch(0.25, num_classes=0), pre),
        "second": plain(Arch.of("lcnetv2_small", num_classes=10, depths=(1, 2, 1, 2)), pre, soft),
        "int8": quantized(()),
        "kept": quantized(("blocks.5.0", "blocks.1.0", "conv_head")),
        "int8_classifier": quantized(("classifier",)),
    }


def pixels(height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """Blobs with noise, and with an opacity that is 0, full and between."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-height // 9), -(-width // 9), channels)).repeat(9, axis=0).repeat(9, axis=1)
    return np.clip(coarse[:height, :width] + rng.integers(-20, 20, (height, width, channels)), 0, 255).astype(np.uint8)


def numbers(folder: Path, name: str, values: np.ndarray) -> str:
    """Write a file of numbers, and return its name."""
    (folder / name).write_bytes(np.ascontiguousarray(values).tobytes())
    return name


def expected(folder: Path, name: str, path: Path) -> dict:
    """What each family of ISAs gives for pictures of several sizes, or for ready input where that is all there is."""
    out: dict = {"model": path.name, "pictures": []}
    fused = next(isa for isa, runs in _native.isas() if runs)
    by = {"fma": lcnet.load(path, 1, fused), "plain": lcnet.load(path, 1, "scalar")}
    out["architecture"] = by["fma"].arch.name
    channels = by["fma"].arch.in_chans
    for i, (height, width) in enumerate(SIZES):
        steps = (3, 4) if channels == 3 else (1, 3) if channels == 1 else (channels,)
        for step in steps:
            image, at = pixels(height, width, step, 7 * i + step), f"{name}.{i}.{step}"
            entry = {"data": numbers(folder, f"{at}.pixels", image), "width": width, "height": height}
            entry["input"] = numbers(folder, f"{at}.input", by["fma"].preprocess(image))
            for family, model in by.items():
                entry[family] = {"embeddings": numbers(folder, f"{at}.{family}.embeddings", model.embeddings(image))}
                maps = np.concatenate([m.ravel() for m in model.feature_maps(image)])
                entry[family]["maps"] = numbers(folder, f"{at}.{family}.maps", maps)
                if model.arch.num_classes:
                    entry[family]["logits"] = numbers(folder, f"{at}.{family}.logits", model.logits(image))
                    entry[family]["result"] = model.classify(image)[0].to_dict()
            out["pictures"].append(entry)
    return out


def crops(folder: Path) -> list[dict]:
    """Inputs by every crop mode and filter: of the same tiny network, described otherwise."""
    out = []
    for i, options in enumerate([*CROPS, {"resize": "opencv", "interpolation": "bilinear"}]):
        pre = Preprocessing((3, 37, 52), **options)
        path = folder / f"crop{i}.safetensors"
        modelfile.write(path, plain(Arch(0.25, num_classes=2), pre))
        for height, width in SIZES:
            image = pixels(height, width, 3, height)
            entry = {
                "model": path.name,
                "data": numbers(folder, f"crop{height}.pixels", image),
                "width": width,
                "height": height,
            }
            out.append(entry | {"input": numbers(folder, f"crop{i}.{height}.input", prepare(image, pre))})
    return out


def files(folder: Path) -> list[dict]:
    """JPEG files of every orientation, in colour and grey, and what Python answers: by the bundled model."""
    out, model = [], lcnet.load(folder / "bundled.safetensors", 1)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(pixels(47, 61, 3, orientation))
        path = folder / f"turned{orientation}.jpg"
        (image.convert("L") if orientation == 3 else image).save(path, exif=exif, subsampling=orientation % 3)
        out.append({"file": path.name, "result": model.classify(path)[0].to_dict()})
    return out


def main() -> None:
    """Write all of it."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, model in models().items():
        path = folder / f"{name}.safetensors"
        if name == "bundled":
            path.write_bytes((hub.BUNDLED / "lcnet_050.cifar10.safetensors").read_bytes())
        else:
            modelfile.write(path, model)
        found[name] = expected(folder, name, path)
    (folder / "cases.json").write_text(json.dumps({"models": found, "crops": crops(folder), "files": files(folder)}))


if __name__ == "__main__":
    main()

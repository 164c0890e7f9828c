"""The models that web/bench measures, for our package and for ONNX Runtime, and JPEG files.

Run as `python web/bench/models.py FOLDER [PHOTOS]`; PHOTOS: a folder of JPEG files beside the drawn ones.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from quantized_models import quantized_layers, ready  # noqa: E402
from weights import random_weights  # noqa: E402

from lcnet import modelfile  # noqa: E402
from lcnet.arch import Arch  # noqa: E402
from lcnet.config import ModelConfig, Preprocessing, Quantization  # noqa: E402
from lcnet.export.onnx import export_onnx  # noqa: E402
from lcnet.modelfile import ModelFile  # noqa: E402
from lcnet.modelfile.quantized import to_weights  # noqa: E402

NAMES = ("lcnet_050", "lcnet_100")


class Calibration:
    """Ready input, a picture a call, as onnxruntime.quantization asks for it."""

    def __init__(self) -> None:
        self.left = [{"input": x[None]} for x in ready(16, size=224)]

    def get_next(self) -> dict | None:
        """The next input, or None."""
        return self.left.pop() if self.left else None


def quantize_onnx(source: Path, target: Path) -> None:
    """By ONNX Runtime's own tool, as documented: u8 activations, s8 weights, a scale for each channel of weights."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(source), str(target), Calibration(), quant_format=QuantFormat.QDQ, per_channel=True, **types)


def drawn(folder: Path) -> list[Path]:
    """JPEG files of blobs, edges and noise: three qualities, three ways to store colour, sizes that blocks do not divide."""
    rng, paths = np.random.default_rng(0), []
    for number, (height, width) in enumerate(((240, 320), (333, 251), (600, 797), (64, 64))):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
        edges = 60 * ((np.indices((height, width)).sum(axis=0) // 37) % 2)[:, :, None]
        image = np.clip(smooth + edges + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        for quality in (75, 90, 95):
            for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
                paths.append(folder / f"drawn{number}.{quality}.{subsampling.replace(':', '')}.jpg")
                Image.fromarray(image).save(paths[-1], quality=quality, subsampling=subsampling)
    return paths


def write_pictures(folder: Path, photos: Path | None) -> None:
    """The files, what Pillow decodes them to, and their list."""
    listed: dict[str, list] = {"drawn": drawn(folder), "photographs": sorted(photos.glob("*.jp*g"))[:60] if photos else []}
    for kind, paths in listed.items():
        for i, path in enumerate(paths):
            name = f"{kind}{i}"
            with Image.open(path) as image:
                (folder / f"{name}.rgb").write_bytes(image.convert("RGB").tobytes())
            (folder / f"{name}.jpeg").write_bytes(path.read_bytes())
            paths[i] = name
    (folder / "pictures.json").write_text(json.dumps(listed))


def main() -> None:
    """Write all of it."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    for name in NAMES:
        config = ModelConfig(Arch.of(name), Preprocessing())
        model = ModelFile(config, random_weights(config.arch))
        layers = quantized_layers(model, ready(16, size=224), bias_correction=False)
        whole = ModelFile(replace(config, quantization=Quantization()), to_weights(layers, config.arch))
        modelfile.write(folder / f"{name}.safetensors", model)
        modelfile.write(folder / f"{name}.int8.safetensors", whole)
        export_onnx(model, folder / f"{name}.onnx", overwrite=True)
        quantize_onnx(folder / f"{name}.onnx", folder / f"{name}.int8.onnx")


if __name__ == "__main__":
    main()

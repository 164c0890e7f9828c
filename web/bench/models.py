"""The models that web/bench measures, for our package and for ONNX Runtime: `python web/bench/models.py FOLDER`."""

import sys
from dataclasses import replace
from pathlib import Path

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
        return self.left.pop() if self.left else None


def quantize_onnx(source: Path, target: Path) -> None:
    """By ONNX Runtime's own tool, as its documentation has it: u8 activations, s8 weights, a scale for each channel of weights."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(source), str(target), Calibration(), quant_format=QuantFormat.QDQ, per_channel=True, **types)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
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

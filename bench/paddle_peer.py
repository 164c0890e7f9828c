"""Paddle Inference with oneDNN, on a Paddle model that one has, or on one that Paddle itself saves of our weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lcnet.bench.peers import Run
from lcnet.modelfile import ModelFile

ACTIVATIONS = {"hard_swish": "Hardswish", "relu": "ReLU"}
BATCH_NORM = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}


def predictor(folder: Path, threads: int) -> tuple[Run, str]:
    """Run the one model of a folder as PaddleX does on a CPU: oneDNN, the graph optimised, memory reused."""
    import paddle
    from paddle import inference

    graph = next(path for path in (folder / "inference.json", folder / "inference.pdmodel") if path.exists())
    config = inference.Config(str(graph), str(folder / "inference.pdiparams"))
    config.disable_gpu()
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_mkldnn_cache_capacity(10)
    config.set_cpu_math_library_num_threads(threads)
    config.enable_new_ir(True)
    config.enable_new_executor()
    config.set_optimization_level(3)
    config.enable_memory_optim()
    made = inference.create_predictor(config)
    source, target = made.get_input_handle(made.get_input_names()[0]), made.get_output_handle(made.get_output_names()[0])

    def run(x: np.ndarray) -> np.ndarray:
        source.copy_from_cpu(x)
        made.run()
        return target.copy_to_cpu()

    return run, paddle.__version__


def save(model: ModelFile, folder: Path) -> Path:
    """Save the network as Paddle's own inference model, its batch norms unfolded and softmax at its end, as Paddle's are."""
    import paddle

    network = paddle.nn.Sequential(*_layers(paddle, model), paddle.nn.Softmax(-1))
    network.eval()
    channels, height, width = model.config.preprocessing.input_size
    spec = paddle.static.InputSpec([None, channels, height, width], "float32", "x")
    paddle.jit.save(network, str(folder / "inference"), input_spec=[spec])
    return folder


def _layers(paddle: Any, model: ModelFile) -> list[Any]:
    """The layers from the pixels to the logits, with their weights."""
    nn, weights, arch, eps = paddle.nn, model.weights, model.config.arch, model.config.bn_eps

    def act() -> Any:
        return getattr(nn, ACTIVATIONS[arch.activation])()

    def conv(name: str, stride: Any = 1, groups: int = 1) -> Any:
        w, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")
        out, each, kernel, _ = w.shape
        made = nn.Conv2D(
            each * groups, out, kernel, stride, kernel // 2, groups=groups, bias_attr=None if bias is not None else False
        )
        made.weight.set_value(w)
        if bias is not None:
            made.bias.set_value(bias)
        return made

    def norm(name: str) -> Any:
        made = nn.BatchNorm2D(len(weights[f"{name}.weight"]), epsilon=eps)
        for paddles, ours in BATCH_NORM.items():
            getattr(made, paddles).set_value(weights[f"{name}.{ours}"])
        return made

    class Gated(nn.Layer):  # type: ignore[misc, name-defined, unused-ignore]
        """Squeeze-and-excite."""

        def __init__(self, name: str) -> None:
            super().__init__()
            reduce, expand = conv(f"{name}.conv_reduce"), conv(f"{name}.conv_expand")
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2D(1), reduce, nn.ReLU(), expand, nn.Hardsigmoid())

        def forward(self, x: Any) -> Any:
            return x * self.gate(x)

    layers = [conv("conv_stem", arch.stem_stride), norm("bn1"), act()]
    for name, block in arch.blocks():
        layers += [conv(f"{name}.conv_dw", block.strides, block.in_channels), norm(f"{name}.bn1"), act()]
        layers += [Gated(f"{name}.se")] if block.se_channels else []
        layers += [conv(f"{name}.conv_pw"), norm(f"{name}.bn2"), act()]
    layers.append(nn.AdaptiveAvgPool2D(1))
    layers += [conv("conv_head"), act()] if arch.head_channels else []
    last = nn.Linear(weights["classifier.weight"].shape[1], arch.num_classes)
    last.weight.set_value(np.ascontiguousarray(weights["classifier.weight"].T))
    last.bias.set_value(weights["classifier.bias"])
    return [*layers, nn.Flatten(), last]

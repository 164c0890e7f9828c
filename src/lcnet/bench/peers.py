"""The other engines, each made to run one model at its best: folded weights, fixed size, its own tuning, no checks in the way.

A factory takes a model and a setting, and returns a callable (float32 [N,3,H,W] -> logits) with the engine's version. One that
is not installed, or cannot do what the setting asks, raises `Unavailable` with the reason.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..modelfile import ModelFile

if TYPE_CHECKING:
    from . import Setting

Run = Callable[[np.ndarray], np.ndarray]


class Unavailable(Exception):
    """Why an engine cannot take part."""


def ours(model: ModelFile, setting: Setting) -> tuple[Run, str]:
    """Our own runtime."""
    from importlib.metadata import version

    from ..runtime import Classifier

    try:
        precision = "fp32" if setting.precision == "int8" else setting.precision  # int8 is the file's, not an option
        classifier = Classifier(model, threads=setting.threads, precision=precision)
    except InputError as error:
        raise Unavailable(str(error)) from None
    return classifier.run, f"{version('lcnet')} {classifier.isa}"


def onnxruntime(model: ModelFile, setting: Setting) -> tuple[Run, str]:
    """ONNX Runtime on the exported graph."""
    return onnxruntime_graph(lambda: _onnx(model, setting), setting)


def onnxruntime_graph(graph: Callable[[], bytes], setting: Setting) -> tuple[Run, str]:
    """ONNX Runtime on an ONNX file of one input, which is made once it is known that the package is there."""
    ort = _module("onnxruntime")
    _only_fp32(setting)
    options = ort.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(graph(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0], ort.__version__


def openvino(model: ModelFile, setting: Setting) -> tuple[Run, str]:
    """OpenVINO on the exported graph."""
    return openvino_graph(lambda: _onnx(model, setting), setting)


def openvino_graph(graph: Callable[[], bytes], setting: Setting) -> tuple[Run, str]:
    """OpenVINO on an ONNX file of one input, one stream, input and output in place."""
    ov = _module("openvino")
    network = ov.Core().read_model(graph())
    network.reshape([setting.batch, 3, setting.height, setting.width])
    if setting.precision == "bf16" and "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unavailable("this CPU has no bf16 arithmetic")
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": setting.threads,
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[setting.precision],
    }
    request = ov.Core().compile_model(network, "CPU", hints).create_infer_request()

    def run(x: np.ndarray) -> np.ndarray:
        request.set_input_tensor(ov.Tensor(x, shared_memory=True))
        request.infer()
        return request.get_output_tensor().data

    return run, ov.__version__.partition("-")[0]


def ncnn(model: ModelFile, setting: Setting) -> tuple[Run, str]:
    """Run ncnn; it has no batches: one image after the other."""
    engine = _module("ncnn")
    _only_fp32(setting)
    from ..export.ncnn import write_ncnn

    net = engine.Net()
    net.opt.num_threads = setting.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    write_ncnn(model, net)

    def one(image: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("input", engine.Mat(image))
        return np.array(extractor.extract("logits")[1])

    return lambda x: np.stack([one(image) for image in x]), engine.__version__


def torch_eager(model: ModelFile, setting: Setting) -> tuple[Run, str]:
    """Run torch as people use it: the module in eval mode, channels last."""
    torch, module = _torch_module(model, setting)
    return _torch_run(torch, module, setting), torch.__version__


def torch_compiled(model: ModelFile, setting: Setting) -> tuple[Run, str]:
    """torch.compile with frozen weights and its longest tuning."""
    torch, module = _torch_module(model, setting)
    inductor = importlib.import_module("torch._inductor.config")
    inductor.freezing = True  # type: ignore[attr-defined]
    return _torch_run(torch, torch.compile(module, mode="max-autotune"), setting), torch.__version__


PEERS: dict[str, Callable[[ModelFile, Any], tuple[Run, str]]] = {
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "ncnn": ncnn,
    "torch": torch_eager,
    "torch.compile": torch_compiled,
}


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"it is not installed ({error})") from None


def _only_fp32(setting: Setting) -> None:
    if setting.precision != "fp32":
        raise Unavailable(f"it has no {setting.precision} on CPUs")


def _onnx(model: ModelFile, setting: Setting) -> bytes:
    from ..errors import MissingExtraError
    from ..export.onnx import to_onnx

    size = (model.config.arch.in_chans, setting.height, setting.width)
    config = replace(model.config, preprocessing=replace(model.config.preprocessing, input_size=size))
    try:
        return to_onnx(ModelFile(config, model.weights)).SerializeToString()
    except MissingExtraError as error:
        raise Unavailable(str(error)) from None


def _torch_module(model: ModelFile, setting: Setting) -> tuple[Any, Any]:
    torch = _module("torch")
    from ..nn import LCNet
    from ..nn.layers import Style

    torch.set_num_threads(setting.threads)
    arch = model.config.arch
    module: Any = LCNet(arch, Style.of(arch, model.config.bn_eps))
    module.load_state_dict({k: torch.from_numpy(v) for k, v in model.weights.items()}, strict=False)
    return torch, module.eval().to(memory_format=torch.channels_last)


def _torch_run(torch: Any, module: Any, setting: Setting) -> Run:
    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=setting.precision == "bf16"):
            return module(torch.from_numpy(x).contiguous(memory_format=torch.channels_last)).float().numpy()

    return run

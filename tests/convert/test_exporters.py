"""What other exporters write of real modules, and our own: read back as the network that it was."""

import warnings

import numpy as np
import pytest
from weights import reacting_weights

from lcnet.arch import Arch
from lcnet.convert.match import match
from lcnet.convert.onnx import read_onnx
from lcnet.errors import ModelFileError

pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")

from test_match import outputs

pytestmark = pytest.mark.slow


def exported(torch, model, path, size, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), (torch.zeros(1, 3, *size),), path, input_names=["x"], **options)
    return read_onnx(path.read_bytes(), path.parent)


def timm_model(timm, torch, name="lcnet_050"):
    model = timm.create_model(name, num_classes=5)
    arch = Arch(0.5, num_classes=5)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in reacting_weights(arch).items()}, strict=False)
    return model, arch


OPTIONS = {
    "opset 9": {"opset_version": 9, "dynamo": False},
    "opset 13": {"opset_version": 13, "dynamo": False},
    "opset 17": {"opset_version": 17, "dynamo": False},
    "norms": {"opset_version": 17, "dynamo": False, "do_constant_folding": False, "training": 1},
    "dynamo": {"opset_version": 18, "dynamo": True, "verbose": False},
    "dynamo, plain": {"opset_version": 18, "dynamo": True, "optimize": False, "verbose": False},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_timm_by_torch(timm, torch, tmp_path, options, rng):
    if options["dynamo"]:
        pytest.importorskip("onnxscript", reason="onnxscript, which torch's newer exporter needs, is not installed")
    elif "training" in options:
        options = options | {"training": torch.onnx.TrainingMode.PRESERVE}
    model, arch = timm_model(timm, torch)
    found = match(exported(torch, model, tmp_path / "m.onnx", (64, 96), **options).graph)
    assert (found.arch, found.end, found.size) == (arch, None, (64, 96))
    x = rng.standard_normal((2, 3, 64, 96)).astype(np.float32)
    expected = model(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(outputs(found, x), expected, atol=2e-5 * np.abs(expected).max())


OTHERS = {
    "mobilenetv3_small_050": "a MobileNetV3 (an inverted residual at ",
    "mobilenetv2_035": "a MobileNetV2 (an inverted residual at ",
    "efficientnet_b0": "an EfficientNet (an inverted residual at ",
    "resnet10t": "a ResNet (a shortcut at ",
    "densenet121": "a network of branches (a concatenation at ",
    "vit_tiny_patch16_224": "a transformer (attention at ",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_by_what_they_are(timm, torch, tmp_path, name):
    size = (224, 224) if "vit" in name else (64, 64)
    options = {"opset_version": 17, "dynamo": False}
    with pytest.raises(ModelFileError) as caught:
        match(exported(torch, timm.create_model(name), tmp_path / "m.onnx", size, **options).graph)
    assert str(caught.value).startswith(f"this is {OTHERS[name]}")
    assert str(caught.value).endswith("), not an LCNet")

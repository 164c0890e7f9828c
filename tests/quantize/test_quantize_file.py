"""The quantised file: round trip, size, exact form, what is refused, and what else meets it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from quantized_models import quantized_model, trained

from lcnet.arch import Arch
from lcnet.cli import main
from lcnet.config import ModelConfig, Preprocessing, Quantization
from lcnet.convert import convert
from lcnet.errors import InputError, ModelFileError
from lcnet.export.onnx import export_onnx
from lcnet.modelfile import ModelFile, quantized, read, read_config, to_bytes, write
from lcnet.runtime import Classifier

SPECIFICATION = Path(__file__).parents[2] / "docs" / "model-file.md"
KEPT = ("blocks.2.1", "classifier")


@pytest.fixture(scope="module")
def model():
    return quantized_model(32)


@pytest.fixture(scope="module")
def mixed():
    return quantized_model(32, KEPT)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.int8.safetensors"


def refused(model, path, match, **weights):
    """Neither the writer nor the reader takes the model with these tensors replaced; `...` leaves one out."""
    from safetensors.numpy import save_file

    tensors = {k: v for k, v in {**model.weights, **weights}.items() if v is not ...}
    with pytest.raises(ModelFileError, match=match):
        to_bytes(ModelFile(model.config, tensors))
    save_file(tensors, path, {"lcnet": json.dumps({"format_version": 1, **model.config.to_json()})})
    for mapped in (False, True):
        with pytest.raises(ModelFileError, match=match) as caught:
            read(path, mapped=mapped)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("which", ["model", "mixed"])
@pytest.mark.parametrize("mapped", [False, True])
def test_round_trip(which, mapped, path, request):
    model = request.getfixturevalue(which)
    write(path, model)
    again = read(path, mapped=mapped)
    assert again.config == model.config == read_config(path)
    assert again.weights.keys() == model.weights.keys()
    for key, value in model.weights.items():
        assert again.weights[key].dtype == value.dtype
        np.testing.assert_array_equal(again.weights[key], value)
    assert to_bytes(again) == path.read_bytes()


def test_layers_come_back_as_they_were(mixed):
    layers = quantized.from_weights(mixed.weights)
    assert {n for n, layer in layers.items() if not isinstance(layer, quantized.QuantizedLayer) and ".se." not in n} == {
        "blocks.2.1.conv_dw",
        "blocks.2.1.conv_pw",
        "classifier",
    }
    again = quantized.to_weights(layers, mixed.config.arch)
    assert again.keys() == mixed.weights.keys()
    for key, value in again.items():
        np.testing.assert_array_equal(value, mixed.weights[key])
        assert value.shape == mixed.weights[key].shape


def test_tensors_at_odd_addresses_are_aligned(model, path):
    write(path, model)
    for layer in quantized.from_weights(read(path, mapped=True).weights).values():
        for array in quantized.fields_of(layer):
            assert array.flags.aligned
            assert array.flags.c_contiguous


def test_a_quarter_of_the_size():
    arch = Arch(1.0)
    sizes = {"F32": 4, "I8": 1, "U8": 1}
    count = sum(sizes[d] * int(np.prod(s)) for d, s in quantized.shapes(arch, Quantization()).values())
    assert 0.25 < count / (4 * arch.parameters) < 0.31


def test_the_specification_lists_every_tensor(model, mixed):
    section = SPECIFICATION.read_text(encoding="utf-8").partition("## Quantised files")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `L\.(\w+)` \| `(\w+)` \| `(\[.*?\])` \|", section, re.M)
    assert {name for name, _, _ in rows} == set(quantized.FIELDS)
    for name, layer in quantized.from_weights(model.weights).items():
        if ".se." in name:
            assert not isinstance(layer, quantized.QuantizedLayer)
            continue
        for field, dtype, _ in rows:
            assert model.weights[f"{name}.{field}"].dtype == quantized.DTYPES[dtype]
    fields = dict(re.findall(r"^\| `quantization\.(\w+)` \| .* \| (.*?) \|$", section, re.M))
    assert set(fields) == set(model.config.to_json()["quantization"])
    assert "`mixed`" not in fields
    assert json.loads(fields["scheme"].strip("`")) == Quantization().scheme


def test_a_reader_written_from_the_specification(mixed, path):
    """Reads int8 weights with nothing but the header, and gets the float ones back within half a step."""
    write(path, mixed)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    stored = json.loads(header["__metadata__"]["lcnet"])
    assert stored["quantization"] == {"scheme": "u8s8", "float_layers": list(KEPT), "verdict": {}}

    def tensor(name):
        begin, end = header[name]["data_offsets"]
        dtype = {"F32": "<f4", "I8": "i1", "U8": "u1"}[header[name]["dtype"]]
        return np.frombuffer(data[8 + length + begin : 8 + length + end], dtype).reshape(header[name]["shape"])

    from lcnet.modelfile.fold import fold

    weight, _ = fold(trained()).head
    codes, scale, columns = (tensor(f"conv_head.{k}") for k in ("weight", "scale", "input_scale"))
    assert codes.shape == (1280, 256, 1, 1)
    found = codes[:, :, 0, 0] * scale[:, None] / columns
    assert (np.abs(found - weight) <= 0.5001 * scale[:, None] / columns).all()
    np.testing.assert_array_equal(tensor("classifier.weight"), trained().weights["classifier.weight"])


def test_a_float_file_says_nothing_of_it():
    assert "quantization" not in ModelConfig(Arch(0.25)).to_json()
    data = {**ModelConfig(Arch(0.25)).to_json(), "quantization": None}
    assert ModelConfig.from_json(data).quantization is None


# Refusals


def test_what_no_quantizer_writes_is_refused(model, path):
    def changed(key, value):
        array = model.weights[key].copy()
        array.reshape(-1)[5] = value
        return {key: array}

    refused(model, path, r"conv_head.weight has values of -128", **changed("conv_head.weight", -128))
    refused(model, path, r"scale has values below", **changed("blocks.0.0.conv_pw.scale", 0))
    refused(model, path, r"input_scale has values below", **changed("classifier.input_scale", -1))
    refused(model, path, r"bias has 1 NaN or Inf", **changed("blocks.1.0.conv_dw.bias", np.nan))
    refused(model, path, r"scale has 1 NaN or Inf", **changed("blocks.1.0.conv_dw.scale", np.inf))
    refused(model, path, r"conv_reduce.weight has 1 NaN", **changed("blocks.5.0.se.conv_reduce.weight", np.nan))


def test_missing_unknown_and_wrong_tensors_are_refused(model, mixed, path):
    weights = model.weights
    refused(model, path, r"blocks\.3\.0\.conv_dw\.input_zero is missing", **{"blocks.3.0.conv_dw.input_zero": ...})
    refused(model, path, r"bn1\.weight .* does not belong", **{"bn1.weight": np.ones(8, np.float32)})
    refused(model, path, r"running_mean .* does not belong", **{"bn1.running_mean": np.ones(8, np.float32)})
    wide = weights["conv_head.weight"].astype(np.float32)
    refused(model, path, r"conv_head\.weight has dtype (F32|float32), expected (I8|int8)", **{"conv_head.weight": wide})
    zero = weights["conv_head.input_zero"].astype(np.int8)
    refused(model, path, r"input_zero has dtype (I8|int8), expected (U8|uint8)", **{"conv_head.input_zero": zero})
    refused(model, path, r"scale has shape \[1279\], expected \[1280\]", **{"conv_head.scale": weights["conv_head.scale"][1:]})
    narrow = mixed.weights["classifier.weight"].astype(np.int8)
    refused(mixed, path, r"classifier\.weight has dtype (I8|int8), expected (F32|float32)", **{"classifier.weight": narrow})


def test_float_weights_under_an_int8_description_are_refused(model, path):
    with pytest.raises(ModelFileError, match=r"conv_stem\.scale is missing"):
        write(path, ModelFile(model.config, trained().weights))
    with pytest.raises(ModelFileError, match=r"bn1\.weight is missing"):
        write(path, ModelFile(trained().config, model.weights))


@pytest.mark.parametrize("length", [0, 7, 8, 100, 5000, 60_000, 700_000])
def test_a_truncated_file_is_refused(length, model, path):
    write(path, model)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        read(path, mapped=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"scheme": "u4"}, r"quantization\.scheme is 'u4', expected 'u8s8'"),
        ({"schema": "u8s8"}, r"unknown key 'schema'; did you mean 'scheme'"),
        ({"float_layers": ["blocks.9.9"]}, r"has 'blocks\.9\.9'.*no part of the network"),
        ({"float_layers": ["conv_stem"]}, r"has 'conv_stem'.*no part"),
        ({"float_layers": ["conv_head", "conv_head"]}, "a list of different texts"),
        ({"float_layers": "conv_head"}, "a list of different texts"),
        ({"float_layers": [3]}, "a list of different texts"),
        ({"verdict": []}, r"quantization\.verdict is \(\), expected an object"),
        ([], "expected a JSON object"),
    ],
)
def test_impossible_descriptions_are_refused(change, match, model):
    data = json.loads(json.dumps(model.config.to_json()))
    data["quantization"] = {**data["quantization"], **change} if isinstance(change, dict) else change
    with pytest.raises(ModelFileError, match=match):
        ModelConfig.from_json(data)


def test_a_mean_that_is_no_pixel_is_refused(model):
    odd = Preprocessing(mean=(0.5, 0.5, 1.5))
    with pytest.raises(ModelFileError, match=r"preprocessing\.mean is .*from 0 to 1"):
        replace(model.config, preprocessing=odd)
    assert replace(model.config, preprocessing=odd, quantization=None).preprocessing is odd


# What else meets such a file


def test_the_export_says_why_not(model, tmp_path):
    pytest.importorskip("onnx")
    with pytest.raises(InputError, match=r"quantised with a scale for each channel.*export the float model"):
        export_onnx(model, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_convert_says_why_not(model, path, tmp_path):
    write(path, model)
    with pytest.raises(ModelFileError, match="a model file already, in int8"):
        convert(path, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


def test_bf16_is_refused(model):
    with pytest.raises(InputError, match="the model is quantised"):
        Classifier(model, precision="bf16")


def test_info_shows_what_runs_in_what(mixed, path):
    write(path, mixed)
    result = CliRunner().invoke(main, ["info", str(path)], catch_exceptions=False)
    rows = {line.split()[0]: line.split()[-1] for line in result.output.splitlines() if line}
    assert rows["blocks.2.1.conv_pw"] == rows["classifier"] == rows["blocks.5.0.se.conv_reduce"] == "fp32"
    assert rows["blocks.2.0.conv_pw"] == rows["conv_stem"] == rows["conv_head"] == "int8"
    facts = json.loads(CliRunner().invoke(main, ["info", str(path), "-f", "json"]).output)
    assert facts["quantization"]["float_layers"] == list(KEPT)
    assert facts["layers"][0]["runs_in"] == "int8"


def test_info_of_a_float_model_has_no_such_column():
    result = CliRunner().invoke(main, ["info", "lcnet_050.cifar10"], catch_exceptions=False)
    assert "runs in" not in result.output


def test_torch_does_not_take_it(model, path, torch):
    import lcnet

    write(path, model)
    with pytest.raises(ModelFileError, match="quantised"):
        lcnet.create_model(str(path), pretrained=True)

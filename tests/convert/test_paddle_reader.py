"""Paddle's inference models without paddle: both formats of the graph, the parameters by the order of names, real networks."""

import json
import struct

import foreign
import numpy as np
import pytest
from paddle_files import Writer, pdiparams, sample, tensor
from test_match import outputs
from weights import random_weights

from lcnet.arch import Arch
from lcnet.convert import load_state_dict
from lcnet.convert.match import match
from lcnet.convert.operators import to_graph
from lcnet.convert.paddle import parts_of, read_paddle
from lcnet.convert.pdiparams import Declared, read_pdiparams
from lcnet.convert.program import read_pir, read_program
from lcnet.errors import ModelFileError

SLOPE = 0.16666670143604279
DOWN = ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))
MADE = Arch(0.25, num_classes=2, stage_strides=DOWN, hard_sigmoid_slope=SLOPE)
FIRST_RELEASE = Arch(
    0.25,
    num_classes=2,
    stem_stride=(1, 2),
    stage_strides=DOWN,
    head_channels=0,
    classifier_input=("blocks.5",),
    hard_sigmoid_slope=SLOPE,
)


def found_in(folder):
    parts = parts_of(folder)
    found = read_paddle(parts.graph, {path: path.read_bytes() for path in (parts.graph, parts.parameters)})
    return match(found.graph)


@pytest.mark.parametrize("name", ["m_old", "m_pir"])
def test_outputs_of_paddle_itself(name):
    """Networks that paddle 2.6.2 and 3.3.1 saved, with what they computed."""
    found = found_in(sample("made", name))
    assert (found.arch, found.end, found.size, found.folded) == (MADE, "softmax", (80, 160), False)
    assert found.factor == pytest.approx(0.8, abs=1e-7)
    data = np.load(sample("made", name, "xy.npz"))
    np.testing.assert_allclose(outputs(found, data["x"]), data["y"], atol=1e-5)
    # The logarithms too, which differ by 24: the weights are random, and one class takes all.
    np.testing.assert_allclose(np.log(outputs(found, data["x"])), np.log(data["y"]), atol=2e-4)


@pytest.mark.parametrize("name", ["m_old", "m_pir"])
def test_the_graph_and_the_training_give_the_same_weights(name):
    found = found_in(sample("made", name)).weights
    expected = load_state_dict(sample("made", name, "model.pdparams"))
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_the_first_release_of_the_text_line_model():
    """A trained network with other strides in its stem, without a head and without the factor."""
    found = found_in(sample("PP-LCNet_x0_25_textline_ori_v1"))
    assert (found.arch, found.end, found.factor, found.size) == (FIRST_RELEASE, "softmax", 1.0, (80, 160))
    assert found.bn_eps == 1e-5
    assert all((value >= 0).all() for key, value in found.weights.items() if key.endswith("running_var"))


GRAPHS = {
    "PP-LCNet_x1_0_doc_ori_graph_only/inference.json": Arch(1.0, num_classes=4, hard_sigmoid_slope=SLOPE),
    "old_pdmodel_graph_only/PPLCNet_x0_75_infer.pdmodel": Arch(0.75, hard_sigmoid_slope=SLOPE),
    "old_pdmodel_graph_only/text_image_orientation_infer.pdmodel": Arch(1.0, num_classes=4, hard_sigmoid_slope=SLOPE),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_real_graphs(name, rng):
    path = sample(*name.split("/"))
    program = (read_pir if path.suffix == ".json" else read_program)(path.read_bytes())
    assert len(program.parameters) == 146
    arrays = {n: rng.uniform(0.5, 1, d.shape).astype(np.float32) for n, d in program.parameters.items()}
    found = match(to_graph(program, read_pdiparams(pdiparams(arrays), program.parameters)))
    assert (found.arch, found.end, round(found.factor, 6)) == (GRAPHS[name], "softmax", 0.8)
    linear = next(value for name, value in arrays.items() if name.startswith("linear_0.w_0"))
    np.testing.assert_array_equal(found.weights["classifier.weight"], linear.T * np.float32(0.8))


# Parameters

ARRAYS = {f"bn_{i}.w_0": np.full(3, i, np.float32) for i in (0, 1, 2, 10)}


def declared(arrays):
    return {name: Declared(value.shape, None) for name, value in arrays.items()}


def test_the_order_is_that_of_the_names():
    found = read_pdiparams(pdiparams(ARRAYS), declared(ARRAYS))
    assert {name: value[0] for name, value in found.items()} == {"bn_0.w_0": 0, "bn_1.w_0": 1, "bn_10.w_0": 10, "bn_2.w_0": 2}


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i4", "i8", "u1", "i1", "b1"])
def test_types(dtype):
    array = np.array([[1, 0, 1]]).astype(dtype)
    found = read_pdiparams(tensor(array), {"a": Declared((1, 3), None)})["a"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_bfloat16():
    bits = (np.float32([1.5, -2]).view(np.uint32) >> 16).astype("<u2")
    np.testing.assert_array_equal(read_pdiparams(tensor(bits, 22), {"a": Declared((2,), None)})["a"], [1.5, -2])


def by_number(arrays):
    return sorted(
        arrays, key=lambda name: [int(part) if part.isdigit() else part for part in name.replace(".", "_").split("_")]
    )


@pytest.mark.parametrize("order", [list, lambda a: list(a)[::-1], by_number, lambda a: sorted(a)[::-1]])
def test_a_wrong_order_does_not_load(order):
    """The tensors of a real network, as they come in the graph, backwards, or by the numbers in their names."""
    folder = sample("made", "m_pir")
    program = read_pir((folder / "inference.json").read_bytes())
    arrays = read_pdiparams((folder / "inference.pdiparams").read_bytes(), program.parameters)
    arrays = {name: arrays[name] for name in program.parameters}
    assert pdiparams(arrays) == (folder / "inference.pdiparams").read_bytes()
    with pytest.raises(ModelFileError, match="where it must be by the order of the names"):
        read_pdiparams(pdiparams(arrays, order), program.parameters)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d[:-1], "cut short"),
        (lambda d: d[:10], "cut short"),
        (lambda d: b"", "0 tensors, and the graph 4 parameters"),
        (lambda d: d + d, "behind the graph's 4 parameters"),
        (lambda d: d[: len(d) // 2], "2 tensors, and the graph 4 parameters"),
        (lambda d: b"\x01" + d[1:], "no Paddle parameters"),
        (lambda d: d[:4] + b"\x01" + d[5:], "no Paddle parameters"),
        (lambda d: d[:16] + struct.pack("<i", -1) + d[20:], "no Paddle parameters"),
        (lambda d: d[:16] + struct.pack("<i", 1 << 30) + d[20:], "no Paddle parameters"),
        (lambda d: tensor(np.zeros(3, np.float32), 7), "the type 7"),
        (lambda d: tensor(np.zeros(3, np.float32), dims=[1 << 60]), "cut short"),
        (lambda d: tensor(np.zeros(3, np.float32), dims=[2**64 - 1]), "the shape"),
        (lambda d: tensor(np.zeros(3, np.float32), dims=[3] + [1] * 30), "the shape"),
        (lambda d: tensor(np.zeros(4, np.float32)), r"bn_0.w_0 is \[3\] in the graph and \[4\] here"),
    ],
)
def test_damaged_parameters(change, words):
    with pytest.raises(ModelFileError, match=words):
        read_pdiparams(change(pdiparams(ARRAYS)), declared(ARRAYS))


def test_a_type_that_the_graph_does_not_say():
    with pytest.raises(ModelFileError, match="in the graph"):
        read_pdiparams(tensor(np.zeros(3, np.float16)), {"a": Declared((3,), 5)})


# Graphs


def pir():
    return json.loads((sample("made", "m_pir") / "inference.json").read_bytes())


def operators(root):
    return root["program"]["regions"][0]["blocks"][0]["ops"]


def matched(root):
    folder = sample("made", "m_pir")
    program = read_pir(json.dumps(root).encode())
    return match(to_graph(program, read_pdiparams((folder / "inference.pdiparams").read_bytes(), program.parameters)))


def attribute(root, kind, index, name, value):
    op = [op for op in operators(root) if op["#"] == f"1.{kind}"][index]
    next(a for a in op["A"] if a["N"] == name)["AT"]["D"] = value


@pytest.mark.parametrize(
    ("kind", "name", "value", "factor"),
    [("dropout", "mode", "upscale_in_train", 1.0), ("full", "value", 0.5, 0.5), ("full", "value", 0.0, 1.0)],
)
def test_the_factor_is_read_from_the_graph(kind, name, value, factor):
    root = pir()
    attribute(root, kind, 0, name, value)
    assert matched(root).factor == factor


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: attribute(r, "conv2d", 0, "data_format", "NHWC"), r"\(conv2d\) stands where the stem"),
        (lambda r: attribute(r, "conv2d", 0, "groups", "x"), "has the groups x, expected a number"),
        (lambda r: attribute(r, "conv2d", 0, "padding_algorithm", "SAME"), "pads by SAME_UPPER"),
        (lambda r: attribute(r, "conv2d", 0, "strides", [{"#": "0.a_i32", "D": 2.5}] * 2), "expected whole numbers"),
        (lambda r: attribute(r, "pool2d", 2, "pooling_type", "max"), "the mean of the last map was expected"),
        (lambda r: attribute(r, "pool2d", 2, "adaptive", False), "the mean of the last map was expected"),
        (lambda r: attribute(r, "hardsigmoid", 0, "slope", 0.2), "the slopes"),
        (lambda r: attribute(r, "softmax", 0, "axis", 0), "a function of each picture's own values was expected"),
        (lambda r: attribute(r, "batch_norm_", 0, "epsilon", 1e-3), "the epsilons"),
        (lambda r: attribute(r, "full", 0, "value", 1e300), "where the graph's end|dropout"),
        (lambda r: operators(r)[-2].update({"#": "1.tanh"}), r"\(tanh\) stands where the graph's end was expected"),
        (lambda r: operators(r).pop(-3), "which nothing before it makes"),
        (lambda r: operators(r).append(operators(r)[-2]), "which is there already"),
        (lambda r: operators(r)[0].update(A=[]), "no graph as Paddle writes it"),
        (lambda r: operators(r)[0].update(O=3), "no graph as Paddle writes it"),
        (lambda r: operators(r).append(operators(r)[0]), "is there twice"),
        (lambda r: operators(r)[-1].update(I=[{"%": "x"}]), "no graph as Paddle writes it"),
        (lambda r: r["base_code"].update(magic="x"), "no graph as Paddle writes it"),
        (lambda r: r["program"].update(regions=[]), "no graph as Paddle writes it"),
    ],
)
def test_changed_and_damaged_graphs(change, words):
    root = pir()
    change(root)
    with pytest.raises(ModelFileError, match=words) as caught:
        matched(root)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"[" * 100_000, b'{"base_code":' * 5000, b"\xff"])
def test_texts_that_are_no_graph(data):
    with pytest.raises(ModelFileError, match="no graph as Paddle writes it"):
        read_pir(data)


def test_bytes_that_are_no_program():
    with pytest.raises(ModelFileError, match="0 blocks"):
        read_program(b"")
    with pytest.raises(ModelFileError, match="damaged"):
        read_program(b"\x0a\xff\x01abc")


def test_files_of_one_model(tmp_path):
    with pytest.raises(ModelFileError, match=r"needs inference\.pdiparams beside"):
        parts_of(tmp_path)
    (tmp_path / "a.pdiparams").touch()
    with pytest.raises(ModelFileError, match=r"needs a\.json \(or a\.pdmodel\)"):
        parts_of(tmp_path)
    (tmp_path / "a.pdmodel").touch()
    (tmp_path / "other.yml").touch()
    assert parts_of(tmp_path) == parts_of(tmp_path / "a.pdmodel") == parts_of(tmp_path / "a.pdiparams")
    assert [path.name for path in parts_of(tmp_path)] == ["a.pdmodel", "a.pdiparams", "other.yml"]
    (tmp_path / "a.yml").touch()
    assert parts_of(tmp_path).config == tmp_path / "a.yml"
    (tmp_path / "b.pdiparams").touch()
    with pytest.raises(ModelFileError, match=r"2 files of Paddle parameters \(a\.pdiparams, b\.pdiparams\)"):
        parts_of(tmp_path)
    with pytest.raises(ModelFileError, match=r"needs b\.json"):
        parts_of(tmp_path / "b.pdiparams")


# Networks of our own, in both formats

ARCHS = {
    "plain": Arch(0.25, num_classes=3, hard_sigmoid_slope=SLOPE),
    "text line": Arch(0.5, num_classes=2, stage_strides=DOWN, hard_sigmoid_slope=SLOPE),
    "first release": FIRST_RELEASE,
}


@pytest.mark.parametrize("format", ["json", "pdmodel"])
@pytest.mark.parametrize("end", ["softmax", "sigmoid", None])
@pytest.mark.parametrize("name", ARCHS)
def test_both_formats(tmp_path, name, end, format):
    arch = ARCHS[name]
    weights = random_weights(arch) | ({"conv_head.bias": np.zeros(1280, np.float32)} if arch.head_channels else {})
    writer = Writer(weights, arch, end)
    (tmp_path / f"m.{format}").write_bytes(writer.pir() if format == "json" else writer.pdmodel())
    (tmp_path / "m.pdiparams").write_bytes(writer.pdiparams())
    found = found_in(tmp_path)
    assert (found.arch, found.end, found.size) == (arch, end, (64, 64))
    assert found.factor == (0.8 if arch.head_channels else 1.0)
    scaled = weights | {"classifier.weight": weights["classifier.weight"] * np.float32(found.factor)}
    foreign.assert_equal(found.weights, scaled)

"""One network, written in every way that exporters have: the same architecture and weights, and the outputs of ONNX Runtime."""

import foreign
import numpy as np
import pytest
from weights import random_weights

from lcnet.arch import Arch
from lcnet.convert.match import match
from lcnet.convert.onnx import read_onnx
from lcnet.errors import ModelFileError

onnx = pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")

from onnx_graphs import Style, lcnet  # noqa: E402

TEXT_LINE = {"stage_strides": ((1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (2, 1))}
HEADLESS = {"head_channels": 0, "classifier_input": ("blocks.5",)}
PLAIN = Arch(0.25, num_classes=3)
ARCHS = {
    "plain": PLAIN,
    "gray": Arch(0.5, 1, 2),
    "text line": Arch(0.35, num_classes=2, **TEXT_LINE),
    "first release": Arch(0.25, num_classes=2, stem_stride=(1, 2), **TEXT_LINE, **HEADLESS),
    "other head": Arch(0.75, num_classes=3, head_channels=512),
    "relu": Arch(0.25, num_classes=3, activation="relu"),
    "features": Arch(0.25, num_classes=0),
}
STYLES = {
    "plain": Style(),
    "paddle2onnx of 2021": Style(
        opset=11, swish="clip", gate="clip", flatten="shape", classifier="matmul", scale=0.8, end="Softmax"
    ),
    "opset 9": Style(opset=9, swish="clip", gate="clip", flatten="reshape", scale=0.8),
    "paddle2onnx of 2025": Style(
        conv_bias="add",
        flatten="shape",
        classifier="matmul",
        scale=0.8,
        end="Softmax",
        identities=True,
        slope=0.16666670143604279,
    ),
    "constants": Style(constants=True, folded=True, scale=0.8),
    "folded": Style(folded=True, swish="gate"),
    "clip first": Style(swish="clip-first", flatten="squeeze"),
    "sixth": Style(swish="sixth", conv_bias="add"),
    "mean": Style(opset=18, pool="mean", flatten="reshape", end="Sigmoid"),
    "conv": Style(classifier="conv", scale=0.5),
    "epsilon": Style(epsilon=1e-3),
}


def found_in(model):
    return match(read_onnx(model.SerializeToString(), None).graph)


def runtime(model, x):
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime, the test-only peer, is not installed")
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def outputs(found, x):
    """By numpy, from the weights and the architecture that were found."""
    y = foreign.forward(found.weights, found.arch, x, found.bn_eps)
    if found.end == "softmax":
        y = np.exp(y - y.max(1, keepdims=True))
        return y / y.sum(1, keepdims=True)
    return 1 / (1 + np.exp(-y)) if found.end == "sigmoid" else y


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_way_of_writing(style, rng):
    weights = random_weights(PLAIN)
    model = lcnet(weights, PLAIN, style)
    found = found_in(model)
    slope = style.slope if style.gate == "op" else 1 / 6
    assert found.arch == Arch(0.25, num_classes=3, hard_sigmoid_slope=slope)
    assert found.factor == pytest.approx(style.scale, abs=1e-7)
    assert (found.end, found.folded) == ((style.end or "").lower() or None, style.folded)
    assert found.bn_eps == style.epsilon or style.folded
    assert found.size == (64, 64)
    x = rng.standard_normal((2, 3, 64, 64)).astype(np.float32)
    expected = runtime(model, x)
    np.testing.assert_allclose(outputs(found, x), expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ARCHS)
def test_every_shape_of_network(name, rng):
    arch = ARCHS[name]
    style = Style(swish="relu" if name == "relu" else "op", size=(arch.in_chans, 64, 96))
    model = lcnet(random_weights(arch), arch, style)
    found = found_in(model)
    assert found.arch == arch
    x = rng.standard_normal((2, arch.in_chans, 64, 96)).astype(np.float32)
    expected = runtime(model, x)
    np.testing.assert_allclose(outputs(found, x), expected, atol=2e-5 * np.abs(expected).max())


def test_weights_are_those_of_the_file_to_the_bit():
    weights = random_weights(PLAIN)
    found = found_in(lcnet(weights, PLAIN)).weights
    assert sorted(found) == sorted(weights)
    for key, value in weights.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, 0.3])
def test_folded_weights_fold_to_themselves(epsilon):
    """The norm that a folded file gets changes no bit of what the runtime makes of it."""
    from lcnet.convert.match import _norm
    from lcnet.convert.walk import Layer
    from lcnet.modelfile.values import scale_and_bias

    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4096, 1, 3, 3)).astype(np.float32)
    bias = rng.standard_normal(4096).astype(np.float32)
    norm = _norm(Layer(None, weight, bias), epsilon)
    named = dict(zip((f"bn.{k}" for k in ("weight", "bias", "running_mean", "running_var")), norm, strict=True))
    scale, shift = scale_and_bias(named, "bn", epsilon)
    np.testing.assert_array_equal((weight * scale[:, None, None, None]).astype(np.float32), weight)
    np.testing.assert_array_equal(shift.astype(np.float32), bias)


def test_weights_of_half_precision(rng):
    """Stored in 16 bits and cast in the graph, as tools do that make files smaller."""
    weights = {k: v.astype(np.float16).astype(np.float32) for k, v in random_weights(PLAIN).items()}
    model = lcnet(weights, PLAIN)
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    del model.graph.initializer[:]
    casts = []
    for name, value in arrays.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    foreign.assert_equal(found_in(model).weights, weights)


def test_the_factor_goes_into_the_classifier():
    weights = random_weights(PLAIN)
    found = found_in(lcnet(weights, PLAIN, Style(scale=0.8))).weights
    np.testing.assert_array_equal(found["classifier.weight"], weights["classifier.weight"] * np.float32(0.8))
    np.testing.assert_array_equal(found["conv_head.weight"], weights["conv_head.weight"])


def _set(op, index, **attributes):
    def change(model):
        node = [n for n in model.graph.node if n.op_type == op][index]
        for name, value in attributes.items():
            keep = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend([*keep, onnx.helper.make_attribute(name, value)])

    return change


def _op(op, index, other):
    def change(model):
        [n for n in model.graph.node if n.op_type == op][index].op_type = other

    return change


def _also(op, *names):
    def change(model):
        model.graph.output.add(name=next(n.output[0] for n in model.graph.node if n.op_type == op))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("Conv", 0, strides=[3, 3]), r"strides \[3, 3\]"),
        (_set("Conv", 2, strides=[2, 2]), "a convolution of 1x1 was expected"),
        (_set("Conv", 5, strides=[2, 1]), r"as blocks.1.1, has the strides \(2, 1\), expected 1 within a stage"),
        (_set("Conv", 1, dilations=[2, 2]), r"dilations \[2, 2\]"),
        (_set("Conv", 1, pads=[0, 0, 1, 1]), r"pads by \[0, 0, 1, 1\], expected 1 on all sides"),
        (_set("Conv", 0, auto_pad="SAME_UPPER"), "pads by SAME_UPPER"),
        (_set("Conv", 1, group=1), "a depthwise convolution was expected"),
        (_set("Conv", 2, group=8), "a convolution of 1x1 was expected"),
        (_set("HardSigmoid", 0, alpha=0.2), "the slopes"),
        (_set("HardSigmoid", 0, beta=0.25), "a hard-sigmoid around a half was expected"),
        (_set("HardSigmoid", 0, alpha=float("nan")), "expected a number"),
        (_set("BatchNormalization", 3, epsilon=1e-3), "the epsilons"),
        (_set("BatchNormalization", 3, training_mode=1), "one of a training"),
        (_op("HardSwish", 4, "Relu"), "where a hard-swish was expected"),
        (_op("HardSwish", 4, "Tanh"), r"\(Tanh\) stands where a hard-swish or a ReLU was expected"),
        (_op("Relu", 0, "Tanh"), "where a ReLU was expected"),
        (_op("GlobalAveragePool", 2, "GlobalMaxPool"), "the mean of the last map was expected"),
        (_op("Flatten", 0, "Det"), r"\(Det\) stands where the graph's end was expected"),
        (_also("HardSwish"), "1 inputs and 2 outputs"),
    ],
)
def test_what_is_not_of_the_family_is_named(change, words):
    model = lcnet(random_weights(PLAIN), PLAIN)
    change(model)
    with pytest.raises(ModelFileError, match=words) as caught:
        found_in(model)
    assert str(caught.value).isprintable()


def test_a_factor_without_a_classifier():
    arch = ARCHS["features"]
    with pytest.raises(ModelFileError, match=r"multiplied by 0\.8, and there is no classifier"):
        found_in(lcnet(random_weights(arch), arch, Style(scale=0.8)))


def test_channels_of_no_width():
    weights = random_weights(PLAIN)
    weights["conv_stem.weight"] = np.zeros((24, 3, 3, 3), np.float32)
    weights |= {f"bn1.{k}": np.ones(24, np.float32) for k in ("weight", "bias", "running_mean", "running_var")}
    weights["blocks.0.0.conv_dw.weight"] = np.zeros((24, 1, 3, 3), np.float32)
    with pytest.raises(ModelFileError, match="no LCNet"):
        found_in(lcnet(weights, PLAIN))


def _graph(nodes, tensors=(), sizes=(1, 3, 32, 32)):
    values = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, sizes)]
    out = [onnx.helper.make_tensor_value_info(nodes[-1].output[0], onnx.TensorProto.FLOAT, None)]
    arrays = [onnx.numpy_helper.from_array(value, name) for name, value in dict(tensors).items()]
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", values, out, arrays))


def _ml_decoder(model):
    """The head of PP-LCNet_x1_0_ML: queries that attend to the last map, instead of pooling."""
    nodes = [n for n in model.graph.node if n.op_type not in ("Flatten", "Gemm")]
    at = max(i for i, node in enumerate(nodes) if node.op_type == "GlobalAveragePool")
    x = nodes[at].input[0]
    make = onnx.helper.make_node
    head = [
        make("Reshape", [x, "flat"], ["seen"]),
        make("Transpose", ["seen"], ["keys"], perm=[0, 2, 1]),
        make("MatMul", ["queries", "seen"], ["scores"], name="attention"),
        make("Softmax", ["scores"], ["weights"]),
        make("MatMul", ["weights", "keys"], ["y"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:at], *head])
    channels = PLAIN.num_features
    queries = np.ones((80, channels), np.float32)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name)
        for name, value in {"flat": np.int64([0, channels, -1]), "queries": queries}.items()
    )
    model.graph.output[0].name = "y"


def test_an_lcnet_with_an_ml_decoder_is_refused_by_what_it_is():
    model = lcnet(random_weights(PLAIN), PLAIN)
    _ml_decoder(model)
    with pytest.raises(ModelFileError, match=r"^this is an LCNet with an ML-Decoder head, .* \(attention at attention\), not"):
        found_in(model)


def test_a_shortcut_around_a_block_is_its_successors():
    """PP-LCNetV2 has them, so that only the rest of the graph shows that this is none."""
    make = onnx.helper.make_node
    nodes = [
        make("Conv", ["x", "stem"], ["a"], pads=[1] * 4, strides=[2, 2]),
        make("Relu", ["a"], ["b"]),
        make("Conv", ["b", "dw"], ["c"], pads=[2] * 4, group=8),
        make("Relu", ["c"], ["d"]),
        make("Conv", ["d", "pw"], ["e"]),
        make("Relu", ["e"], ["f"]),
        make("Add", ["b", "f"], ["g"], name="around"),
    ]
    shapes = {"stem": (8, 3, 3, 3), "dw": (8, 1, 5, 5), "pw": (8, 8, 1, 1)}
    with pytest.raises(
        ModelFileError, match=r"^this is no LCNet: the graph's end stands where the mean of the last map was expected$"
    ):
        found_in(_graph(nodes, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}))


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([("QuantizeLinear", ["x", "s"], ["y"])], "a quantised network"),
        ([("LSTM", ["x", "w", "w"], ["y"])], "a network for text"),
        ([("Transpose", ["x"], ["y"])], r"no LCNet: y \(Transpose\) stands where the stem"),
        ([("Conv", ["x", "w"], ["y"])], "reads values that are no constant of floats|a kernel of the shape"),
        ([("Conv", ["x", "x"], ["y"])], "no constant"),
        ([("Mul", ["x"], ["y"])], r"no LCNet: y \(Mul\) stands where the stem"),
    ],
)
def test_graphs_that_are_nothing_like_it(nodes, words):
    made = [onnx.helper.make_node(*node) for node in nodes]
    with pytest.raises(ModelFileError, match=words):
        found_in(_graph(made, {"s": np.float32(1), "w": np.zeros((2, 2), np.int64)}))


def test_constants_that_would_grow_without_end():
    make = onnx.helper.make_node
    nodes = [make("Expand", ["one", "shape"], ["big"]), make("Add", ["x", "big"], ["y"])]
    with pytest.raises(ModelFileError, match="constants that do not fit it"):
        found_in(_graph(nodes, {"one": np.float32([1]), "shape": np.int64([1 << 20, 1 << 20])}))

"""ONNX files without onnx: the same nodes, attributes and arrays as onnx reads, and no file of anywhere else."""

import os

import numpy as np
import pytest

from lcnet.convert.onnx import read_onnx
from lcnet.errors import ModelFileError

onnx = pytest.importorskip("onnx", reason="onnx (extra: export) is not installed")

helper, F = onnx.helper, onnx.TensorProto.FLOAT


def model(nodes, tensors=(), inputs=("x",), outputs=("y",), shape=(1, 3, "h", None), **options):
    values = [helper.make_tensor_value_info(name, F, shape) for name in inputs]
    graph = helper.make_graph(
        nodes, "g", values, [helper.make_tensor_value_info(name, F, None) for name in outputs], list(tensors)
    )
    return helper.make_model(graph, **options)


def read(proto, folder=None):
    return read_onnx(proto.SerializeToString(), folder)


def identity(**attributes):
    return helper.make_node("Odd", ["x"], ["y"], name="n", **attributes)


ARRAYS = [
    np.float32([[1, -2.5], [3, 0]]),
    np.float64([1e300, 2]),
    np.float16([1, -0.5]),
    np.int64([-(2**63), 2**63 - 1]),
    np.int32([-1, 2]),
    np.int8([-1, 2]),
    np.uint8([255, 2]),
    np.array([True, False]),
    np.float32(7),
    np.zeros((0, 3), np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}-{a.shape}")
@pytest.mark.parametrize("raw", [True, False])
def test_arrays(array, raw):
    proto = onnx.numpy_helper.from_array(array, "w")
    if not raw:
        proto = helper.make_tensor("w", proto.data_type, array.shape, array.reshape(-1).tolist())
    node = helper.make_node("Add", ["x", "w"], ["y"])
    found = read(model([node], [proto])).graph.tensors["w"]
    assert found.dtype == array.dtype and found.shape == array.shape
    np.testing.assert_array_equal(found, onnx.numpy_helper.to_array(proto))


def test_bfloat16():
    proto = helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [3], np.float32([1.5, -2, 1e30]))
    found = read(model([helper.make_node("Add", ["x", "w"], ["y"])], [proto])).graph.tensors["w"]
    np.testing.assert_array_equal(found, onnx.numpy_helper.to_array(proto).astype(np.float32))


def test_nodes_attributes_sizes_and_what_the_file_says():
    attributes = {"i": 3, "f": 0.5, "s": "text", "ints": [1, -2], "floats": [0.5, 2.0]}
    proto = model(
        [identity(**attributes)], producer_name="p", producer_version="1", opset_imports=[helper.make_opsetid("", 13)]
    )
    helper.set_model_props(proto, {"character": "a\nb"})
    found = read(proto)
    (node,) = found.graph.nodes
    assert dict(node.attributes) == attributes
    assert (node.op, node.name, node.inputs, node.outputs) == ("Odd", "n", ("x",), ("y",))
    assert found.graph.inputs == {"x": (1, 3, None, None)}
    assert (found.metadata, found.producer, found.opset, found.files) == ({"character": "a\nb"}, "p 1", 13, {})


def test_constants_are_arrays_and_other_domains_are_others():
    constants = [
        helper.make_node("Constant", [], ["a"], value=onnx.numpy_helper.from_array(np.float32([1, 2]))),
        helper.make_node("Constant", [], ["b"], value_ints=[1, 2]),
        helper.make_node("Constant", [], ["c"], value_float=0.5),
    ]
    found = read(model([*constants, helper.make_node("Conv", ["x", "a"], ["y"], domain="com.example")]))
    assert {name: value.tolist() for name, value in found.graph.tensors.items()} == {"a": [1, 2], "b": [1, 2], "c": 0.5}
    assert [node.op for node in found.graph.nodes] == ["com.example.Conv"]


def test_initializers_among_the_inputs_of_old_files_are_no_inputs():
    proto = model(
        [helper.make_node("Add", ["x", "w"], ["y"])], [onnx.numpy_helper.from_array(np.float32([1]), "w")], ("x", "w")
    )
    assert list(read(proto).graph.inputs) == ["x"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.ClearField("graph"), "no ONNX model"),
        (lambda m: m.ClearField("opset_import"), "no ONNX model"),
        (lambda m: m.functions.add(), "functions of its own"),
        (lambda m: m.graph.node[0].input.append("nobody"), "reads nobody, which nothing before it makes"),
        (lambda m: m.graph.node.add(op_type="Relu", input=["x"], output=["y"]), "y, which is there already"),
        (lambda m: m.graph.output.add(name="z"), "the graph gives z"),
        (lambda m: m.graph.initializer[0].dims.append(3), "has 2 values, expected those of the shape"),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, -2), "expected those of the shape"),
        (lambda m: m.graph.initializer[0].dims.extend([1 << 40] * 40), "expected those of the shape"),
        (lambda m: setattr(m.graph.initializer[0], "data_type", 8), "data type 8"),
        (lambda m: setattr(m.graph.initializer[0], "raw_data", b"abc"), "no whole number of values"),
    ],
)
def test_damaged_files(change, words):
    weight = onnx.numpy_helper.from_array(np.float32([1, 2]), "w")
    proto = model([helper.make_node("Add", ["x", "w"], ["y"])], [weight])
    change(proto)
    with pytest.raises(ModelFileError, match=words):
        read(proto)


def external(folder, location, array=None, **entries):
    array = np.arange(6, dtype=np.float32) if array is None else array
    proto = onnx.TensorProto(name="w", data_type=F, dims=array.shape, data_location=onnx.TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        proto.external_data.add(key=key, value=str(value))
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [proto])


def test_external_data_as_onnx_reads_it(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(b"12345678" + np.arange(6, dtype="<f4").tobytes() + b"rest")
    proto = external(tmp_path, "sub/w.bin", offset=8, length=24)
    found = read(proto, tmp_path)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    expected = onnx.numpy_helper.to_array(onnx.load(tmp_path / "m.onnx").graph.initializer[0])
    np.testing.assert_array_equal(found.graph.tensors["w"], expected)
    assert list(found.files) == ["sub/w.bin"]


@pytest.mark.parametrize(
    ("location", "entries", "words"),
    [
        ("../w.bin", {}, "outside of its folder"),
        ("/etc/passwd", {}, "outside of its folder"),
        ("C:\\w.bin", {}, "outside of its folder"),
        ("", {}, "outside of its folder"),
        ("link.bin", {}, "no file in its folder"),
        ("pipe", {}, "no file in its folder"),
        (".", {}, "outside of its folder|no file in its folder"),
        ("none.bin", {}, "cannot be read"),
        ("w.bin", {"offset": 1}, "no whole number of values|expected those"),
        ("w.bin", {"offset": 20, "length": 24}, "lies outside of w.bin"),
        ("w.bin", {"offset": -4}, "expected a whole number"),
        ("w.bin", {"offset": "9" * 30}, "expected a whole number"),
        ("w.bin", {"length": "1e3"}, "expected a whole number"),
    ],
)
def test_external_data_of_elsewhere_or_damaged(tmp_path, location, entries, words):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(24))
    (folder / "w.bin").write_bytes(bytes(24))
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModelFileError, match=words):
        read(external(folder, location, **entries), folder)

"""Hostile, damaged and strange pickles: each is refused by name, quickly, and nothing in it is ever executed."""

import io
import os
import pickle
import struct
import sys
import time
import tracemalloc

import foreign
import numpy as np
import pytest
from foreign import FOUR, call, dictionary, in_containers, literal, name, program, refused, tensor, torch_zip

from lcnet.convert import load_state_dict
from lcnet.convert.tensors import CALLS, Storage, Storages
from lcnet.convert.unpickle import Placeholder, interpret
from lcnet.text import quoted


class Live:
    """Pickles into a call of `function`: executed by an ordinary unpickler."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, eval, exec], ids=["system", "eval", "exec"])
@pytest.mark.parametrize("place", ["root", "state_dict", "weight", "args"])
def test_calls_are_refused_by_name(tmp_path, canary, function, protocol, place):
    code = f"touch {canary}" if function is os.system else f"open({os.fspath(canary)!r}, 'w').close()"
    live = Live(function, code)
    good = {"x": FOUR}
    value = {"root": live, "state_dict": {"state_dict": live}, "weight": {"x": live}}.get(
        place, {"state_dict": good, "args": live}
    )
    data = pickle.dumps(value, protocol)
    bare, archive = in_containers(data)
    by_name = rf"calls (posix|builtins|__builtin__)\.{function.__name__}: refused"
    refused(tmp_path, archive, by_name)
    refused(tmp_path, bare, by_name if protocol >= 2 else "no checkpoint that `lcnet convert` reads")
    assert not canary.exists()
    pickle.loads(data)
    assert canary.exists(), "the payload was not live"


SYSTEM, ARGS = name("posix", "system"), literal(("true",))
REFUSED = {
    "getattr chain": (call("builtins", "getattr", SYSTEM, literal("__call__")), r"calls builtins\.getattr"),
    "import": (call("importlib", "import_module", literal("os")), r"calls importlib\.import_module"),
    "nested load": (call("torch.storage", "_load_from_bytes", literal(b"x")), r"calls torch\.storage\._load_from"),
    "torch.load": (call("torch", "load", literal("x")), r"calls torch\.load"),
    "numpy.load": (call("numpy", "load", literal("x")), r"calls numpy\.load"),
    "popen": (call("subprocess", "Popen", literal(["true"])), r"calls subprocess\.Popen"),
    "partial": (call("functools", "partial", SYSTEM), r"calls functools\.partial"),
    "dotted": (call("collections", "OrderedDict.fromkeys", literal("ab")), r"calls collections\.OrderedDict\.fromkeys"),
    "inst": (b"(" + literal("true") + b"iposix\nsystem\n", r"calls posix\.system"),
    "obj": (b"(" + SYSTEM + literal("true") + b"o", r"calls posix\.system"),
    "stack global": (literal("posix") + literal("system") + b"\x93" + ARGS + b"R", r"calls posix\.system"),
    "control characters": (call("posix", "\x1b[31m\x07" + "x" * 500), r"calls posix\.\\x1b\[31m\\x07"),
    "call of an object": (SYSTEM + b")\x81" + ARGS + b"R", r"(calls something|this is) an object of class posix\.system"),
    "call of a text": (literal("f") + literal(()) + b"R", "calls something of type str"),
    "arguments are no tuple": (SYSTEM + literal("true") + b"R", "of type str where a tuple is expected"),
    "state of a text": (literal("f") + literal({"a": 1}) + b"b", "sets the state of something of type str"),
    "state of a list": (literal([]) + literal({"a": 1}) + b"b", "sets the state of something of type list"),
    "state of a tensor": (tensor() + literal({"__class__": 1}) + b"b", "sets the state of something of type Tensor"),
    "state of a class": (SYSTEM + literal({"a": 1}) + b"b", r"sets the state of something the name posix\.system"),
    "items of a text": (literal("f") + literal(1) + b"a", "of type str where a list is expected"),
    "entries of a list": (literal([]) + literal("k") + literal(1) + b"s", "of type list where a dict is expected"),
    "object of a text": (literal("f") + literal(()) + b"\x81", "makes an object of something of type str"),
    "names without text": (literal(1) + literal(2) + b"\x93", "names something by a value that is no text"),
    "extension": (b"\x82\x01", "uses EXT1"),
    "outside buffer": (b"\x97", "uses NEXT_BUFFER"),
    "text persistent id": (b"Pfile:///etc/passwd\n", "uses PERSID"),
    "tuple key": (b"}" + literal((1,)) + literal(1) + b"s", "dictionary key of type tuple"),
    "negated view": (tensor(flags=literal({"neg": True})), r"calls torch\._utils\._rebuild_tensor_v2 with arguments"),
    "huge integer key": (b"}" + literal(1 << 4000) + literal(1) + b"s", "dictionary key of type int"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_strange_opcodes_are_refused(tmp_path, case):
    opcodes, match = REFUSED[case]
    for place in (program(opcodes), program(dictionary(state_dict=dictionary(x=tensor()), args=opcodes))):
        refused(tmp_path, torch_zip(place, {"0": FOUR.tobytes()}), match)


FLOATS = name("torch", "FloatStorage")


def persistent_id(tag="storage", kind=FLOATS, key="0", count=4, more=b""):
    return b"(" + literal(tag) + kind + literal(key) + literal("cpu") + literal(count) + more + b"t"


STRANGE_IDS = (
    literal("0"),
    literal(("storage", "FloatStorage", "0", "cpu", 4)),
    persistent_id(tag="module"),
    persistent_id(kind=literal("torch.FloatStorage")),
    persistent_id(key=0),
    persistent_id(count=-1),
    persistent_id(count=True),
    persistent_id(more=literal(("view", 0, 4))),
    persistent_id(more=literal(None) * 2),
)


@pytest.mark.parametrize("pid", STRANGE_IDS)
def test_strange_persistent_ids_are_refused(tmp_path, pid):
    refused(tmp_path, torch_zip(program(pid + b"Q"), {}), "persistent id that is no torch storage")


def test_persistent_ids_outside_torch_are_refused(tmp_path):
    refused(tmp_path, program(tensor()), "persistent id, which only torch checkpoints have")


def test_nothing_that_is_named_gets_imported(tmp_path, monkeypatch):
    (tmp_path / "lcnet_bait.py").write_text("class Thing:\n    def __setstate__(self, state):\n        raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    thing = name("lcnet_bait", "Thing") + b")\x81" + literal({"a": 1}) + b"b"
    data = torch_zip(
        program(dictionary(state_dict=dictionary(x=tensor()), args=thing, cls=name("lcnet_bait", "Thing"))),
        {"0": FOUR.tobytes()},
    )
    (tmp_path / "a.pth").write_bytes(data)
    np.testing.assert_array_equal(load_state_dict(tmp_path / "a.pth")["x"], FOUR)
    assert "lcnet_bait" not in sys.modules


def test_objects_keep_their_class_name_only():
    made = name("a.b", "C") + b")\x81"
    filled = made + literal({"x": 1}) + b"b" + literal(5) + b"a" + literal("k") + literal(5) + b"s"
    assert interpret(io.BytesIO(program(filled)), CALLS) == Placeholder("a.b.C")


def test_objects_where_tensors_are_needed_are_refused(tmp_path):
    thing = name("torch.nn", "Module") + b")\x81"
    archives = {
        r"this is an object of class torch\.nn\.Module, saved whole: where it loads, torch\.save\(model\.state_dict": thing,
        r"state_dict is an object of class torch\.nn\.Module": dictionary(state_dict=thing),
        r"x is an object of class torch\.nn\.Module, expected a tensor": dictionary(x=thing),
        "x is of type int, expected a tensor": dictionary(x=literal(5)),
        "a tensor's name is of type int": b"}" + literal(5) + tensor() + b"s",
    }
    for match, opcodes in archives.items():
        refused(tmp_path, torch_zip(program(opcodes), {"0": FOUR.tobytes()}), match)


def test_state_of_a_dictionary_cannot_shadow_its_methods(tmp_path):
    od = call("collections", "OrderedDict") + literal("x") + tensor() + b"s" + dictionary(items=SYSTEM, get=SYSTEM) + b"b"
    (tmp_path / "a.pth").write_bytes(torch_zip(program(od), {"0": FOUR.tobytes()}))
    np.testing.assert_array_equal(load_state_dict(tmp_path / "a.pth")["x"], FOUR)


VIEWS = {
    "beyond the end": tensor((2,), (1,), 3),
    "offset beyond the end": tensor((0,), (1,), 5),
    "long stride": tensor((2,), (4,)),
    "expanded": tensor((1000, 1000, 1000), (0, 0, 0)),
    "overflowing": tensor((1 << 40, 1 << 40), (1 << 40, 1)),
}


@pytest.mark.parametrize("case", VIEWS)
def test_views_beyond_their_storage_are_refused(tmp_path, case):
    data = torch_zip(program(dictionary(x=VIEWS[case])), {"0": FOUR.tobytes()})
    refused(tmp_path, data, "x: has shape .*do not fit into 4 stored values")


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        ((-1,), (1,), 0),
        ((2,), (-1,), 3),
        ((2,), (1,), -1),
        ((2,), (1, 1), 0),
        ((True,), (1,), 0),
        ([2], [1], 0),
        ((1,) * 9, (1,) * 9, 0),
        ((2.0,), (1,), 0),
        ("ab", "ab", 0),
    ],
)
def test_views_that_are_none_are_refused(tmp_path, shape, stride, offset):
    data = torch_zip(program(dictionary(x=tensor(shape, stride, offset))), {"0": FOUR.tobytes()})
    refused(tmp_path, data, r"calls torch\._utils\._rebuild_tensor_v2 with arguments that do not fit")


def test_storages_that_lie_are_refused(tmp_path, monkeypatch):
    one = program(dictionary(x=tensor()))
    refused(tmp_path, torch_zip(one, {"1": FOUR.tobytes()}), "x: archive/data/0 of the archive is missing")
    refused(tmp_path, torch_zip(one, {"0": FOUR.tobytes()[:-1]}), "x: needs 16 bytes in storage 0, which has 15")
    complex_ = program(dictionary(x=tensor(kind="ComplexFloatStorage")))
    refused(tmp_path, torch_zip(complex_, {"0": FOUR.tobytes()}), r"x: has values of type torch\.ComplexFloatStorage")
    monkeypatch.setattr("lcnet.convert.checkpoint.MAX_BYTES", 1 << 20)
    many = program(dictionary(**{f"x{i}": tensor((1 << 10,), count=1 << 10) for i in range(257)}))
    refused(tmp_path, torch_zip(many, {"0": bytes(4 << 10)}), "share their values and take more than 1 MiB")


def _arrays(**arrays):
    return pickle.dumps(arrays, 4)


def test_arrays_of_anything_but_numbers_are_refused(tmp_path, canary):
    objects = np.array([Live(os.mkdir, os.fspath(canary))], dtype=object)
    refused(tmp_path, _arrays(x=objects), r"calls posix\.mkdir")
    assert not canary.exists()
    refused(tmp_path, _arrays(x=np.array([{}], dtype=object)), "x: is an array of numpy type O8, .* objects are refused")
    refused(tmp_path, _arrays(x=np.array(["a"])), "x: is an array of numpy type U1")
    refused(tmp_path, _arrays(x=np.zeros(2, "f4,i8")), "x: is an array of numpy type V12")
    refused(tmp_path, _arrays(x=np.zeros(2, complex)), "x: is an array of numpy type c16")
    refused(tmp_path, _arrays(x=np.zeros(2, "M8[s]")), "x: is an array of numpy type M8")
    refused(tmp_path, _arrays(x=np.float32(3)), r"x is an object of class numpy\.generic, expected a tensor")


def test_arrays_that_lie_are_refused(tmp_path):
    good = _arrays(x=np.zeros((3, 4), np.float32))
    assert good.count(b"K\x03K\x04") == 1
    bad = good.replace(b"K\x03K\x04", b"K\x03K\x05")
    refused(tmp_path, bad, r"x: has shape \[3, 5\], which takes 60 bytes, but there are 48")
    code = good.replace(b"\x8c\x02f4", b"\x8c\x02O8")
    refused(tmp_path, code, "x: is an array of numpy type O8")


def test_a_storage_is_read_once():
    reads = []

    def fetch(storage):
        reads.append(storage)
        return FOUR.tobytes()

    views = interpret(io.BytesIO(program(b"(" + tensor() + tensor((2,), (2,)) + b"t")), CALLS, Storage.from_id)
    storages = Storages(fetch)
    assert [v.to_array(storages).tolist() for v in views] == [[0, 1, 2, 3], [0, 2]]
    assert len(reads) == 1


def test_marks_can_be_popped():
    assert interpret(io.BytesIO(program(b"}(0")), CALLS) == {}
    assert interpret(io.BytesIO(program(b"}((NN1N1")), CALLS) == {}


@pytest.mark.parametrize("text", ["\x1b" * 200, "é" * 200, "x" * 81, "'\"\\" * 50])
def test_quoted_texts_are_short_and_printable(text):
    assert len(quoted(text)) == 80
    assert quoted(text).isascii()
    assert quoted(text).isprintable()


def test_deep_nesting_is_no_recursion(tmp_path):
    depth = 50_000
    lists = b"]" * depth + b"a" * (depth - 1)
    tuples = b")" + b"\x85" * depth
    for nested in (lists, tuples):
        data = program(dictionary(state_dict=dictionary(x=tensor()), args=nested))
        (tmp_path / "a.pth").write_bytes(torch_zip(data, {"0": FOUR.tobytes()}))
        np.testing.assert_array_equal(load_state_dict(tmp_path / "a.pth")["x"], FOUR)
        refused(tmp_path, program(nested), "the checkpoint is of type (list|tuple), expected a dictionary")


@pytest.mark.alone
def test_sharing_bombs_are_never_walked(tmp_path):
    doubled = b")" + b"2\x86" * 200  # a tuple of twice the one before, 200 times over
    start = time.perf_counter()
    for place in (dictionary(state_dict=dictionary(x=doubled)), call("torch", "Size", doubled), doubled):
        refused(tmp_path, program(place), "is of type tuple")
    for args in (doubled + literal((1,)), literal((1,)) + doubled):
        bad = call("torch._utils", "_rebuild_tensor_v2", foreign.storage(), literal(0), args, literal(False), literal({}))
        refused(tmp_path, torch_zip(program(bad), {}), "arguments that do not fit")
    refused(tmp_path, program(call("numpy", "dtype", doubled)), r"calls numpy\.dtype with arguments")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "opcodes",
    [
        literal(1) + b"r\xff\xff\xff\xff" + b"0",  # a memo of 2^32 entries
        b"\x95" + struct.pack("<Q", 1 << 60),  # a frame
    ],
    ids=["memo", "frame"],
)
def test_sizes_that_a_pickle_claims_cost_nothing(tmp_path, opcodes):
    (tmp_path / "a.pdparams").write_bytes(program(opcodes, dictionary()))
    tracemalloc.start()
    assert load_state_dict(tmp_path / "a.pdparams") == {}
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x8e" + struct.pack("<Q", 1 << 60) + b"x",
        b"\x8d" + struct.pack("<Q", 1 << 40) + b"x",
        b"\x96" + struct.pack("<Q", (1 << 64) - 1) + b"x",
        b"B\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\xff",
        b"I" + b"9" * 5000 + b"\n",
        b"h\x07",
        b"0",
        b"t",
        b"u",
        b"a",
        b"R",
        b"\x93",
        b"b",
        b"(u",
        b"\xff",
        b"",
        b"X\x01\x00\x00\x00\xff",
    ],
)
def test_damaged_pickles_are_refused(tmp_path, opcodes):
    for data in in_containers(b"\x80\x04" + opcodes):
        refused(tmp_path, data, "the pickle is damaged or cut short")


def test_endless_pickles_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lcnet.convert.unpickle.MAX_STEPS", 1000)
    refused(tmp_path, program(b"N0" * 501), "more than 1000 steps")
    (tmp_path / "a.pth").write_bytes(program(b"N0" * 400, b"}"))
    assert load_state_dict(tmp_path / "a.pth") == {}

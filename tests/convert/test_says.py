"""What a training checkpoint says of its preprocessing is taken as timm takes it; what nobody says is told, value by value."""

import argparse
import json
import tracemalloc
import types

import foreign
import numpy as np
import pytest
from click.testing import CliRunner
from foreign import dictionary, literal, name, program, tensor, torch_zip
from weights import random_weights

from lcnet import modelfile
from lcnet.arch import Arch
from lcnet.cli import main
from lcnet.config import Preprocessing
from lcnet.convert import convert, load_state_dict
from lcnet.errors import ModelFileError
from lcnet.modelfile.assumed import FIELDS

pytestmark = pytest.mark.slow

SMALL = Arch(0.35, num_classes=3)
NOTE = {
    "input_size": "input_size 224x224",
    "interpolation": "interpolation bilinear",
    "crop_pct": "crop_pct 0.875",
    "crop_mode": "crop_mode center",
    "mean": "mean 0.485,0.456,0.406",
    "std": "std 0.229,0.224,0.225",
}


@pytest.fixture
def save(torch, tmp_path):
    """Write a training checkpoint with these arguments; return its path."""

    def write(args, arch=SMALL, **more):
        state = {k: torch.tensor(v) for k, v in random_weights(arch).items()}
        path = tmp_path / "last.pth.tar"
        torch.save({"epoch": 3, "arch": arch.name, "state_dict": state, "version": 2, "args": args, **more}, path)
        return path

    return write


def trained(**values):
    """The arguments of timm's train.py that matter, at their defaults (None), and some that do not."""
    plain = dict.fromkeys(("img_size", "input_size", "crop_pct", "mean", "std", "interpolation", "gp", "bn_eps", "in_chans"))
    return {**plain, "model": "lcnet_035", "lr": 0.1, "aug_splits": 0, "model_kwargs": {}, "amp": False, **values}


SAID = {
    "nothing": {},
    "img_size": {"img_size": 96},
    "input_size": {"input_size": [3, 64, 96], "img_size": 32},
    "statistics": {"mean": (0.5, 0.4, 0.3), "std": [0.1, 0.2, 0.3]},
    "one for all": {"mean": [0.5], "std": (0.25,)},
    "crop": {"crop_pct": 0.95, "crop_mode": "squash"},
    "filter": {"interpolation": "bicubic"},
    "falsy": {"interpolation": "", "crop_pct": 0.0, "crop_mode": ""},
    "all": {
        "img_size": 128,
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "crop_pct": 1,
        "crop_mode": "border",
        "interpolation": "lanczos",
    },
}


@pytest.mark.parametrize("case", SAID)
@pytest.mark.parametrize("kind", [argparse.Namespace, types.SimpleNamespace, dict], ids=lambda k: k.__name__)
def test_preprocessing_is_what_timm_would_use(save, timm, tmp_path, case, kind):
    args = trained(**SAID[case])
    found = convert(save(kind(**args)), tmp_path / "out.safetensors").config
    assert modelfile.read(tmp_path / "out.safetensors").config == found
    expected = timm.data.resolve_data_config(args, model=timm.create_model("lcnet_035", num_classes=3))
    assert {key: getattr(found.preprocessing, key) for key in FIELDS} == {key: expected[key] for key in FIELDS}
    said = {key for key, value in SAID[case].items() if value} - {"img_size"}
    said |= {"input_size"} if "img_size" in SAID[case] else set()
    assert found.provenance.get("assumed", []) == [key for key in FIELDS if key not in said]
    note = found.provenance.get("note", "")
    assert all((NOTE[key] in note) == (key not in said) for key in FIELDS)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "before-1.6"])
def test_a_namespace_in_every_container(torch, tmp_path, options):
    state = {k: torch.tensor(v) for k, v in random_weights(SMALL).items()}
    torch.save({"state_dict": state, "args": argparse.Namespace(mean=(0.1, 0.2, 0.3))}, tmp_path / "a.pth", **options)
    assert convert(tmp_path / "a.pth", tmp_path / "out").config.preprocessing.mean == (0.1, 0.2, 0.3)


def test_other_channels(save, tmp_path):
    arch = Arch(0.35, 1, 3)
    path = save(argparse.Namespace(**trained(img_size=64, mean=[0.4])), arch)
    assert convert(path, tmp_path / "out").config.preprocessing == Preprocessing(
        (1, 64, 64), "bilinear", mean=(0.4,), std=(0.5,)
    )


@pytest.mark.parametrize(
    ("args", "size"),
    [
        ({"input_size": 96}, (96, 96)),
        ({"img_size": [64, 96]}, (64, 96)),
        ({"img_size": (64,)}, (64, 64)),
        ({"input_size": [64, 96]}, (64, 96)),
    ],
)
def test_sizes_as_other_projects_say_them(save, tmp_path, args, size):
    config = convert(save(argparse.Namespace(**args, mean=0.5)), tmp_path / "out").config
    assert config.preprocessing.input_size == (3, *size) and config.preprocessing.mean == (0.5, 0.5, 0.5)


def test_the_epsilon_is_taken_and_options_of_other_networks_are_refused(save, tmp_path):
    assert convert(save(argparse.Namespace(**trained(bn_eps=1e-3))), tmp_path / "out").config.bn_eps == 1e-3
    for args, match in (
        (trained(gp="max"), "args has global_pool='max', expected 'avg'"),
        (trained(model_kwargs={"act_layer": "relu"}), "args has act_layer='relu', expected 'hard_swish'"),
    ):
        with pytest.raises(ModelFileError, match=match):
            convert(save(argparse.Namespace(**args)), tmp_path / "none")


def test_the_order_of_who_is_believed(save, tmp_path):
    """Options, --name, the checkpoint, config.json, defaults."""
    path = save(argparse.Namespace(**trained(img_size=96, crop_pct=0.9)))
    cfg = {"input_size": [3, 160, 160], "crop_pct": 0.8, "interpolation": "nearest"}
    described = {"architecture": "lcnet_035", "num_classes": 3, "label_names": ["a", "b", "c"], "pretrained_cfg": cfg}
    (tmp_path / "config.json").write_text(json.dumps(described))
    config = convert(path, tmp_path / "o", preprocessing={"crop_pct": 0.7}).config
    assert config.preprocessing == Preprocessing((3, 96, 96), "nearest", 0.7)
    assert config.labels.names == ("a", "b", "c")
    assert config.provenance["assumed"] == ["crop_mode", "mean", "std"]
    named = convert(path, tmp_path / "p", name="lcnet_035", preprocessing={"crop_pct": 0.7}).config
    assert named.preprocessing == Preprocessing(interpolation="bilinear", crop_pct=0.7)
    assert "note" not in named.provenance


def test_what_is_assumed_stays_said_until_it_is_chosen(save, tmp_path):
    first = convert(save({"img_size": 96}), tmp_path / "a.safetensors", labels=["a", "b", "c"]).config
    assert first.provenance["assumed"] == list(FIELDS[1:])
    same = convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors").config
    assert (same.provenance["assumed"], same.provenance["note"]) == (first.provenance["assumed"], first.provenance["note"])
    chosen = {"mean": [0.5], "std": [0.5], "crop_pct": 1.0, "crop_mode": "squash"}
    config = convert(tmp_path / "b.safetensors", tmp_path / "c.safetensors", preprocessing=chosen).config
    assert config.provenance["note"] == "assumed, as nothing says otherwise: interpolation bilinear"
    config = convert(tmp_path / "c.safetensors", tmp_path / "d", preprocessing={"interpolation": "box"}).config
    assert "note" not in config.provenance and "assumed" not in config.provenance


def test_labels_of_imagenet_are_assumed_and_said(tmp_path):
    arch = Arch(0.25)
    (tmp_path / "a.pdparams").write_bytes(foreign.pdparams(foreign.paddle_arrays(random_weights(arch))))
    config = convert(tmp_path / "a.pdparams", tmp_path / "out").config
    assert config.labels.names[0] == "tench, Tinca tinca"
    assert "std 0.229,0.224,0.225, labels of ImageNet-1k; a .pdparams says neither strides nor" in config.provenance["note"]
    config = convert(tmp_path / "a.pdparams", tmp_path / "p", labels=[str(i) for i in range(1000)]).config
    assert "labels" not in config.provenance["note"] and config.labels.names[0] == "0"


def run(*args):
    done = CliRunner().invoke(main, ["convert", *map(str, args)])
    return done.exit_code, done.output


def test_the_command_prints_the_note_and_takes_every_option(save, tmp_path):
    path = save(argparse.Namespace(**trained(img_size=96, interpolation="random")))
    (tmp_path / "names.txt").write_text("0 cat\n1 dog\n2 cow\n")
    labels = ("--labels", tmp_path / "names.txt")
    code, said = run(path, tmp_path / "x", *labels)
    assert code == 4 and "preprocessing.interpolation is 'random', expected nearest or" in said
    code, said = run(path, tmp_path / "out", *labels, "--interpolation", "bicubic")
    assert code == 0 and "3 classes, labelled" in said
    assert f"note: assumed, as nothing says otherwise: {', '.join(NOTE[k] for k in FIELDS[2:])}\n" in said
    options = (
        "--input-size",
        "64x96",
        "--mean",
        "0.5",
        "--std",
        ".1, .2,.3",
        "--crop-pct",
        "1",
        "--crop-mode",
        "border",
        "--interpolation",
        "box",
    )
    code, said = run(path, tmp_path / "out", *labels, *options, "--overwrite")
    assert code == 0 and "note" not in said
    config = modelfile.read(tmp_path / "out").config
    assert config.preprocessing == Preprocessing((3, 64, 96), "box", 1.0, "border", (0.5, 0.5, 0.5), (0.1, 0.2, 0.3))
    assert config.labels.names == ("cat", "dog", "cow")


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("--input-size", "64x", "expected height x width, such as 224x224"),
        ("--input-size", "1x2x3", "expected height x width"),
        ("--input-size", "\u0663", "expected height x width"),
        ("--input-size", "0", r"preprocessing.input_size is"),
        ("--mean", "a", "expected such as 0.5 or 0.485,0.456,0.406"),
        ("--mean", "1,2", "preprocessing.mean is (1.0, 2.0), expected 3 numbers"),
        ("--mean", "", "preprocessing.mean is (), expected 3 numbers"),
        ("--mean", "nan", "expected 3 numbers"),
        ("--std", "0", "expected 3 numbers above 0"),
        ("--crop-pct", "9", "is not in the range"),
        ("--crop-mode", "centre", "is not one of 'center'"),
    ],
)
def test_options_that_cannot_be(save, tmp_path, option, value, match):
    code, said = run(save({}), tmp_path / "out", option, value)
    assert code != 0 and match in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()


NAMESPACE = name("argparse", "Namespace") + b")\x81"
HOSTILE = {
    "a nested bomb": (b"}" + literal("mean") + b")" + b"2\x86" * 200 + b"s", "preprocessing.mean|args.mean is"),
    "a huge number": (literal({"crop_pct": 1 << 5000}), "args.crop_pct is of type int"),
    "a huge text": (literal({"interpolation": "x" * 5000}), "args.interpolation is of type str"),
    "a text for numbers": (literal({"mean": "0.5"}), "args.mean is of type str, expected numbers: say it with --mean"),
    "too many numbers": (literal({"std": [0.5] * 5000}), "args.std is of type list, expected numbers"),
    "an object": (dictionary(img_size=name("a.b", "C") + b")\x81"), r"a\.b\.C, expected numbers: say it with --input-size"),
    "a size of text": (literal({"img_size": ["\x1b[31m"]}), r"preprocessing.input_size is \(3, '\\x1b"),
    "nested options": (b"}" + literal("model_kwargs") + b"}" + literal("x") + b")" + b"2\x86" * 200 + b"ss", "args.x is"),
    "an option's name": (literal({"model_kwargs": {"\x1b[31m" * 99: 1}}), "args has .*no such option"),
    "an epsilon of text": (literal({"bn_eps": "x"}), "bn_eps is 'x'"),
}


@pytest.fixture(scope="module")
def archive():
    """A function: the opcodes of a state -> the bytes of a checkpoint with arguments of that state."""
    weights = random_weights(SMALL)
    entries, storages, count = b"", {}, 0
    for key, value in weights.items():
        strides = tuple(int(np.prod(value.shape[i + 1 :])) for i in range(value.ndim))
        entries += literal(key) + tensor(value.shape, strides, key=str(count), count=value.size)
        storages[str(count)], count = value.tobytes(), count + 1
    state = b"}(" + entries + b"u"
    return lambda args: torch_zip(program(dictionary(state_dict=state, args=args)), storages)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_arguments_are_refused_in_one_line(archive, tmp_path, case):
    opcodes, match = HOSTILE[case]
    (tmp_path / "a.pth").write_bytes(archive(NAMESPACE + opcodes + b"b"))
    with pytest.raises(ModelFileError, match=match) as caught:
        convert(tmp_path / "a.pth", tmp_path / "out")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1200
    load_state_dict(tmp_path / "a.pth")  # which asks for the weights alone


@pytest.mark.parametrize(
    ("opcodes", "match"),
    [
        (NAMESPACE + literal([1]) + b"b", "the pickle is damaged or cut short .a dictionary is needed"),
        (NAMESPACE + literal("k") + literal(1) + b"s", "fills something .* where a dict is expected"),
        (NAMESPACE + dictionary(mean=foreign.call("posix", "system", literal("true"))) + b"b", r"calls posix\.system: refused"),
        (foreign.call("argparse", "Namespace", literal(1)), r"calls argparse\.Namespace: refused"),
        (foreign.call("types", "SimpleNamespace", literal(1)), r"types\.SimpleNamespace with arguments that do not fit"),
    ],
)
def test_a_namespace_is_filled_in_one_way_only(archive, tmp_path, opcodes, match):
    (tmp_path / "a.pth").write_bytes(archive(opcodes))
    with pytest.raises(ModelFileError, match=match):
        load_state_dict(tmp_path / "a.pth")


def test_namespaces_share_their_state(archive, tmp_path):
    """A hundred thousand of them with one large state cost no more than the state."""
    state = literal({f"k{i}": i for i in range(20_000)}) + b"q\x070"
    many = b"(" + (NAMESPACE + b"h\x07b") * 100_000 + b"l"
    (tmp_path / "a.pth").write_bytes(archive(dictionary(x=state + many)))
    tracemalloc.start()
    load_state_dict(tmp_path / "a.pth")
    assert tracemalloc.get_traced_memory()[1] < 1 << 27
    tracemalloc.stop()

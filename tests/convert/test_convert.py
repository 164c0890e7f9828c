"""Conversion: timm and PaddleClas checkpoints become model files with equal values, and nothing else does."""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import foreign
import numpy as np
import pytest
from foreign import assert_equal
from weights import random_weights

from lcnet import modelfile
from lcnet.arch import WIDTHS, Arch
from lcnet.config import ModelConfig, Preprocessing
from lcnet.convert import convert, load_state_dict, read_labels
from lcnet.errors import InputError, ModelFileError
from lcnet.modelfile.assumed import FIELDS

SMALL = Arch(0.25, num_classes=5)


@pytest.fixture(scope="session")
def state(timm, torch):
    """State dict of timm's lcnet_050 with five classes, every tensor random."""
    torch.manual_seed(0)
    model = timm.create_model("lcnet_050", num_classes=5)
    return {
        k: torch.randint(0, 1000, ()) if v.dtype == torch.int64 else torch.rand_like(v) for k, v in model.state_dict().items()
    }


@pytest.fixture
def training(state, torch):
    """A checkpoint as timm's trainer saves it; the averaged weights differ from the others by one."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    args = argparse.Namespace(lr=0.1, output=pathlib.PurePosixPath("runs"), device=torch.device("cpu"), mean=(1, 2))
    return {
        "epoch": 3,
        "arch": "lcnet_050",
        "version": 2,
        "args": args,
        "metric": np.float64(63.1),
        "optimizer": optimizer.state_dict(),
        "seen": {1, 2},
        "dtype": torch.float16,
        "state_dict": state,
        "state_dict_ema": {k: v + 1 for k, v in state.items()},
    }


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "before-1.6"])
def test_plain_state_dict_as_torch_loads_it(state, torch, tmp_path, options):
    torch.save(state, tmp_path / "model.pth", **options)
    assert_equal(load_state_dict(tmp_path / "model.pth"), torch.load(tmp_path / "model.pth", weights_only=True))


def test_module_state_dict_with_metadata(timm, tmp_path, torch):
    model = timm.create_model("lcnet_050", num_classes=5)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    assert_equal(load_state_dict(tmp_path / "pytorch_model.bin"), model.state_dict())


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "before-1.6"])
@pytest.mark.parametrize("use_ema", [True, False])
def test_training_checkpoint(training, torch, tmp_path, use_ema, options):
    torch.save(training, tmp_path / "last.pth.tar", **options)
    expected = training["state_dict_ema" if use_ema else "state_dict"]
    assert_equal(load_state_dict(tmp_path / "last.pth.tar", use_ema=use_ema), expected)


@pytest.mark.parametrize(
    ("keys", "use_ema", "taken"),
    [
        (("state_dict", "model_ema"), True, "model_ema"),
        (("model", "model_ema", "state_dict_ema"), True, "state_dict_ema"),
        (("model", "state_dict"), True, "state_dict"),
        (("model", "model_ema"), False, "model"),
    ],
)
def test_search_order(torch, tmp_path, keys, use_ema, taken):
    torch.save({k: {"x": torch.full((2,), float(i))} for i, k in enumerate(keys)}, tmp_path / "a.pth")
    assert load_state_dict(tmp_path / "a.pth", use_ema)["x"][0] == keys.index(taken)


def test_absent_average_falls_back(torch, tmp_path):
    torch.save({"state_dict": {"x": torch.ones(2)}, "state_dict_ema": None}, tmp_path / "a.pth")
    assert_equal(load_state_dict(tmp_path / "a.pth"), {"x": np.ones(2, np.float32)})


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_as_timm_strips_them(timm, torch, tmp_path, prefix):
    torch.save({f"{prefix}{key}": torch.ones(2) for key in ("conv_stem.weight", "y.module.z")}, tmp_path / "a.pth")
    expected = timm.models.load_state_dict(str(tmp_path / "a.pth"))
    assert set(expected) == {"conv_stem.weight", "y.module.z"}
    assert_equal(load_state_dict(tmp_path / "a.pth"), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("container", ["pth", "safetensors"])
def test_other_float_types_become_float32(torch, tmp_path, dtype, container):
    values = {"x": torch.randn(3, 4).to(getattr(torch, dtype)), "n.num_batches_tracked": torch.tensor(7)}
    path = tmp_path / f"a.{container}"
    if container == "pth":
        torch.save(values, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(values, path)
    assert_equal(load_state_dict(path), values)


def test_views_keep_their_strides_and_offsets(torch, tmp_path):
    base = torch.arange(60.0).reshape(3, 4, 5)
    values = {
        "transposed": base.permute(2, 0, 1),
        "sliced": base[1:, ::2, 1:4],
        "channels_last": base[None].to(memory_format=torch.channels_last),
        "scalar": base[1, 2, 3],
        "empty": base[:0],
        "parameter": torch.nn.Parameter(base[0].T),
        "same": base,
    }
    torch.save(values, tmp_path / "a.pth")
    assert not values["sliced"].is_contiguous()
    found = load_state_dict(tmp_path / "a.pth")
    assert_equal(found, values)
    assert all(v.flags.c_contiguous for v in found.values())


def test_big_endian_storages(tmp_path):
    values = np.arange(4, dtype=">f4")
    data = foreign.torch_zip(foreign.program(foreign.dictionary(x=foreign.tensor())), {"0": values.tobytes()}, byteorder=b"big")
    (tmp_path / "a.pth").write_bytes(data)
    np.testing.assert_array_equal(load_state_dict(tmp_path / "a.pth")["x"], values)


def test_counters_that_averaging_made_floats(torch, tmp_path):
    values = {"bn1.num_batches_tracked": torch.tensor([7.5]), "y.num_batches_tracked": torch.tensor(float("nan"))}
    torch.save(values, tmp_path / "a.pth")
    found = load_state_dict(tmp_path / "a.pth")
    assert_equal(found, {"bn1.num_batches_tracked": np.array(7), "y.num_batches_tracked": np.array(0)})


def test_timm_loads_the_converted_file(timm, state, torch, tmp_path):
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "in.pth")
    names = [f"kind {i}" for i in range(5)]
    written = convert(tmp_path / "in.pth", tmp_path / "out.safetensors", labels=names)
    model = timm.create_model("lcnet_050", num_classes=5, checkpoint_path=str(tmp_path / "out.safetensors"))
    assert_equal(written.weights, state)
    assert_equal(written.weights, model.state_dict())
    read = modelfile.read(tmp_path / "out.safetensors")
    assert read.config == written.config
    assert read.config.labels.names == tuple(names)
    digest = hashlib.sha256((tmp_path / "in.pth").read_bytes()).hexdigest()
    origin = {
        "source": "in.pth",
        "file": "in.pth",
        "sha256": digest,
        "format": "torch",
        "key": "state_dict",
        "prefix": "module.",
    }
    assumed = {"assumed": list(FIELDS), "note": read.config.provenance["note"]}
    assert read.config.provenance == origin | assumed


def test_numpy_reference_is_timms_network(timm, torch, rng):
    arch = Arch(0.5, num_classes=5)
    weights = random_weights(arch)
    model = timm.create_model("lcnet_050", num_classes=5).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    x = rng.standard_normal((2, 3, 65, 47)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(foreign.forward(weights, arch, x), expected, atol=1e-4)


def test_torch_is_not_needed(torch, state, tmp_path):
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=1)}, tmp_path / "in.pth")
    code = "import sys; sys.modules['torch'] = None; from lcnet.convert import convert; convert(*sys.argv[1:])"
    command = [sys.executable, "-c", code, tmp_path / "in.pth", tmp_path / "out.safetensors"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert_equal(modelfile.read(tmp_path / "out.safetensors").weights, state)


def test_our_own_file_in_half_precision_keeps_its_description(torch, tmp_path):
    config = ModelConfig(SMALL, Preprocessing((3, 64, 64), crop_pct=1.0), provenance={"source": "my photos"})
    modelfile.write(tmp_path / "a.safetensors", modelfile.ModelFile(config, random_weights(SMALL)))
    safetensors = pytest.importorskip("safetensors.torch")
    with pytest.importorskip("safetensors").safe_open(tmp_path / "a.safetensors", "pt") as file:
        halves = {k: file.get_tensor(k).half() for k in file.keys()}  # noqa: SIM118
        safetensors.save_file(halves, tmp_path / "half.safetensors", file.metadata())
    with pytest.raises(ModelFileError, match="dtype F16, expected F32: `lcnet convert`"):
        modelfile.read(tmp_path / "half.safetensors")
    written = convert(tmp_path / "half.safetensors", tmp_path / "b.safetensors")
    assert_equal(written.weights, halves)
    assert written.config.preprocessing == config.preprocessing
    assert written.config.provenance["source"] == "my photos"
    assert written.config.provenance["file"] == "half.safetensors"


@pytest.fixture
def pth(tmp_path):
    """A PaddleClas file of the small network, the cheapest source to convert."""
    path = tmp_path / "source.pdparams"
    path.write_bytes(foreign.pdparams(foreign.paddle_arrays(random_weights(SMALL))))
    return path


def test_existing_targets_and_the_source_stay(pth, tmp_path):
    before = pth.read_bytes()
    with pytest.raises(InputError, match="the target is the source itself"):
        convert(pth, pth, overwrite=True)
    (tmp_path / "out").write_bytes(b"precious")
    with pytest.raises(InputError, match="out exists"):
        convert(pth, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"precious"
    convert(pth, tmp_path / "out", overwrite=True)
    assert modelfile.read(tmp_path / "out").config.arch == SMALL
    assert pth.read_bytes() == before


def test_a_refused_source_leaves_no_target(pth, tmp_path):
    weights = random_weights(SMALL)
    weights["bn1.weight"][0] = np.nan
    pth.write_bytes(foreign.pdparams(foreign.paddle_arrays(weights)))
    with pytest.raises(ModelFileError, match=r"source\.pdparams: bn1\.weight has 1 NaN"):
        convert(pth, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [pth]


def test_overrides(pth, tmp_path):
    (tmp_path / "labels.txt").write_text("n1\tcat\nn2\tdog\nn3\tcow\nn4\thorse\nn5\tgoat\n")
    changes = {"interpolation": "bicubic", "input_size": [3, 96, 96]}
    config = convert(pth, tmp_path / "o", labels=tmp_path / "labels.txt", preprocessing=changes).config
    assert config.labels.ids == ("n1", "n2", "n3", "n4", "n5")
    assert config.preprocessing == Preprocessing((3, 96, 96), "bicubic")
    with pytest.raises(ModelFileError, match=r"unknown key 'crop'.*did you mean 'crop_pct'"):
        convert(pth, tmp_path / "p", preprocessing={"crop": 1})
    with pytest.raises(ModelFileError, match="2 labels for 5 classes"):
        convert(pth, tmp_path / "p", labels=["a", "b"])


def test_names_choose_a_zoo_entry(pth, tmp_path):
    config = convert(pth, tmp_path / "o", name="lcnet_025.paddle_in1k").config
    assert config.provenance["source"] == "lcnet_025.paddle_in1k"
    assert config.labels is None
    with pytest.raises(ModelFileError, match="those of lcnet_025, not of lcnet_050"):
        convert(pth, tmp_path / "p", name="lcnet_050.ra2_in1k")
    with pytest.raises(InputError, match="unknown model 'lcent_025'"):
        convert(pth, tmp_path / "p", name="lcent_025")


def test_config_json_beside_a_checkpoint(state, torch, tmp_path):
    torch.save(state, tmp_path / "pytorch_model.bin")
    cfg = {"tag": "mine", "input_size": [3, 160, 160], "interpolation": "bilinear"}
    described = {"architecture": "lcnet_050", "num_classes": 5, "label_names": list("abcde"), "pretrained_cfg": cfg}
    (tmp_path / "config.json").write_text(json.dumps(described))
    config = convert(tmp_path / "pytorch_model.bin", tmp_path / "o").config
    assert config.preprocessing == Preprocessing((3, 160, 160), "bilinear")
    assert config.labels.names == tuple("abcde")
    assert config.provenance["source"] == "lcnet_050.mine"


@pytest.mark.parametrize(
    ("text", "names", "ids"),
    [
        ("cat\ndog\n", ("cat", "dog"), None),
        ("\ufeffcat\r\ndog", ("cat", "dog"), None),
        ("a\x0bb\nc\u2028d", ("a\x0bb", "c\u2028d"), None),
        ("n1\tcat\nn2\tdog", ("cat", "dog"), ("n1", "n2")),
        ('["cat", "dog"]', ("cat", "dog"), None),
        ('{"names": ["cat", "dog"], "ids": ["1", "2"]}', ("cat", "dog"), ("1", "2")),
    ],
)
def test_label_files(tmp_path, text, names, ids):
    (tmp_path / "labels").write_text(text, encoding="utf-8", newline="")
    labels = read_labels(tmp_path / "labels")
    assert (labels.names, labels.ids) == (names, ids)


@pytest.mark.parametrize("text", ["cat\n\ndog", "cat\nn2\tdog", "[1, 2]", '{"name": []}', "[" * 100_000, "", "\xff"])
def test_bad_label_files(tmp_path, text):
    (tmp_path / "labels").write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match="labels: no list of labels"):
        read_labels(tmp_path / "labels")


def test_every_width_is_recognised():
    for width in WIDTHS.values():
        assert modelfile.infer_arch(Arch(width, 1, 0).shapes()) == Arch(width, 1, 0)

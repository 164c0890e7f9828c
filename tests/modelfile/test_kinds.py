"""What people bring in place of a model file is named for what it is, with the way out, where either kind is expected."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from weights import random_weights

import lcnet
from lcnet import modelfile
from lcnet.arch import Arch
from lcnet.convert import convert, load_state_dict
from lcnet.errors import ModelFileError, WeightsError
from lcnet.modelfile.kinds import KINDS, look_at

pytestmark = pytest.mark.slow

SMALL = Arch(0.25, num_classes=3)


def archive(*names, content=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, content)
    return out.getvalue()


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        file.addfile(tarfile.TarInfo("model.pth"), io.BytesIO())
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.ones(3))
    return out.getvalue()


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


LEARNER = b"\x80\x02cfastai.learner\nLearner\nq\x00)\x81q\x01}q\x02b."
DENSE = bytes(16) + struct.pack("<i", 8) + b"\x08\x05\x10\x08\x10\x03\x10\x03" + bytes(36)  # as Paddle writes an array
GRAPH = b"\x08\x01\x12\x86\x01\x0a\x18" + b"serve" * 30
CASES = {
    "empty": ("a.pth", b"", "an empty file: .* get it again"),
    "git-lfs": ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    "page": ("a.pth", b"\n<!DOCTYPE html>\n<html>", "a web page: download the file itself"),
    "page in capitals": ("a.bin", b"\xef\xbb\xbf<HTML><BODY>404", "a web page: download the file itself"),
    "xml": ("a.bin", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "a web page"),
    "openvino": ("a.xml", b'<?xml version="1.0"?>\n<net name="x" version="11">', "an OpenVINO graph: .* exported from"),
    "h5": ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(90), r"Keras model \(HDF5\): .* safetensors\.numpy\.save_file"),
    "keras": ("a.keras", archive("metadata.json", "config.json", "model.weights.h5"), "a Keras model: lcnet reads PyTorch"),
    "torchscript": ("a.pt", archive("a/data.pkl", "a/constants.pkl", "a/code/x.py"), r"torch\.jit\.load\('a\.pt'\)"),
    "torch.export": ("a.pt2", archive("a/archive_format", "a/data/x"), r"torch\.export\.load\('a\.pt2'\)\.state_dict"),
    "fastai": ("export.pkl", LEARNER, r"a fastai learner .*load_learner\('export\.pkl'\)\.model\.state_dict\(\)"),
    "fastai zipped": ("export.pkl", archive("e/data.pkl", content=LEARNER), "a fastai learner"),
    "object": ("a.pkl", b"\x80\x04\x95%b\x8c\x03a.b\x94\x8c\x01C\x94\x93\x94)\x81." % bytes(8), r"class a\.b\.C, saved whole"),
    "npz": ("a.npz", npz(a=np.ones(3)), r"numpy's arrays .*numpy\.load\('a\.npz'\)"),
    "npy": ("a.npy", npy(), r"one array of numpy"),
    "zip": ("a.zip", archive("weights/a.pth", "readme.txt"), r"a zip archive with readme\.txt, weights/a\.pth: unpack it"),
    "tflite": ("a.tflite", b"\x1c\0\0\0TFL3" + bytes(90), "a TensorFlow Lite graph"),
    "saved model": ("a.bin", GRAPH, "a TensorFlow graph"),
    "frozen graph": ("frozen.pb", b"\x0a\x1a\x0a\x05input\x12\x0bPlaceholder", "a TensorFlow graph"),
    "tf checkpoint": ("model.ckpt.data-00000-of-00001", bytes(100), "a part of a TensorFlow checkpoint"),
    "onnx by name": ("a.ONNX", b"?" * 99, "an ONNX graph: give it to `lcnet convert`, which makes a model file of it"),
    "paddle graph": ("inference.pdmodel", b"\x0a\x90\x01" + bytes(99), r"PaddlePaddle inference graph: .* the folder"),
    "paddle json": ("inference.json", b'{"base_code":{"magic":"pir"},"program":{}}', "PaddlePaddle inference graph"),
    "paddle values": ("inference.pdiparams", bytes(9), "PaddlePaddle inference graph"),
    "paddle renamed": ("a.bin", DENSE, "PaddlePaddle inference graph"),
    "ncnn": ("a.param", b"7767517\n1 1\n", "an ncnn graph"),
    "gzip": ("a.pth.gz", gzip.compress(b"x" * 99), "a gzip archive: unpack it"),
    "7z": ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(90), "an archive: unpack it"),
    "tar": ("a.pth.tar", tar(), "a tar archive: unpack it"),
    "picture": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(90), "a picture"),
    "gguf": ("a.gguf", b"GGUF\3\0\0\0" + bytes(90), "a GGUF file"),
    "json": ("config.json", json.dumps({"architecture": "lcnet_050"}, indent=2).encode(), "a JSON text"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "reader", [modelfile.read, modelfile.read_config, load_state_dict, lcnet.load], ids=lambda f: f.__name__
)
def test_every_kind_is_named_wherever_a_file_is_read(tmp_path, case, reader):
    name, data, match = CASES[case]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelFileError, match=match) as caught:
        reader(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: this is ") and message.isprintable()
    assert "cut short" not in message


def test_every_row_of_the_table_has_a_case():
    shown = set()
    for name, data, _ in CASES.values():
        look = look_at(name, io.BytesIO(data), len(data))
        shown.add(next(kind.what for kind in KINDS if kind.shows(look)))
    assert shown == {kind.what for kind in KINDS}


def test_onnx_by_its_bytes(tmp_path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "g", [], [])
    for made in ({}, {"producer_name": "pytorch", "ir_version": 8}, {"ir_version": 10, "doc_string": "x"}):
        (tmp_path / "model.bin").write_bytes(onnx.helper.make_model(graph, **made).SerializeToString())
        for reader in (modelfile.read, load_state_dict):
            with pytest.raises(ModelFileError, match="this is an ONNX graph: give"):
                reader(tmp_path / "model.bin")


def test_the_ways_out_of_torch_and_numpy_work(torch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = lcnet.create_model("lcnet_025", num_classes=3).eval()
    torch.jit.trace(model, torch.zeros(1, 3, 32, 32)).save("script.pt")
    torch.save(model, "whole.pth")
    np.savez("arrays.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
    from safetensors.numpy import save_file

    told = {
        "script.pt": "torch.jit.load('script.pt')",
        "whole.pth": "torch.save(model.state_dict()",
        "arrays.npz": "save_file(",
    }
    for name, way in told.items():
        with pytest.raises(ModelFileError) as caught:
            convert(name, "out.safetensors")
        assert way in str(caught.value)
    torch.save(torch.jit.load("script.pt").state_dict(), "script.pth")
    torch.save(torch.load("whole.pth", weights_only=False).state_dict(), "state.pth")
    save_file(dict(np.load("arrays.npz")), "arrays.safetensors")
    for name in ("script.pth", "state.pth", "arrays.safetensors"):
        found = convert(name, f"{name}.out").weights
        np.testing.assert_array_equal(found["classifier.weight"], model.classifier.weight.detach().numpy())


def test_a_checkpoint_is_sent_to_convert_and_read_there(torch, tmp_path):
    torch.save({k: torch.tensor(v) for k, v in random_weights(SMALL).items()}, tmp_path / "x.pth")
    with pytest.raises(ModelFileError, match=r"run `lcnet convert .*/x\.pth OUT\.safetensors`"):
        lcnet.load(tmp_path / "x.pth")
    assert convert(tmp_path / "x.pth", tmp_path / "OUT.safetensors").config.arch == SMALL
    assert lcnet.load(tmp_path / "OUT.safetensors").arch == SMALL


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["saved_model.pb", "variables"], "this folder is a TensorFlow SavedModel"),
        ([".metadata", "__0_0.distcp"], "dcp_to_torch DIR"),
        (["a.xml", "a.mapping"], "an OpenVINO graph"),
    ],
)
def test_folders_are_named_too(tmp_path, names, match):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelFileError, match=match):
        load_state_dict(tmp_path)
    with pytest.raises(WeightsError, match=match):
        lcnet.load(tmp_path)


def test_a_folder_of_paddles_is_named_or_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("inference.json", "inference.pdiparams"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelFileError, match="this folder is a PaddlePaddle inference graph"):
        load_state_dict(tmp_path)
    with pytest.raises(ModelFileError, match="JSON"):
        lcnet.load(tmp_path)


def test_a_folder_of_checkpoints_names_them(tmp_path):
    for name in ("notes.md", "best.pth", "last.ckpt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelFileError, match=r"this is a folder: name the checkpoint in it, such as best\.pth, last\.ckpt$"):
        load_state_dict(tmp_path)


def test_hostile_names_and_members_are_printable(tmp_path):
    (tmp_path / "a\x1b[31m.npz").write_bytes(npz(x=np.ones(1)))
    with pytest.raises(ModelFileError) as caught:
        load_state_dict(tmp_path / "a\x1b[31m.npz")
    assert "\x1b" not in str(caught.value).replace(str(tmp_path / "a\x1b[31m.npz"), "")
    (tmp_path / "b.zip").write_bytes(archive("\x1b[31m" + "x" * 5000))
    with pytest.raises(ModelFileError) as caught:
        load_state_dict(tmp_path / "b.zip")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_class_name_is_no_reason_to_unpickle(tmp_path):
    for data in (pickle.dumps({"x": np.ones(3)}), b"\x80\x02}."):
        (tmp_path / "a.pth").write_bytes(data)
        load_state_dict(tmp_path / "a.pth")

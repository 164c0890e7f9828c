"""Damaged, strange and oversized containers of checkpoints: refused with the reason, and never with another error."""

import io
import random
import struct
import zipfile

import foreign
import numpy as np
import pytest
from foreign import FOUR, dictionary, literal, name, program, refused, tensor, torch_zip

from lcnet.convert import load_state_dict
from lcnet.convert.checkpoint import read_checkpoint
from lcnet.errors import ModelFileError


def _zipped(compression=zipfile.ZIP_STORED, names=("a/data.pkl",), content=b"\x80\x02}."):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for entry in names:
            archive.writestr(entry, content)
    return out.getvalue()


def test_archives_that_torch_does_not_write_are_refused(tmp_path):
    bomb = _zipped(zipfile.ZIP_DEFLATED, content=bytes(50 << 20))
    assert len(bomb) < 100_000
    refused(tmp_path, bomb, "compressed, which torch's checkpoints are not")
    refused(tmp_path, _zipped(names=("a/b.txt",)), r"this is a zip archive with a/b\.txt: unpack it")
    refused(tmp_path, _zipped(names=("data.pkl",)), "no torch checkpoint: it has no data.pkl")
    refused(tmp_path, _zipped(names=("a/data.pkl", "b/data.pkl")), "no torch checkpoint")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = _zipped(names=("a/data.pkl", "a/data.pkl"))
    refused(tmp_path, twice, "overlapping or repeated entries")
    refused(tmp_path, _zipped()[:-10], "the zip archive is damaged or cut short")
    refused(tmp_path, torch_zip(program(b"}"), {}, byteorder=b"middle"), "byteorder is middle, expected little or big")
    encrypted = bytearray(_zipped())
    encrypted[encrypted.rfind(b"PK\x01\x02") + 8] |= 1
    refused(tmp_path, bytes(encrypted), r"a/data\.pkl of the archive is missing or damaged")


def test_archives_of_very_many_members_are_not_listed(tmp_path):
    data = _zipped()
    at = data.rfind(b"PK\x01\x02")
    end = data.rfind(b"PK\x05\x06")
    entry = data[at:end]
    many = entry * ((1 << 16) + 1)
    fields = struct.pack("<HHII", 0xFFFF, 0xFFFF, len(many), at)
    refused(tmp_path, data[:at] + many + data[end : end + 8] + fields + bytes(2), "more than 65536 members")


def test_entries_that_overlap_are_refused(tmp_path):
    data = bytearray(_zipped(content=program(b"N0" * 500, b"}")))
    size = len(program(b"N0" * 500, b"}"))
    at = data.rfind(b"PK\x01\x02") + 20
    data[at : at + 8] = struct.pack("<II", size * 2, size * 2)
    refused(tmp_path, bytes(data), "overlapping or repeated entries")


def _checkpoint():
    state = {"x": tensor((2, 2), (2, 1)), "y": tensor((2,), (2,), 1)}
    args = name("argparse", "Namespace") + b")\x81" + literal({"lr": 0.1}) + b"b"
    return torch_zip(program(dictionary(state_dict=dictionary(**state), args=args)), {"0": FOUR.tobytes()})


@pytest.mark.parametrize("kind", ["torch", "paddle", "safetensors"])
def test_cut_and_flipped_files_never_fail_otherwise(tmp_path, kind):
    from safetensors.numpy import save

    arrays = {"a": FOUR, "b": np.ones((2, 3), np.float32)}
    data = {"torch": _checkpoint(), "paddle": foreign.pdparams(arrays), "safetensors": save(arrays)}[kind]
    path = tmp_path / "a.pth"
    path.write_bytes(data)
    assert len(read_checkpoint(path).tensors) == 2
    for cut in range(0, len(data) - 1, 5):
        path.write_bytes(data[:cut])
        with pytest.raises(ModelFileError):
            read_checkpoint(path)
    rng = random.Random(0)
    outcomes = set()
    for _ in range(300):
        bad = bytearray(data)
        bad[rng.randrange(len(bad))] = rng.randrange(256)
        path.write_bytes(bad)
        try:
            read_checkpoint(path)
            outcomes.add("read")
        except ModelFileError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_files_that_are_no_checkpoint(tmp_path):
    for data in (b"hello", b"\x80", b"PK", struct.pack("<Q", 900) + b'{"x'):
        refused(tmp_path, data, "cut short")
    for data in (b"hello, world", random.Random(0).randbytes(5000), b"\x00" * 100):
        refused(tmp_path, data, "not a valid safetensors file .*, and no checkpoint that .* reads: it begins with b'")
    for path in (tmp_path / "none", tmp_path / "bad.pth" / "x", "nul\0"):
        with pytest.raises(ModelFileError, match="cannot be read"):
            load_state_dict(path)


def test_huge_files_are_not_read(tmp_path):
    with open(tmp_path / "bad.pth", "wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(ModelFileError, match="has 1024 MiB: no checkpoint of an LCNet is larger"):
        load_state_dict(tmp_path / "bad.pth")


def _legacy(torch, state):
    out = io.BytesIO()
    torch.save(state, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


def test_damaged_files_of_old_torch(tmp_path, torch):
    data = _legacy(torch, {"x": torch.ones(4)})
    refused(tmp_path, data[:-1], "x: needs 16 bytes in storage .*, which has 15")
    refused(tmp_path, data[:-24], "a storage is not of the size that its tensors need")
    refused(tmp_path, data[:20], "the pickle is damaged or cut short")
    refused(tmp_path, data[:-24] + struct.pack("<q", 5) + bytes(16), "a storage is not of the size")

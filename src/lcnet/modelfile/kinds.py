"""What a file is that people bring in place of a model file or a checkpoint, by its first bytes, its members and its name.

Rows of data: what it is, how it shows, and the way out that exists. Nothing is parsed further than it takes to name the
thing, and nothing in it is executed. What is not here is not known, and the reader's own words stand.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from ..text import plain, quoted

HEAD = 4096  # bytes that are looked at
# Of checkpoints that `lcnet convert` reads.
SUFFIXES = (".bin", ".pth", ".pt", ".ckpt", ".tar", ".pdparams", ".pdema", ".safetensors")
MAX_ARCHIVE = 1 << 28  # bytes of an archive whose members are listed
MAX_MEMBERS = 1 << 16  # of an archive: a training checkpoint of the family has about 2,000

_CONVERT = "give it to `lcnet convert`, which makes a model file of it"
_FROM_CHECKPOINT = "give `lcnet convert` the checkpoint that it was exported from"
_FROM_ARRAYS = (
    "lcnet reads PyTorch, PaddleClas and safetensors: save its arrays by timm's names and layouts (docs/model-file.md) with"
    " safetensors.numpy.save_file, and give that to `lcnet convert`"
)
_FETCH = "download the file itself, with the link that says raw or download"
_UNPACK = "unpack it, and give the file that is in it"
_STATE = "torch.save({}.state_dict(), 'weights.pth'), and give that to `lcnet convert`"
_GLOBAL = rb"c([\w.]{1,200})\n(\w{1,200})\n"
_STACK_GLOBAL = rb"\x8c.([\w.]{1,200})\x94?\x8c.(\w{1,200})\x94?\x93"
# A pickle whose root is an object made without arguments: its class.
_OBJECT = re.compile(
    rb"\x80[\x02-\x05](?:\x95.{8})?(?:" + _GLOBAL + rb"|" + _STACK_GLOBAL + rb")(?:q.|r.{4}|\x94)?\)\x81", re.DOTALL
)
_DICTIONARIES = ("collections.OrderedDict",)


@dataclass(frozen=True)
class Look:
    """What is looked at: the first bytes, the name in small letters, the members of a zip archive, the root's class."""

    start: bytes
    name: str
    size: int
    members: frozenset[str] = frozenset()
    root: str = ""

    def starts(self, *magic: bytes) -> bool:
        """Whether the file begins with one of these."""
        return self.start.startswith(magic)

    def ends(self, *suffixes: str) -> bool:
        """Whether its name ends so."""
        return self.name.endswith(suffixes)

    def has(self, *names: str) -> bool:
        """Whether the archive has these, whatever folder they lie in."""
        return bool(self.members) and set(names) <= {m.rpartition("/")[2] for m in self.members}

    @property
    def text(self) -> bytes:
        """The beginning of a text, without a byte order mark, in small letters."""
        return self.start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()


class Kind(NamedTuple):
    """One kind of file: what to call it, how it shows, and what its owner can do."""

    what: str
    shows: Callable[[Look], bool]
    way_out: str


_ONNX = frozenset(
    bytes((version, field)) for version in range(2, 33) for field in b"\x12\x1a\x22\x28\x32\x3a\x42"
)  # the version, and the field after it


def is_onnx(start: bytes) -> bool:
    """Whether a file that begins so may be an ONNX graph."""
    return start.startswith(b"\x08") and start[1:3] in _ONNX


# The first that shows is it: what is certain comes before what only a name or a byte suggests.
KINDS = (
    Kind("an empty file", lambda f: not f.size, "its download or copy never began: get it again"),
    Kind(
        "a git-lfs pointer, not the file that it stands for",
        lambda f: f.starts(b"version https://git-lfs"),
        "run `git lfs pull` in its repository, or " + _FETCH,
    ),
    Kind("an OpenVINO graph", lambda f: f.text.startswith(b"<?xml") and b"<net " in f.text, _FROM_CHECKPOINT),
    Kind("a web page", lambda f: f.text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")), _FETCH),
    Kind("a Keras model (HDF5)", lambda f: f.starts(b"\x89HDF\r\n\x1a\n"), _FROM_ARRAYS),
    Kind("a Keras model", lambda f: f.has("config.json", "model.weights.h5"), _FROM_ARRAYS),
    Kind(
        "a TorchScript model",
        lambda f: f.has("data.pkl", "constants.pkl"),
        "where torch is, " + _STATE.format("torch.jit.load('{name}')"),
    ),
    Kind(
        "a program of torch.export",
        lambda f: f.has("archive_format") or f.has("serialized_exported_program.json"),
        "where torch is, torch.save(dict(torch.export.load('{name}').state_dict), 'weights.pth'), and give that to"
        " `lcnet convert`",
    ),
    Kind(
        "a fastai learner (export.pkl)",
        lambda f: f.root.startswith("fastai."),
        "where fastai is, " + _STATE.format("load_learner('{name}').model"),
    ),
    Kind(
        "an object of class {root}, saved whole",
        lambda f: f.root not in ("", *_DICTIONARIES),
        "where it loads, " + _STATE.format("model"),
    ),
    Kind(
        "numpy's arrays (.npz)",
        lambda f: bool(f.members) and all(m.endswith(".npy") for m in f.members),
        "safetensors.numpy.save_file(dict(numpy.load('{name}')), 'weights.safetensors'), and give that to `lcnet convert`",
    ),
    Kind("one array of numpy (.npy)", lambda f: f.starts(b"\x93NUMPY"), _FROM_ARRAYS),
    Kind("a zip archive with {members}", lambda f: bool(f.members) and not f.has("data.pkl"), _UNPACK),
    Kind("a TensorFlow Lite graph", lambda f: f.start[4:8] == b"TFL3", _FROM_ARRAYS),
    Kind(
        "a TensorFlow graph (SavedModel or .pb)", lambda f: f.ends(".pb", ".pbtxt") or f.starts(b"\x08\x01\x12"), _FROM_ARRAYS
    ),
    Kind("a part of a TensorFlow checkpoint", lambda f: f.ends(".index") or ".ckpt.data-" in f.name, _FROM_ARRAYS),
    Kind("an ONNX graph", lambda f: f.ends(".onnx") or is_onnx(f.start), _CONVERT),
    Kind(
        "a part of a PaddlePaddle inference graph",
        lambda f: _is_paddle_graph(f),
        "give `lcnet convert` the folder with all of it (.json or .pdmodel, .pdiparams, .yml)",
    ),
    Kind("an ncnn graph", lambda f: f.starts(b"7767517"), _FROM_CHECKPOINT),
    Kind("a gzip archive", lambda f: f.starts(b"\x1f\x8b"), _UNPACK),
    Kind("an archive", lambda f: f.starts(b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd"), _UNPACK),
    Kind("a tar archive", lambda f: f.start[257:262] == b"ustar", _UNPACK),
    Kind("a picture", lambda f: f.starts(b"\x89PNG", b"\xff\xd8\xff", b"GIF8"), "give the model here, and it the picture"),
    Kind("a GGUF file", lambda f: f.starts(b"GGUF"), "no LCNet is stored so: give the file of an LCNet"),
    Kind(
        "a JSON text",
        lambda f: f.text.startswith(b'{"') or f.text.startswith(b"{\n"),
        "give the file with the weights, which it may describe",
    ),
)

# The same of folders, by the names in them.
FOLDERS = (
    ("a TensorFlow SavedModel", ("saved_model.pb",), _FROM_ARRAYS),
    ("a PaddlePaddle inference graph", (".pdiparams",), "give it to `lcnet convert`"),
    (
        "a checkpoint of torch.distributed",
        (".distcp",),
        "`python -m torch.distributed.checkpoint.format_utils dcp_to_torch DIR weights.pth`, and give that to `lcnet convert`",
    ),
    ("an OpenVINO graph", (".xml",), _FROM_CHECKPOINT),
)


def identify(name: str, file: BinaryIO, size: int) -> str | None:
    """Say what a file is that is neither a model file nor a checkpoint, and what to do; None if that cannot be told."""
    look = look_at(name, file, size)
    kind = next((kind for kind in KINDS if kind.shows(look)), None)
    if kind is None:
        return None
    some = ", ".join(sorted(look.members)[:3])
    what = kind.what.format(root=quoted(look.root), members=quoted(some))
    return f"this is {what}: {kind.way_out.format(name=plain(name))}"


def identify_folder(names: Iterable[str]) -> str | None:
    """The same of a folder that has these names."""
    names = list(names)
    for what, ends, way_out in FOLDERS:
        if any(name.endswith(ends) for name in names):
            return f"this folder is {what}: {way_out}"
    return None


def look_at(name: str, file: BinaryIO, size: int) -> Look:
    """Look at a file of `size` bytes. Raises nothing that the file could cause."""
    file.seek(0)
    start = file.read(HEAD)
    if not start.startswith(b"PK") or size > MAX_ARCHIVE:
        return Look(start, name.lower(), size, root=_root(start))
    data = start + file.read()
    if crowded(data):
        return Look(start, name.lower(), size)
    import zipfile

    try:
        import zipfile  # which takes longer to import than most files to look at

        archive = zipfile.ZipFile(io.BytesIO(data))
        members = frozenset(archive.namelist())
        pickled = [m for m in members if m.count("/") == 1 and m.endswith("/data.pkl")]
        root = _root(archive.open(pickled[0]).read(HEAD)) if len(pickled) == 1 else ""
        return Look(start, name.lower(), size, members, root)
    except Exception:  # whatever zipfile raises for a damaged archive: its reader says what is wrong
        return Look(start, name.lower(), size)


def crowded(data: bytes) -> bool:
    """Whether a zip archive may have more members than a list of them should take memory for."""
    return data.count(b"PK\x01\x02") > MAX_MEMBERS


def _root(pickled: bytes) -> str:
    match = _OBJECT.match(pickled)
    return b".".join(part for part in match.groups() if part).decode("ascii") if match else ""


def _is_paddle_graph(look: Look) -> bool:
    """The graph, its weights (a version, no levels, a version, each zero, and a description), or either by name."""
    if look.ends(".pdmodel", ".pdiparams", ".pdiparams.info"):
        return True
    if look.text.startswith(b"{"):
        return b'"program"' in look.text or b'"base_code"' in look.text
    return look.start[:16] == bytes(16) and look.start[18:21] == b"\0\0\x08"

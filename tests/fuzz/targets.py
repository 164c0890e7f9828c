"""What is fuzzed, a row each: undamaged files, what reads them, and the errors by which it may refuse.

`wrap` makes a mutation reach further: it restores lengths and checksums at which a reader would stop otherwise.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from archived import write_tar
from labelled import animals, png
from pictures import encoded, picture
from PIL import Image
from weights import random_weights

import lcnet
from lcnet import _native, modelfile
from lcnet.arch import Arch
from lcnet.changes.report import Change, head
from lcnet.changes.undo import undo
from lcnet.config import Decision, Labels, ModelConfig, Preprocessing
from lcnet.convert import convert
from lcnet.convert.checkpoint import read_checkpoint
from lcnet.dataset import open_dataset
from lcnet.errors import GalleryError, ImageError, InputError, ModelFileError
from lcnet.gallery import Gallery
from lcnet.gallery.about import About
from lcnet.gallery.coding import Coding
from lcnet.gallery.matrix import Matrix
from lcnet.gallery.store import Content, Row, Store
from lcnet.groups import Group
from lcnet.image.pixels import decode
from lcnet.labels.lists import read_label_list
from lcnet.modelfile import ModelFile
from lcnet.results import begun
from lcnet.results.outputs import Output
from lcnet.results.rows import Arrays
from lcnet.results.update import Update
from lcnet.results.whole import stored
from lcnet.sources import read_list
from lcnet.upright.pages import read
from lcnet.upright.turning import turned

ARCH = Arch(0.25, num_classes=3)
GROUPS = (Group("g", ("a", "b"), "each", otherwise="none"), Group("h", ("c",), at_least_one=True, names=("C",)))
DECISION = Decision(1.5, {"a": 0.5}, True, groups=GROUPS)
CONFIG = ModelConfig(ARCH, Preprocessing((3, 32, 32)), Labels(("a", "b", "c")), DECISION)
# All that a reader must know of the network beyond the first version.
NEEDY = ModelConfig(
    Arch(0.25, 3, 3, (1, 2), ((1, 1), (2, 1), (2, 1)), 0, "relu", 0.2, ("blocks.0", "blocks.2")),
    Preprocessing((3, 32, 64)),
    Labels(("a", "b", "c")),
)
PIXELS = 1 << 22  # of a picture, so that what it may cost is little: by default it is two GiB for a frame of a film
BEGUN = {"command": "embed"}  # what a run was begun with


class Target(NamedTuple):
    """A kind of file."""

    name: str
    suffix: str
    seeds: Callable[[], Iterable[bytes]]
    read: Callable[[Path], Any]
    allowed: tuple[type[Exception], ...]
    words: tuple[bytes, ...] = ()
    wrap: Callable[[bytes], bytes] = bytes


# Galleries


def gallery_files(ending: str = "") -> Callable[[], list[bytes]]:
    """A gallery of 40 made vectors, or what is derived of it."""

    def make() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "g"
            store = Store.create(path, About("m", "0" * 64, "{}", "fp32", 64, "int8"))
            store.put([gallery_row(i) for i in range(40)])
            with Gallery(store) as gallery:
                gallery.refresh()
            return [path.with_name(f"g{ending}").read_bytes()]

    return make


def gallery_row(number: int) -> Row:
    digest = number.to_bytes(32, "big")
    vector = np.random.default_rng(number).normal(size=64).astype(np.float32)
    return Row(f"{number:03}.png", (1, number), digest, Content(digest, digest, digest[:16], False), vector)


def run_gallery(path: Path) -> None:
    with lcnet.gallery.open(path) as gallery:
        for where in (None, "*1.png"):
            for match in gallery.search(np.ones(64), k=5, where=where)[0]:
                assert -1 <= match.similarity <= 1
        gallery.store.put([gallery_row(99)])
        assert len(gallery) >= 0 and gallery.facts() and list(gallery.store.pictures())


def run_matrix(path: Path) -> None:
    with suppress(ValueError, KeyError, TypeError):
        matrix = Matrix(memoryview(path.read_bytes()), Coding("int8", 64))
        with suppress(InputError):
            matrix.nearest(np.ones(64, np.float32), 5)


# Model files


def model_bytes() -> list[bytes]:
    plain = replace(CONFIG, decision=Decision(1.5, {"a": 0.5}, default="c"))
    return [modelfile.to_bytes(ModelFile(config, random_weights(ARCH))) for config in (CONFIG, plain)]


def header(needy: bool = False) -> list[bytes]:
    return [data[8 : 8 + struct.unpack("<Q", data[:8])[0]] for data in model_bytes_once(needy)]


def with_header(text: bytes, needy: bool = False) -> bytes:
    data = model_bytes_once(needy)[0]
    return struct.pack("<Q", len(text)) + text + data[8 + struct.unpack("<Q", data[:8])[0] :]


@cache
def model_bytes_once(needy: bool) -> list[bytes]:
    return [modelfile.to_bytes(ModelFile(NEEDY, random_weights(NEEDY.arch)))] if needy else model_bytes()


def run_model(path: Path) -> None:
    answer = lcnet.load(path, threads=1).classify(np.zeros((40, 40, 3), np.uint8))[0]
    assert all(0 <= p.probability <= 1 for p in answer.top)


def timm_folder(path: Path) -> None:
    folder = path.parent / "timm"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_bytes(path.read_bytes())
    weights = folder / "model.safetensors"
    if not weights.exists():
        from safetensors.numpy import save

        weights.write_bytes(save(random_weights(ARCH)))
    run_model(folder)


def timm_configs() -> list[bytes]:
    pretrained = {"input_size": [3, 32, 32], "crop_pct": 0.9, "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.2] * 3}
    whole = {"architecture": "lcnet_025", "num_classes": 3, "label_names": ["a", "b", "c"], "pretrained_cfg": pretrained}
    return [json.dumps(whole, indent=1).encode(), json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}).encode()]


# Pictures


def still(format: str, *options: dict[str, Any], image: Any = None) -> Callable[[], list[bytes]]:
    return lambda: [encoded(image if image is not None else picture(seed=1), format, **given) for given in options or ({},)]


def film(format: str, **options: Any) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        frames = [Image.fromarray(picture(seed=i)) for i in range(3)]
        return [encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)]

    return seeds


def tiffs() -> list[bytes]:
    kinds = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")
    images = [Image.fromarray(picture(seed=1)).convert("1" if kind == "group4" else "RGB") for kind in kinds]
    return [encoded(image, "TIFF", compression=kind) for image, kind in zip(images, kinds, strict=True)]


def pngs() -> list[bytes]:
    image = Image.fromarray(picture(seed=1))
    return [encoded(image.convert(mode), "PNG") for mode in ("RGB", "RGBA", "P", "L", "1", "I;16")]


def with_sums(data: bytes) -> bytes:
    """A PNG file whose chunks have right checksums, as far as there are chunks."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        body = data[at + 4 : at + 8 + length]
        parts += [data[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + length
    return b"".join([*parts, data[at:]])


def run_decode(path: Path) -> None:
    pixels = decode(path, CONFIG.preprocessing, max_pixels=PIXELS)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size


def jpegs() -> list[bytes]:
    image = picture(height=48, seed=1)
    plain: Any = [{"subsampling": n, "quality": q} for n, q in ((0, 95), (1, 60), (2, 80))]
    more: Any = [{"optimize": True}, {"restart_marker_blocks": 2}]
    return [encoded(image, "JPEG", **options) for options in plain + more] + [encoded(image[:, :, 0], "JPEG")]


def run_own(path: Path) -> None:
    """Our decoder gives Pillow's pixels, on every ISA, or none; what Pillow does not decode it does not give."""
    data = path.read_bytes()
    decode(data, CONFIG.preprocessing, max_pixels=PIXELS)
    image = Image.open(io.BytesIO(data))
    outs = [np.empty((image.height, image.width, 3), np.uint8) for _ in range(2)]
    taken = [_native.decode_jpeg(data, out, isa=isa) for out, isa in zip(outs, ("scalar", ""), strict=True)]
    assert taken[0] == taken[1]
    if taken[0]:
        assert all(np.array_equal(out, image.convert("RGB")) for out in outs)


@cache
def model() -> Any:
    return lcnet.Classifier(ModelFile(CONFIG, random_weights(ARCH)), threads=1, max_pixels=PIXELS)


def run_stream(path: Path) -> None:
    for item in model().stream([path], errors="yield", frames="all"):
        if item.error is not None and not isinstance(item.error, ImageError):
            raise item.error


# Archives, of pictures and of labelled ones

MEMBERS = [("a/1.png", png(1)), ("a/2.jpg", encoded(picture(seed=2), "JPEG")), ("b/3.png", png(3)), ("note.txt", b"none")]


def zips() -> list[bytes]:
    made = []
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name, data in MEMBERS:
                archive.writestr(zipfile.ZipInfo(name), data, kind)
        made.append(file.getvalue())
    return made


def tars() -> list[bytes]:
    import tarfile
    from tempfile import TemporaryDirectory

    made = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for name, data in [*MEMBERS, (f"{'long/' * 40}x.png", png(4))]:
                info = tarfile.TarInfo(name if form != tarfile.USTAR_FORMAT else name[-90:])
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        made.append(file.getvalue())
    with TemporaryDirectory() as folder:
        samples = [("1.png", png(1)), ("1.cls", b"0"), ("2.png", png(2)), ("2.cls", b"1"), ("3.json", b'{"label": 1}')]
        made.append(write_tar(Path(folder, "x.tar"), samples).read_bytes())
    return made


def with_tar_sum(data: bytes) -> bytes:
    """A tar file whose first header has the right checksum."""
    if len(data) < 512:
        return data
    head = data[:148] + b" " * 8 + data[156:512]
    return head[:148] + b"%06o\0 " % sum(head) + head[156:] + data[512:]


def run_dataset(path: Path) -> None:
    for part in open_dataset(path).parts().values():
        for index in range(min(len(part), 8)):
            try:
                part.read(index)
            except ImageError as error:
                assert str(error)


def run_table(path: Path) -> None:
    if not (path.parent / "train").exists():
        animals(path.parent)
    run_dataset(path)


TABLES = (
    b"path,label,split\ntrain/cat/0.png,cat,train\ntrain/dog/1.png,dog,train\nval/cat/2.png,cat,val\nval/dog/0.png,dog,val\n",
    b'path,label\ntrain/cat/0.png,cat|dog\ntrain/dog/1.png,"dog"\ntrain/dog/2.png,cat\n',
    b"label,path\ncat,train/cat/1.png\ndog,train/dog/0.png\n",
    b"path,label\n./train/cat/0.png,cat\ntrain/dog/2.png,dog\n",
)

# Checkpoints


def state() -> dict[str, np.ndarray]:
    return dict(list(random_weights(ARCH).items())[:12])


def torch_files(zipped: bool) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        import torch

        tensors = {key: torch.from_numpy(value) for key, value in state().items()}
        made = []
        for root in (tensors, {"state_dict": tensors, "epoch": 3, "args": {"num_classes": 3}}, {"model_ema": tensors}):
            file = io.BytesIO()
            torch.save(root, file, _use_new_zipfile_serialization=zipped)
            made.append(file.getvalue())
        return made

    return seeds


def torch_pickles() -> list[bytes]:
    return [_member(data, "/data.pkl") for data in torch_files(True)()]


def _member(data: bytes, ending: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(ending)))


@cache
def _torch_zip() -> bytes:
    return torch_files(True)()[0]


def in_torch_zip(pickled: bytes) -> bytes:
    """What torch writes, with another pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_torch_zip())) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled if name.endswith("/data.pkl") else old.read(name))
    return file.getvalue()


def paddle_files() -> list[bytes]:
    named = {**state(), "StructuredToParameterName@@": {key: key for key in state()}}
    return [pickle.dumps(named, protocol) for protocol in (2, 4)]


# Exported networks

EXPORTED = Arch(0.25, num_classes=2, head_channels=16)
FED = {"input_size": (32, 32), "interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "squash"}
FED |= {"mean": (0.5,), "std": (0.5,)}
YAML = b"""PreProcess:
  transform_ops:
  - DecodeImage: {to_rgb: True}
  - ResizeImage: {resize_short: 40}
  - CropImage: {size: 32}
  - NormalizeImage: {mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2], scale: 1.0/255.0, order: ''}
PostProcess:
  MultiLabelThreshOutput: {threshold: {default: 0.5, "1": 0.3}, label_list: [a, b]}
Arch: {name: PPLCNet_x0_25, stride_list: [2, [2, 1], 2, 2, 2], dropout_prob: 0.2}
"""


def run_convert(path: Path) -> None:
    made = convert(path, path.with_name("out.safetensors"), preprocessing=FED, labels=["a", "b"], overwrite=True)
    assert all(np.isfinite(value).all() for value in made.weights.values())


def onnx_files() -> list[bytes]:
    from onnx_graphs import Style, lcnet

    old = Style(
        opset=11, swish="clip", gate="clip", flatten="shape", classifier="matmul", scale=0.8, end="Softmax", constants=True
    )
    new = Style(conv_bias="add", identities=True)
    weights = random_weights(EXPORTED)
    return [lcnet(weights, EXPORTED, style, {"character": "a\nb"}).SerializeToString() for style in (old, new)]


@cache
def paddle_writer() -> Any:
    from paddle_files import Writer

    return Writer(random_weights(EXPORTED), EXPORTED, "sigmoid")


def in_folder(name: str) -> Callable[[Path], None]:
    """Read a case as one file of a Paddle model."""

    def read(path: Path) -> None:
        folder = path.parent / f"with-{name}"
        folder.mkdir(exist_ok=True)
        writer = paddle_writer()
        files = {"m.json": writer.pir(), "m.pdiparams": writer.pdiparams(), "m.yml": YAML}
        if name == "m.pdmodel":
            del files["m.json"]
        for other, data in (files | {name: path.read_bytes()}).items():
            (folder / other).write_bytes(data)
        run_convert(folder)
        made = convert(folder, path.with_name("out.safetensors"), labels=["a", "b"], overwrite=True).config
        assert made.arch.num_classes == 2

    return read


def transformers_folder(path: Path) -> None:
    from safetensors.numpy import save
    from test_transformers import TEXT_LINE, named

    folder = path.parent / "transformers"
    folder.mkdir(exist_ok=True)
    if not (folder / "model.safetensors").exists():
        (folder / "model.safetensors").write_bytes(save(named(random_weights(TEXT_LINE))))
    (folder / "config.json").write_bytes(path.read_bytes())
    run_convert(folder)


def transformers_configs() -> list[bytes]:
    from test_transformers import CONFIG

    return [json.dumps(CONFIG).encode()]


GRAPH = (
    b"Conv",
    b"HardSwish",
    b"Mul",
    b"Add",
    b"Softmax",
    b"Gemm",
    b"strides",
    b"pads",
    b"group",
    b"axis",
    b"shape",
    b"location",
)
PADDLE = (b"conv2d", b"strides", b"paddings", b"dropout", b"matmul", b"softmax", b"w_0", b"b_0", b'"#"', b'"%"', b'"D"', b'"A"')
SETTINGS = (b"ResizeImage", b"CropImage", b"size", b"Topk", b"&a", b"*a", b"<<: ", b"!!", b"- ", b"{", b"[", b"1e999", b"/0")

OPCODES = (*(bytes([code]) for code in b"c\x93R\x81bQ(.0}]\x94h\x8a\x8b\x95\x8c"), b"cos\nsystem\n", b"\x8bXXXX")

# Lists and settings of people

LABELS = (
    b"cat\ndog\nmouse\n",
    b"0 cat\n1 dog\n2 mouse\n",
    b"id,name\n0,cat\n1,dog\n",
    b"n01\tcat\nn02\tdog\n",
    json.dumps({"id2label": {"0": "cat", "1": "dog"}}).encode(),
    json.dumps(["cat", "dog"]).encode(),
    json.dumps({"cat": 0, "dog": 1}).encode(),
)


def run_list(path: Path) -> None:
    with path.open("rb") as file:
        assert all(isinstance(name, str) for name in read_list(file))


def recipes() -> list[bytes]:
    from lcnet.train.recipes import RECIPES

    return [json.dumps(published.recipe.to_json(), indent=1).encode() for published in list(RECIPES.values())[:3]]


def run_recipe(path: Path) -> None:
    from lcnet.train.recipes import recipe

    recipe(str(path), ())


def records() -> list[bytes]:
    """recipe.json of a training run."""
    from dataclasses import asdict

    from lcnet.train.options import TrainOptions
    from lcnet.train.recipes import RECIPES

    asked = {"asked": RECIPES["finetune"].recipe.to_json(), "data": "/photos", "classes": ["a", "b"]}
    return [json.dumps(asked | asdict(TrainOptions(model="a.safetensors", in_chans=3)), indent=1).encode()]


def run_record(path: Path) -> None:
    from lcnet.train.resuming import stored

    stored(path)


# Files of results that a run has left

ROWS = Arrays({"embeddings": (4,)})
NAMES = ("a.png", 'b,".png', "c\n.png", "d.png")


def working(ending: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            path = Path(folder, f"x{ending}")
            try:
                with Output(path, ROWS, BEGUN) as output:
                    for i, name in enumerate(NAMES[:3]):
                        output.write(name, np.full(4, i, np.float32), ValueError("odd") if i == 1 else None)
                    raise ZeroDivisionError
            except ZeroDivisionError:
                return [output.working.read_bytes()]

    return seeds


def run_resume(ending: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        target = path.parent / f"out{ending}"
        for old in path.parent.glob("out*"):
            old.unlink()
        (target if ending in (".csv", ".jsonl") else target.with_name(f"out{ending}.partial")).write_bytes(path.read_bytes())
        target.with_name(f"out{ending}.resume").write_bytes(begun.described(begun.WRITE, BEGUN))
        _resume(target)

    return read


def run_companion(path: Path) -> None:
    target = path.parent / "out.jsonl"
    target.write_bytes(b"")
    target.with_name("out.jsonl.resume").write_bytes(path.read_bytes())
    _resume(target)


def _resume(target: Path) -> None:
    names = iter(NAMES)
    with Output(target, ROWS, BEGUN, resume=True) as output:
        output.skip_done(names)
        for name in [*output.ahead, *names]:
            output.write(name, np.zeros(4, np.float32), None)
    assert output.done == len(NAMES) and target.stat().st_size


def updated(part: str) -> Callable[[], list[bytes]]:
    """What an update that was killed has left: `part` is the end of a name, of FILE or of what lies beside it."""

    def seeds() -> list[bytes]:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            path = Path(folder, f"out.{part.split('.')[1]}")
            _update(path, NAMES[:2])
            with suppress(ZeroDivisionError):
                _update(path, NAMES, killed=True)
            return [Path(folder, f"out{part}").read_bytes()]

    return seeds


def _update(path: Path, names: Sequence[str], killed: bool = False) -> None:
    with Update(path, ROWS, BEGUN) as output:
        for i, name in enumerate(output.left(names)):
            output.write(name, np.full(4, i, np.float32), ValueError("odd") if i == 1 else None)
        if killed:
            raise ZeroDivisionError


def run_update(part: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        target = path.parent / f"out.{part.split('.')[1]}"
        for old in path.parent.glob("out*"):
            old.unlink()
        _update(target, NAMES[:2])
        target.with_name(f"out{part}").write_bytes(path.read_bytes())
        _update(target, NAMES)
        assert {name for name, _ in stored(target, ROWS).pictures()} >= set(NAMES)

    return read


PICTURE = (ImageError,)
MODEL = (ModelFileError,)
DATA = (InputError, ImageError)
NEEDY_KEYS = tuple(re.findall(rb'"[\w.]+"', json.dumps(NEEDY.to_json()).encode()))
KEYS = (
    *re.findall(rb'"\w+"', json.dumps(CONFIG.to_json()).encode()),
    b'"default"',
    b'"F32"',
    b'"I8"',
    b'"BF16"',
    b'"data_offsets"',
)


def run_upright(path: Path) -> None:
    """Read all pages, as the job does first, and turn those that can be read."""
    sound = [page.number for page in read(path, 16, PIXELS) if page.pixels is not None]
    if sound:
        turned(path, dict.fromkeys(sound, 90))
        turned(path, dict.fromkeys(sound, 180))


def tagged(kind: str, **options: Any) -> Callable[[], list[bytes]]:
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x011A: 300.0, 0x011B: 150.0})
    return lambda: [encoded(picture(), kind, exif=exif, dpi=(300, 150), **options)]


def reports() -> list[bytes]:
    some = (
        Change("make", "/none/a", after="1" * 64),
        Change("replace", "/none/b", "0" * 64, "1" * 64, "000001.jpg"),
        Change("link", "/none/c", "0" * 64, to="/none/d", time="1"),
        Change("move", "/none/e", "0" * 64, to="/none/f"),
    )
    return [head("upright", "now") + b"".join(change.encoded() for change in some)]


EXIF = (b"Exif\0\0", b"MM\0*", b"II*\0", b"\x01\x12", b"JFIF\0", b"8BIM", b"MPF\0", b"\xff\xd9")
TARGETS = (
    Target("model", ".safetensors", model_bytes, run_model, MODEL),
    Target("model-header", ".safetensors", header, run_model, MODEL, KEYS, with_header),
    Target(
        "model-needs", ".safetensors", partial(header, True), run_model, MODEL, NEEDY_KEYS, partial(with_header, needy=True)
    ),
    Target("timm-config", ".json", timm_configs, timm_folder, MODEL, (b'"architecture"', b'"label_names"', b'"id2label"')),
    Target("jpeg", ".jpg", still("JPEG", {}, {"progressive": True}), run_decode, PICTURE),
    Target("jpeg-own", ".jpg", jpegs, run_own, PICTURE, (b"\xff\xd9", b"\xff\xd0", b"\xff\0")),
    Target("png", ".png", pngs, run_decode, PICTURE),
    Target("png-chunks", ".png", pngs, run_decode, PICTURE, (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"eXIf"), with_sums),
    Target("turn-jpeg", ".jpg", tagged("JPEG", comment=b"x"), run_upright, PICTURE, EXIF),
    Target("turn-png", ".png", tagged("PNG"), run_upright, PICTURE, (b"IHDR", b"IDAT", b"pHYs", b"eXIf"), with_sums),
    Target("turn-tiff", ".tif", tiffs, run_upright, PICTURE),
    Target("turn-tiff-pages", ".tif", film("TIFF"), run_upright, PICTURE),
    Target("turn-webp", ".webp", tagged("WEBP", lossless=True), run_upright, PICTURE, (b"VP8X", b"VP8L", b"EXIF")),
    Target("report", ".jsonl", reports, lambda path: list(undo(path, True)), (InputError,), (b'"kept"', b'"change"', b"../")),
    Target("gif", ".gif", film("GIF"), run_stream, PICTURE),
    Target("apng", ".png", film("PNG"), run_stream, PICTURE, (b"acTL", b"fcTL", b"fdAT"), with_sums),
    Target("webp", ".webp", still("WEBP", {}, {"lossless": True}), run_decode, PICTURE, (b"VP8X", b"VP8L", b"ALPH", b"EXIF")),
    Target("webp-film", ".webp", film("WEBP"), run_stream, PICTURE, (b"ANIM", b"ANMF")),
    Target("tiff", ".tif", tiffs, run_decode, PICTURE),
    Target("tiff-pages", ".tif", film("TIFF"), run_stream, PICTURE),
    Target("bmp", ".bmp", still("BMP", image=None), run_decode, PICTURE),
    Target("ppm", ".ppm", still("PPM"), run_decode, PICTURE, (b"P1", b"P3", b"P6", b"Pf", b"#")),
    Target("jpeg2000", ".jp2", still("JPEG2000", {}, {"no_jp2": True}), run_decode, PICTURE, (b"\xff\x51", b"jp2h")),
    Target("avif", ".avif", film("AVIF"), run_stream, PICTURE, (b"ispe", b"iloc", b"meta")),
    Target("mpo", ".mpo", film("MPO"), run_stream, PICTURE),
    Target("zip", ".zip", zips, run_stream, PICTURE, (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6")),
    Target("tar", ".tar", tars, run_stream, PICTURE, (b"ustar", b"GNU.sparse", b"size=99999999999\n"), with_tar_sum),
    Target("tar-gz", ".tar.gz", tars, run_stream, PICTURE, wrap=lambda data: gzip.compress(data, 1, mtime=0)),
    Target("gz", ".tgz", lambda: [gzip.compress(tars()[0], mtime=0)], run_stream, PICTURE),
    Target("data-zip", ".zip", zips, run_dataset, DATA, (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6")),
    Target("data-tar", ".tar", tars, run_dataset, DATA, (b"ustar", b".cls", b".json"), with_tar_sum),
    Target("table", ".csv", lambda: TABLES, run_table, DATA, (b"path", b"label", b"split", b"|", b"../", b",", b'"')),
    Target("torch-zip", ".pth", torch_files(True), read_checkpoint, MODEL, (b"PK\1\2", b"PK\3\4", b"PK\5\6")),
    Target("torch-pickle", ".pth", torch_pickles, read_checkpoint, MODEL, OPCODES, in_torch_zip),
    Target("torch-legacy", ".pth", torch_files(False), read_checkpoint, MODEL, OPCODES),
    Target("paddle", ".pdparams", paddle_files, read_checkpoint, MODEL, OPCODES),
    Target("onnx", ".onnx", onnx_files, run_convert, MODEL, GRAPH),
    Target("pir", ".json", lambda: [paddle_writer().pir()], in_folder("m.json"), MODEL, PADDLE),
    Target("pdmodel", ".pdmodel", lambda: [paddle_writer().pdmodel()], in_folder("m.pdmodel"), MODEL, PADDLE),
    Target("pdiparams", ".pdiparams", lambda: [paddle_writer().pdiparams()], in_folder("m.pdiparams"), MODEL),
    Target("paddle-yml", ".yml", lambda: [YAML], in_folder("m.yml"), MODEL, SETTINGS),
    Target(
        "transformers", ".json", transformers_configs, transformers_folder, MODEL, (b'"scale"', b'"block_configs"', b"null")
    ),
    Target("gallery", ".gallery", gallery_files(), run_gallery, (GalleryError,), (b"CREATE", b"SELECT", b"int8", b"picture")),
    Target("gallery-matrix", ".matrix", gallery_files(".matrix"), run_matrix, (), (b'"count"', b'"state"', b"40")),
    Target("labels", ".txt", lambda: LABELS, read_label_list, (InputError,), (b'"id2label"', b"\t", b",", b"0 ")),
    Target("list", ".txt", lambda: (b"a.png\nb.png\n", b"a.png\0b\n.png\0"), run_list, DATA),
    Target("recipe", ".json", recipes, run_recipe, (InputError,), (b'"epochs"', b'"lr"', b'"randaugment"', b"true")),
    Target("torch-record", ".json", records, run_record, (InputError,), (b'"asked"', b'"data"', b'"seed"', b"null", b"1e999")),
    Target("resume-csv", ".csv", working(".csv"), run_resume(".csv"), (InputError,), (b'"', b",", b"a.png", b"error")),
    Target("resume-jsonl", ".jsonl", working(".jsonl"), run_resume(".jsonl"), (InputError,), (b'"file"', b'"error"', b"null")),
    Target("resume-npz", ".partial", working(".npz"), run_resume(".npz"), (InputError,)),
    Target(
        "resume-begun", ".resume", lambda: (begun.described(begun.WRITE, BEGUN),), run_companion, (InputError,), (b'"command"',)
    ),
    *(
        Target(f"update{ending.replace('.', '-')}", ending, updated(ending), run_update(ending), (InputError,))
        for ending in (".csv", ".json", ".jsonl", ".npz", ".csv.partial", ".npz.partial", ".csv.state")
    ),
)

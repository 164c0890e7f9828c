"""Safetensors files with any description, for tests of what is read and what is refused."""

import json

import pytest

from lcnet.arch import Arch
from lcnet.config import ModelConfig
from lcnet.errors import ModelFileError
from lcnet.modelfile import read

ARCH = Arch(0.25, num_classes=2)


def description(**changes):
    """A valid description, with top-level fields replaced; a field set to `...` is left out."""
    fields = {"format_version": 1, **ModelConfig(ARCH).to_json(), **changes}
    return {k: v for k, v in fields.items() if v is not ...}


def save(path, weights, metadata=None):
    from safetensors.numpy import save_file

    save_file(weights, path, metadata)


def described(path, weights, text):
    """Write a file with this description: an object, or the very text."""
    save(path, weights, {"lcnet": text if isinstance(text, str) else json.dumps(text)})


def refused(path, match):
    with pytest.raises(ModelFileError, match=match) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()

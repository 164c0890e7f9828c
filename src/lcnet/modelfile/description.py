"""The text of a model file's description, and the JSON around it: read strictly, and never more than a file is worth.

docs/model-file.md states the bounds. What is read here can be written again, as UTF-8 and as JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..config import MAX_CLASSES, ModelConfig
from ..errors import ModelFileError

FORMAT_VERSION = 2  # of a description with needs; without any it is 1, so that older readers read it
METADATA_KEY = "lcnet"
MAX_DEPTH = 32  # of the description; the JSON parser's own limit differs from one Python to the next
# Python makes up to 50 bytes of one byte of JSON, so that what a description may cost follows from these two. A class has
# a name, an id, and its name once more with a threshold, and weights in the same file, to whose bytes the header is bound too.
MAX_DESCRIPTION, PER_CLASS = 1 << 20, 1 << 10  # bytes
_IT = f"its {METADATA_KEY!r} metadata"


def classes_of(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many classes the classifier's tensor has values for, whatever the description says."""
    shape = shapes.get("classifier.weight", ())
    return shape[0] if len(shape) == 2 and shape[1] else 0


def longest(classes: int) -> int:
    """The most bytes that the description of so many classes may have."""
    return MAX_DESCRIPTION + PER_CLASS * classes


def longest_header(classes: int) -> int:
    """The most bytes that a header may have: quoting doubles the description at most, and the tensors need some 30 kB."""
    return 3 * longest(classes)


def parse_config(text: str, classes: int = MAX_CLASSES) -> ModelConfig:
    """Read the JSON text of a model file's metadata. Raises `ModelFileError`.

    classes: of the file's classifier, which says how long the text may be; left out, as many as there can be.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > longest(classes):
        raise ModelFileError(f"{_IT} has {size} bytes, expected at most {longest(classes)} for {classes} classes")
    try:
        data = strict_json(text)
        if not isinstance(data, dict):
            raise ModelFileError(f"{_IT} is {type(data).__name__}, expected a JSON object")
        version = data.pop("format_version", None)
        if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
            found = f"{version!r:.40}"
            raise ModelFileError(f"format_version is {found}, expected 1 or {FORMAT_VERSION}: a newer lcnet may read it")
        if version == 1 and "needs" in data:
            raise ModelFileError(f"it has needs, but format_version is 1, expected {FORMAT_VERSION}")
        _check(data, MAX_DEPTH)
        return ModelConfig.from_json(data)
    except ValueError as error:
        raise ModelFileError(f"{_IT} is not JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None


def write_config(config: ModelConfig) -> str:
    """The JSON text of a description. Raises `ModelFileError` for one that `parse_config` would refuse."""
    try:
        text = json.dumps(versioned(config), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the model's description cannot be stored as JSON: {error}") from None
    parse_config(text, config.arch.num_classes)
    return text


def versioned(config: ModelConfig) -> dict[str, Any]:
    """The JSON object of a description, with its version first: the lowest whose readers run the model."""
    data = config.to_json()
    return {"format_version": FORMAT_VERSION if "needs" in data else 1, **data}


def strict_json(text: str | bytes) -> Any:
    """Read JSON in which no key of an object is there twice and every number is finite. Raises `ValueError`."""
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is more than a number can be")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _check(value: Any, left: int) -> None:
    """Refuse what is nested too deeply, and text that UTF-8 cannot write: nobody could store or print it."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ModelFileError(f"{_IT} has the text {value!r:.60}, which is no Unicode: half of a UTF-16 pair") from None
    elif isinstance(value, (dict, list)):
        if not left:
            raise _too_deep()
        for child in (*value, *value.values()) if isinstance(value, dict) else value:
            _check(child, left - 1)


def _too_deep() -> ModelFileError:
    return ModelFileError(f"{_IT} is nested more than {MAX_DEPTH} levels deep")

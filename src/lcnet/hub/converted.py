"""Paddle's inference models, in a hub's repository or a folder: each is converted once, and kept for whoever comes next.

Owns which files such a model has, and the name of what became of them: it is of their content and the converter's format,
so that other files or a newer converter make another, and of its own content, so that damage shows. Nothing here needs the
converter as long as there is one.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..errors import LcnetError, WeightsError
from ..files import held, sweep
from ..text import reason
from . import store
from .transfer import NoSuchFile, Remote, fetch, verify

FORMAT = 2  # of what `lcnet.convert` makes of a Paddle model: one more whenever that changes
GRAPHS = ("inference.json", "inference.pdmodel")  # the newer first
PARTS = {
    "inference.pdiparams": "has the weights of its graph",
    "inference.yml": "says what a picture goes through and what the classes are called",
}
_KINDS = (".pdmodel", ".pdiparams", ".json", ".yml", ".yaml")
_MAX_FILES = 64  # of these kinds in a folder, all of which are hashed
_NAME = re.compile(r"[0-9a-f]{32}-([0-9a-f]{64})\.safetensors")


def is_paddle(names: Iterable[str]) -> bool:
    """Whether a folder with these names holds an inference model of Paddle's, or a part of one."""
    return any(name == GRAPHS[0] or name.endswith((".pdiparams", ".pdmodel")) for name in names)


def cached_parts(want: Remote) -> list[Path] | None:
    """The model's files in the cache, the graph first, if all are there."""
    for graph in GRAPHS:
        paths = [replace(want, file=file).cached() for file in (graph, *PARTS)]
        if all(paths):
            return [path for path in paths if path]
    return None


def fetched_parts(want: Remote) -> list[Path]:
    """The model's files, the graph first, all of one commit. Raises `NoSuchFile` if the repository has no graph."""
    there = cached_parts(want)
    if there:
        return there
    try:
        graph = fetch(replace(want, file=GRAPHS[0]))
    except NoSuchFile:
        graph = _older(want)
    commit = graph.parent.name
    try:
        return [graph, *(fetch(replace(want, file=file, revision=commit, use=use)) for file, use in PARTS.items())]
    except NoSuchFile as error:
        raise WeightsError(str(error)) from None


def _older(want: Remote) -> Path:
    try:
        return fetch(replace(want, file=GRAPHS[1]))
    except NoSuchFile:
        either = " nor ".join(GRAPHS)
        raise NoSuchFile(f"{want.repo} has neither {either} at revision {want.revision!r}: expected a Paddle model") from None


def parts_in(folder: Path, names: Iterable[str]) -> list[Path]:
    """Every file of a folder that may belong to the model in it. Raises `WeightsError` for more than a model has."""
    paths = [path for name in sorted(names) if name.endswith(_KINDS) and (path := folder / name).is_file()]
    if len(paths) > _MAX_FILES:
        raise WeightsError(
            f"{folder} has {len(paths)} files that could be a Paddle model's: put the model into a folder of its own"
        )
    return paths


def model_of(source: Path, paths: list[Path], place: Path) -> tuple[Path, str]:
    """The model file of a Paddle model, and its sha256: from `place`, or made and put there.

    `source`: the graph, or the folder of it and all that may go with it; `paths`: the files. Raises `WeightsError` where it
    cannot be put there or a cached file is damaged, and what `lcnet.convert.convert` raises for the files.
    """
    try:
        key = _key(paths)
    except OSError as error:
        raise WeightsError(f"{source} cannot be read: {reason(error)}") from None
    there = _find(place, key)
    if there is None:
        for path in paths:
            if sha256 := store.promised(path):
                verify(str(path), path, sha256)
        there = _make(source, place, key)
    return there, there.stem.partition("-")[2]


def _key(paths: list[Path]) -> str:
    files = {path.name: store.promised(path) or store.sha256_of(path) for path in paths}
    return store.sha256(json.dumps([FORMAT, files], sort_keys=True).encode())[:32]


def _find(place: Path, key: str) -> Path | None:
    """What is there already, and undamaged."""
    for path in sorted(place.glob(f"{key}-*.safetensors")):
        if (name := _NAME.fullmatch(path.name)) and _has(path, name[1]):
            return path
        warnings.warn(f"{path} is damaged: it is converted again", stacklevel=2)
    return None


def _has(path: Path, sha256: str) -> bool:
    with suppress(OSError):
        return store.sha256_of(path) == sha256
    return False


def _make(source: Path, place: Path, key: str) -> Path:
    """Convert into a folder beside the place, and put what came of it there: two processes at once put the same."""
    from tempfile import TemporaryDirectory

    from ..convert import convert

    try:
        place.mkdir(parents=True, exist_ok=True)
        sweep(place, re.compile(r"\.incomplete-\w+"))
        with TemporaryDirectory(prefix=".incomplete-", dir=place) as staging, held(Path(staging)):
            made = Path(staging, "model.safetensors")
            convert(source, made)
            return made.replace(place / f"{key}-{store.sha256_of(made)}.safetensors")
    except LcnetError:
        raise
    except OSError as error:
        raise WeightsError(
            f"{source} is a Paddle model, which is converted once, and what it becomes cannot be written to {place} "
            f"({reason(error)}): run `lcnet convert {source} OUT.safetensors` and give that path, or set HF_HOME to a folder "
            "that can be written"
        ) from None

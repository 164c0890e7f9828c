"""From a model's name to a verified file on this machine: the cache first, the network only when nothing else will do.

Owns the forms that a name can take, and where each is looked for. Refuses files whose sha256 is not the promised one, and
pickles; what is PaddlePaddle's is converted once (`converted`). docs/weights.md is the user's account of all this.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from .. import zoo
from ..config import ModelConfig
from ..errors import InputError, WeightsError
from ..files import write_atomically
from ..text import reason
from . import converted, store
from .transfer import CONFIG, WEIGHTS, NoSuchFile, Remote, fetch, instead, verify

BUNDLED = Path(__file__).parents[1] / "bundled"
HUB_PREFIXES = ("hf-hub:", "hf_hub:")
FOLDER_PREFIX = "local-dir:"

_REPO = re.compile(r"(\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?)(?:@(\w[\w./+-]*))?", re.ASCII)


@dataclass(frozen=True)
class Located:
    """A weights file on this machine.

    `config` describes it if it carries no description of its own and none is to be read from a `config.json` beside it;
    `source` says where it came from; `sha256` is what its content was promised to be, where anybody promised; `converted`:
    it was made of the files of that source.
    """

    path: Path
    config: ModelConfig | None
    source: str
    sha256: str | None = None
    converted: bool = False


def locate(
    name: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None = None, offline: bool | None = None
) -> Located:
    """Find the weights file of a model name, downloading it if it is not in the cache.

    `name`: `lcnet_050`, `lcnet_050.ra2_in1k`, `hf-hub:owner/repo[@revision]`, `local-dir:FOLDER` (the forms of timm's
    `create_model`), or a path. An inference model of Paddle's is converted once. `offline` forbids the network;
    HF_HUB_OFFLINE does too, whatever is passed here. Raises `InputError` for a name that means nothing, `WeightsError` for
    weights that cannot be had, `ModelFileError` for a Paddle model that is no LCNet.
    """
    try:
        return _locate(name, cache_dir, _offline(offline))
    except NoSuchFile as error:
        raise WeightsError(str(error)) from None


def _locate(name: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None, offline: bool) -> Located:
    text, place = os.fspath(name), _converted_folder(cache_dir)
    if isinstance(name, os.PathLike):
        return _locate_path(text, place)
    if text.startswith(HUB_PREFIXES):
        return _locate_repo(_parse_repo(text, _cache(cache_dir), offline))
    if text.startswith(FOLDER_PREFIX):
        return _locate_folder(_expand(text.removeprefix(FOLDER_PREFIX)), place)
    if "/" in text or os.sep in text or text.endswith(".safetensors"):
        return _locate_path(text, place)
    try:
        entry = zoo.find(text)
    except InputError:
        with suppress(OSError):
            if text and Path(text).exists():
                return _locate_path(text, place)
        raise
    return _locate_entry(entry, _cache(cache_dir), offline)


def cached(entry: zoo.Entry, cache_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The file of a zoo entry if it is on this machine already (bundled, or cached with the right size), else None.

    Of a Paddle model the graph, if all its files are.
    """
    if entry.bundled:
        path = BUNDLED / entry.bundled
        return path if path.is_file() else None
    if not entry.hub_id:
        return None
    want = _entry_file(entry, _cache(cache_dir), offline=True)
    if entry.paddle:
        parts = converted.cached_parts(want)
        return parts[0] if parts else None
    return want.sound()


def download(name: str | os.PathLike[str], to: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Put a model's weights in folder `to`, for `local-dir:`, and a `config.json` if timm has such a network.

    Returns the path of the weights; their own description is all that another network has. The cached file is hashed again
    before it is copied. Raises what `locate` raises, and `ModelFileError` for weights that are no LCNet or files that cannot
    be written.
    """
    from .. import modelfile
    from ..modelfile.timm_config import to_config_json

    found, folder = locate(name, cache_dir), _expand(to)
    if found.sha256:
        verify(os.fspath(name), found.path, found.sha256)
    config = modelfile.read_config(found.path, found.config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        data = found.path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot copy {found.path} to {folder}: {reason(error)}") from None
    # Weights last: a folder that has them has all.
    if config.arch.usual:
        fused = config.arch.training_parameters != config.arch.parameters and not modelfile.has_branches(found.path)
        write_atomically(folder / CONFIG, to_config_json(config, fused).encode())
    write_atomically(folder / WEIGHTS, data)
    return folder / WEIGHTS


def cache_folder() -> Path:
    """The folder of huggingface_hub's cache, by the rules of its `constants.py`, without importing it."""
    older = os.environ.get("HUGGINGFACE_HUB_CACHE", _home() / "hub")
    return Path(os.path.expandvars(_expand(os.environ.get("HF_HUB_CACHE", older))))


def _home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expandvars(_expand(os.environ.get("HF_HOME", Path(base, "huggingface")))))


def _converted_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """What becomes of Paddle models in folders: where huggingface_hub's libraries keep what is their own."""
    assets = os.environ.get("HF_ASSETS_CACHE", _home() / "assets")
    return (Path(os.path.expandvars(_expand(assets))) if cache_dir is None else _expand(cache_dir)) / "lcnet"


def _expand(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  pathlib's raises where there is no home


def _cache(cache_dir: str | os.PathLike[str] | None) -> Path:
    return cache_folder() if cache_dir is None else _expand(cache_dir)


def _offline(asked: bool | None) -> bool:
    name = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
    return bool(asked) or store.flag(name)


def _locate_path(text: str, place: Path) -> Located:
    path = _expand(text)
    try:
        folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise WeightsError(f"the model file {text!r} cannot be read: {reason(error)}") from None
    return _locate_folder(path, place) if folder else Located(path, None, text)


def _locate_folder(folder: Path, place: Path) -> Located:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{FOLDER_PREFIX}{folder} cannot be read: {reason(error)}") from None
    models = [WEIGHTS] if WEIGHTS in names else [n for n in names if n.endswith(".safetensors")]
    if len(models) == 1:
        return Located(folder / models[0], None, f"{FOLDER_PREFIX}{folder}")
    if models:
        raise WeightsError(f"{folder} has no {WEIGHTS} but {', '.join(models)}: give the path of the one you mean")
    if converted.is_paddle(names):
        path, sha256 = converted.model_of(folder, converted.parts_in(folder, names), place)
        return Located(path, None, f"{FOLDER_PREFIX}{folder}", sha256, converted=True)
    from ..modelfile.kinds import SUFFIXES, identify_folder

    pickles = [n for n in names if n.endswith(SUFFIXES) and not n.endswith(".safetensors")]
    if pickles:
        raise WeightsError(
            f"{folder} has no {WEIGHTS}, only {', '.join(pickles)}, which are not loaded: "
            f"run `lcnet convert {folder / pickles[0]} {folder / WEIGHTS}`"
        )
    told = identify_folder(names) or "expected one, as `lcnet download NAME --to DIR` puts it"
    raise WeightsError(f"{folder} has no {WEIGHTS}: {told}")


def _locate_entry(entry: zoo.Entry, cache: Path, offline: bool) -> Located:
    if entry.hub_id:
        want = _entry_file(entry, cache, offline)
        if entry.paddle:
            return _converted(want)
        path = fetch(want)
        source = f"{HUB_PREFIXES[0]}{entry.hub_id}@{path.parent.name}"
        return Located(path, entry.config(), source, entry.sha256 or store.promised(path))
    if entry.bundled:
        path = BUNDLED / entry.bundled
        if not path.is_file():
            raise WeightsError(f"{entry.name} should be bundled, but {path} is missing: install lcnet again")
        return Located(path, entry.config(), "bundled")
    if entry.url:
        raise WeightsError(
            f"{entry.name} is published for PaddlePaddle only: download {entry.url}, run `lcnet convert "
            f"{entry.url.rpartition('/')[2]} {entry.name}.safetensors`, and give that path"
        )
    have = [e.name for e in zoo.ENTRIES if e.pretrained and not e.paddle]
    paddle = [e.name for e in zoo.ENTRIES if e.url and e.arch_name == entry.arch_name]
    also = f"; {', '.join(paddle)} can be had through `lcnet convert`" if paddle else ""
    raise WeightsError(f"{entry.name} has no published weights: expected one of {', '.join(have)}{also}")


def _entry_file(entry: zoo.Entry, cache: Path, offline: bool) -> Remote:
    assert entry.hub_id is not None
    return Remote(entry.name, entry.hub_id, entry.revision, cache, offline, size=entry.size, sha256=entry.sha256)


def _parse_repo(text: str, cache: Path, offline: bool) -> Remote:
    match = _REPO.fullmatch(text.partition(":")[2])
    if match is None or ".." in text or "--" in match[1]:
        raise InputError(f"{text!r} is no hub name: expected {HUB_PREFIXES[0]}owner/repo or owner/repo@revision")
    return Remote(text, match[1], match[2] or "main", cache, offline)


def _locate_repo(want: Remote) -> Located:
    zoo.refuse(want.repo.removeprefix("PaddlePaddle/"))
    known = any(entry.paddle and entry.hub_id == want.repo for entry in zoo.ENTRIES)
    if known or (not want.cached() and converted.cached_parts(want)):
        return _converted(want)
    try:
        path = fetch(want)
    except NoSuchFile:
        try:
            return _converted(want)
        except NoSuchFile:
            raise instead(want) from None
    if not _describes_itself(path):
        fetch(replace(want, file=CONFIG, revision=path.parent.name))  # of the same commit, and so in the same folder
    return Located(path, None, f"{HUB_PREFIXES[0]}{want.repo}@{path.parent.name}", store.promised(path))


def _converted(want: Remote) -> Located:
    """A repository of Paddle's: its files, and what they become, which lies in its folder of the cache and goes with it."""
    paths, place = converted.fetched_parts(want), want.folder / "lcnet"
    store.check_inside(want.folder, place / WEIGHTS)
    path, sha256 = converted.model_of(paths[0], paths, place)
    return Located(path, None, f"{HUB_PREFIXES[0]}{want.repo}@{paths[0].parent.name}", sha256, converted=True)


def _describes_itself(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    from ..modelfile.description import METADATA_KEY

    with suppress(SafetensorError, OSError), safe_open(path, framework="numpy") as file:
        return METADATA_KEY in (file.metadata() or {})
    return True  # no description helps a damaged file: its reader says what is wrong

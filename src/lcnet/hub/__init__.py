"""From a model's name to a verified file on this machine: the cache first, the network only when nothing else will do.

Owns the forms that a name can take, the search in huggingface_hub's cache, and the words when weights cannot be had.
Refuses files whose sha256 is not the promised one, and pickles. huggingface_hub does the transfer and is imported for
one only: that import alone takes longer than classifying a picture. docs/weights.md is the user's account of all this.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import zoo
from ..config import ModelConfig
from ..errors import InputError, LcnetError, WeightsError
from ..files import held, sweep, write_atomically
from ..text import reason
from . import store
from .patience import TooSlow, patiently, small_steps

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PICKLE = "pytorch_model.bin"
BUNDLED = Path(__file__).parents[1] / "bundled"
HUB_PREFIXES = ("hf-hub:", "hf_hub:")
FOLDER_PREFIX = "local-dir:"

_REPO = re.compile(r"(\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?)(?:@(\w[\w./+-]*))?", re.ASCII)


@dataclass(frozen=True)
class Located:
    """A weights file on this machine.

    `config` describes it if it carries no description of its own and none is to be read from a `config.json` beside it;
    `source` says where it came from; `sha256` is what its content was promised to be, where anybody promised.
    """

    path: Path
    config: ModelConfig | None
    source: str
    sha256: str | None = None


@dataclass(frozen=True)
class _Remote:
    """One file of a hub repository, its place in the cache, and what is known of its content in advance."""

    asked: str  # the name that the user gave
    repo: str
    revision: str
    cache: Path
    offline: bool
    file: str = WEIGHTS
    size: int | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        return f"{self.file} of {self.repo} (revision {self.revision})"

    @property
    def folder(self) -> Path:
        """What the cache holds of the repository."""
        return self.cache / f"models--{self.repo.replace('/', '--')}"

    def cached(self) -> Path | None:
        """The cached file, if there is one."""
        return store.find(self.folder, self.revision, self.file)

    def sound(self) -> Path | None:
        """The cached file, unless it is visibly not the one."""
        path = self.cached()
        return None if path is None or self.wrong_size(path) else path

    def wrong_size(self, path: Path) -> bool:
        """Whether a file whose hash is pinned is visibly not it; a size without a hash is a mere prediction."""
        return bool(self.sha256 and self.size) and path.stat().st_size != self.size


def locate(
    name: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None = None, offline: bool | None = None
) -> Located:
    """Find the weights file of a model name, downloading it if it is not in the cache.

    `name`: `lcnet_050`, `lcnet_050.ra2_in1k`, `hf-hub:owner/repo[@revision]`, `local-dir:FOLDER` (the forms of timm's
    `create_model`), or a path. `offline` forbids the network; HF_HUB_OFFLINE does too, whatever is passed here.
    Raises `InputError` for a name that means nothing, `WeightsError` for weights that cannot be had.
    """
    text = os.fspath(name)
    if isinstance(name, os.PathLike):
        return _locate_path(text)
    if text.startswith(HUB_PREFIXES):
        return _locate_repo(_parse_repo(text, _cache(cache_dir), _offline(offline)))
    if text.startswith(FOLDER_PREFIX):
        return _locate_folder(_expand(text.removeprefix(FOLDER_PREFIX)))
    if "/" in text or os.sep in text or text.endswith(".safetensors"):
        return _locate_path(text)
    try:
        entry = zoo.find(text)
    except InputError:
        with suppress(OSError):
            if text and Path(text).exists():
                return _locate_path(text)
        raise
    return _locate_entry(entry, _cache(cache_dir), _offline(offline))


def cached(entry: zoo.Entry, cache_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The file of a zoo entry if it is on this machine already (bundled, or cached with the right size), else None."""
    if entry.bundled:
        path = BUNDLED / entry.bundled
        return path if path.is_file() else None
    if not entry.hub_id:
        return None
    return _entry_file(entry, _cache(cache_dir), offline=True).sound()


def download(name: str | os.PathLike[str], to: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Put a model's weights and a timm `config.json` in folder `to`, for `local-dir:`; returns the path of the weights.

    A network that timm does not have gets no `config.json`: its file describes itself. The cached file is hashed again before
    it is copied. Raises what `locate` raises, and `ModelFileError` for weights that are no LCNet or files that cannot be
    written.
    """
    from .. import modelfile
    from ..modelfile.timm_config import to_config_json

    found, folder = locate(name, cache_dir), _expand(to)
    if found.sha256:
        _verify(os.fspath(name), found.path, found.sha256)
    config = modelfile.read_config(found.path, found.config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        data = found.path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot copy {found.path} to {folder}: {reason(error)}") from None
    # Weights last: a folder that has them has all.
    if config.arch.usual:
        write_atomically(folder / CONFIG, to_config_json(config).encode())
    write_atomically(folder / WEIGHTS, data)
    return folder / WEIGHTS


def cache_folder() -> Path:
    """The folder of huggingface_hub's cache, by the rules of its `constants.py`, without importing it."""
    base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.path.expandvars(_expand(os.environ.get("HF_HOME", Path(base, "huggingface"))))
    older = os.environ.get("HUGGINGFACE_HUB_CACHE", Path(home, "hub"))
    return Path(os.path.expandvars(_expand(os.environ.get("HF_HUB_CACHE", older))))


def _expand(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  pathlib's raises where there is no home


def _cache(cache_dir: str | os.PathLike[str] | None) -> Path:
    return cache_folder() if cache_dir is None else _expand(cache_dir)


def _offline(asked: bool | None) -> bool:
    name = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
    return bool(asked) or store.flag(name)


def _locate_path(text: str) -> Located:
    path = _expand(text)
    try:
        folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise WeightsError(f"the model file {text!r} cannot be read: {reason(error)}") from None
    return _locate_folder(path) if folder else Located(path, None, text)


def _locate_folder(folder: Path) -> Located:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{FOLDER_PREFIX}{folder} cannot be read: {reason(error)}") from None
    models = [WEIGHTS] if WEIGHTS in names else [n for n in names if n.endswith(".safetensors")]
    if len(models) == 1:
        return Located(folder / models[0], None, f"{FOLDER_PREFIX}{folder}")
    if models:
        raise WeightsError(f"{folder} has no {WEIGHTS} but {', '.join(models)}: give the path of the one you mean")
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
        path = _fetch(want)
        source = f"{HUB_PREFIXES[0]}{entry.hub_id}@{path.parent.name}"
        return Located(path, entry.config(), source, entry.sha256 or _promised(path))
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
    have = [e.name for e in zoo.ENTRIES if e.pretrained]
    paddle = [e.name for e in zoo.ENTRIES if e.url and e.arch_name == entry.arch_name]
    also = f"; {', '.join(paddle)} can be had through `lcnet convert`" if paddle else ""
    raise WeightsError(f"{entry.name} has no published weights: expected one of {', '.join(have)}{also}")


def _entry_file(entry: zoo.Entry, cache: Path, offline: bool) -> _Remote:
    assert entry.hub_id is not None
    return _Remote(entry.name, entry.hub_id, entry.revision, cache, offline, size=entry.size, sha256=entry.sha256)


def _parse_repo(text: str, cache: Path, offline: bool) -> _Remote:
    match = _REPO.fullmatch(text.partition(":")[2])
    if match is None or ".." in text or "--" in match[1]:
        raise InputError(f"{text!r} is no hub name: expected {HUB_PREFIXES[0]}owner/repo or owner/repo@revision")
    return _Remote(text, match[1], match[2] or "main", cache, offline)


def _locate_repo(want: _Remote) -> Located:
    path = _fetch(want)
    if not _describes_itself(path):
        _fetch(replace(want, file=CONFIG, revision=path.parent.name))  # of the same commit, and so in the same folder
    return Located(path, None, f"{HUB_PREFIXES[0]}{want.repo}@{path.parent.name}", _promised(path))


def _describes_itself(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    from ..modelfile.description import METADATA_KEY

    with suppress(SafetensorError, OSError), safe_open(path, framework="numpy") as file:
        return METADATA_KEY in (file.metadata() or {})
    return True  # no description helps a damaged file: its reader says what is wrong


def _fetch(want: _Remote) -> Path:
    path = want.cached()
    if path is None:
        return _download(want)
    if not want.wrong_size(path):
        return path
    problem = f"{path} has {path.stat().st_size} bytes, expected {want.size}"
    if want.offline:
        raise WeightsError(f"{problem}: delete the folder {want.folder} and get it again with a network")
    warnings.warn(f"{problem}: it is downloaded again", stacklevel=2)
    return _download(want)


def _download(want: _Remote) -> Path:
    if want.offline:
        raise _unreachable(want, "the network is not to be used (HF_HUB_OFFLINE or offline=True)")
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        # Asked here, not by the transfer alone: that repeats a refused request for 23 seconds.
        stated = patiently(lambda: get_hf_file_metadata(hf_hub_url(want.repo, want.file, revision=want.revision)))
        commit, etag = store.check_answer(stated.commit_hash, stated.etag)
        path = _obtain(replace(want, revision=commit), etag)
        with suppress(LcnetError, OSError):  # what is not remembered is asked again
            store.point(want.folder, want.revision, commit)
    except LcnetError:
        raise
    except ImportError as error:
        raise _unreachable(want, f"huggingface_hub, which downloads, cannot be imported ({error})") from None
    except Exception as error:  # huggingface_hub's, its HTTP library's, xet's: which ones differs between its versions
        raise _explain(want, error) from None
    return path


def _obtain(want: _Remote, etag: str) -> Path:
    """Put a file of a commit into the cache once it is whole and verified; the cache is as it was until then."""
    from tempfile import TemporaryDirectory

    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined, unused-ignore]

    if there := want.sound():
        return there
    name = want.sha256 or etag
    lock = want.cache / ".locks" / want.folder.name / f"{name}.lock"  # also huggingface_hub's
    for folder in (lock.parent, want.folder):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(want.folder, re.compile(r"\.incomplete-\w+"))
    with WeakFileLock(lock), TemporaryDirectory(prefix=".incomplete-", dir=want.folder) as staging, held(Path(staging)):
        if there := want.sound():  # another process was quicker
            return there
        fresh = None if store.has(want.folder, name) else _transfer(want, name, staging)
        return store.put(want.folder, want.revision, want.file, name, Path(staging), fresh)


def _transfer(want: _Remote, name: str, staging: str) -> Path:
    """Download into `staging`, and verify by `name` if it is a sha256: as an ETag it is if the hub uses LFS or xet.

    Into a folder, not into the cache: there huggingface_hub makes paths of the ETag and the commit of a second answer,
    which need not be those that were checked.
    """
    from huggingface_hub import hf_hub_download

    empty, folder = f"{staging}/none", f"{staging}/files"  # a file in its cache, maybe the damaged one, would be copied
    get = partial(hf_hub_download, want.repo, want.file, revision=want.revision, cache_dir=empty, local_dir=folder)
    with small_steps():
        path = Path(patiently(get, Path(staging)))
    if store.SHA256.fullmatch(name):
        _compare(str(want), path.read_bytes(), name, "It is not kept")
    return path


def _verify(what: str, path: Path, expected: str) -> None:
    """Raise `WeightsError` and remove the cached file unless its sha256 is `expected`."""
    try:
        data = path.read_bytes()
        try:
            _compare(what, data, expected, "It is removed from the cache")
        except WeightsError:
            store.remove(path, store.sha256(data))
            raise
    except OSError as error:
        raise WeightsError(f"{path} cannot be read or removed: {reason(error)}") from None


def _compare(what: str, data: bytes, expected: str, done: str) -> None:
    found = store.sha256(data)
    if found != expected:
        raise WeightsError(
            f"{what} is not the file that was promised: expected sha256 {expected}, found {found} "
            f"({len(data)} bytes). {done}, and the next try downloads it afresh; "
            "if that fails too, a proxy or a mirror (HF_ENDPOINT) changes it"
        )


def _promised(path: Path) -> str | None:
    """The sha256 that names a snapshot's blob, where the cache has links."""
    name = path.readlink().name if path.is_symlink() else ""
    return name if store.SHA256.fullmatch(name) else None


def _explain(want: _Remote, error: Exception) -> WeightsError:
    """Say in one message why the transfer failed: by the hub's status and error code, else by the error's words."""
    response: Any = getattr(error, "response", None)
    if isinstance(error, TooSlow):
        return _unreachable(want, f"the server sent {error}")
    if response is None:
        if isinstance(error, OSError) and error.errno is not None:
            return WeightsError(
                f"cannot download {want}: the cache {want.cache} cannot be written ({reason(error)}); "
                "set HF_HOME to a folder that can"
            )
        return _unreachable(want, f"the download failed ({type(error).__name__}: {reason(error)})")
    status, code = response.status_code, response.headers.get("X-Error-Code")
    if code == "EntryNotFound":
        return WeightsError(_no_such_file(want))
    if code == "RevisionNotFound":
        return WeightsError(f"{want.repo} has no revision {want.revision!r} on the hub")
    if code == "GatedRepo" or status == 403:
        return WeightsError(f"{want.repo} is gated ({status}): accept its terms on its hub page, and set HF_TOKEN")
    if code == "RepoNotFound" or status in (401, 404):
        return WeightsError(f"the hub does not show {want.repo} ({status}): check the name; if it is private, HF_TOKEN")
    return _unreachable(want, f"the hub answered {status}; it may be better later")


def _no_such_file(want: _Remote) -> str:
    if want.file == CONFIG:
        return f"{want.repo} has no {CONFIG}, which weights without a description of their own need"
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        patiently(lambda: get_hf_file_metadata(hf_hub_url(want.repo, PICKLE, revision=want.revision)))
    except Exception:  # whatever it is, the answer is that there is no such file either
        return f"{want.repo} has no {want.file} at revision {want.revision!r}: expected the weights of an LCNet"
    return (
        f"{want.repo} has no {want.file}, only {PICKLE}, which is not loaded: "
        f"download it and run `lcnet convert {PICKLE} {WEIGHTS}`"
    )


def _unreachable(want: _Remote, reason: str) -> WeightsError:
    return WeightsError(
        f"cannot get {want}: it is not in the cache {want.cache}, and {reason}. Ways out: "
        f"(1) with a network, `lcnet download {want.asked} --to DIR`, copy DIR here and load `local-dir:DIR`; "
        "(2) set HF_HOME to the folder of another cache that has it; (3) give the path of a model file that you have. "
        "`lcnet_050.cifar10` is bundled and needs no download."
    )

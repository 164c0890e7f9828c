"""One file of a hub's repository into the cache: the cache first, then the network, and the words for what fails there.

Owns the download: huggingface_hub does the transfer, and nothing gets into the cache that is not what the hub promised. It
is imported for a download only: that import alone takes longer than classifying a picture.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import LcnetError, WeightsError
from ..files import held, sweep
from ..text import reason
from . import store
from .patience import TooSlow, patiently, small_steps

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PICKLE = "pytorch_model.bin"


class NoSuchFile(WeightsError):
    """The repository is there, and has no such file."""


@dataclass(frozen=True)
class Remote:
    """One file of a hub repository, its place in the cache, and what is known of its content in advance."""

    asked: str  # the name that the user gave
    repo: str
    revision: str
    cache: Path
    offline: bool
    file: str = WEIGHTS
    size: int | None = None
    sha256: str | None = None
    use: str = ""  # what needs the file

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


def fetch(want: Remote) -> Path:
    """The file in the cache, downloaded if it is not there. Raises `WeightsError`, `NoSuchFile` if the hub has none."""
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


def _download(want: Remote) -> Path:
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


def _obtain(want: Remote, etag: str) -> Path:
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


def _transfer(want: Remote, name: str, staging: str) -> Path:
    """Download into `staging`, and verify by `name` if it is a hash of the content, as a hub's ETag is (`store.digest`).

    Into a folder, not into the cache: there huggingface_hub makes paths of the ETag and the commit of a second answer,
    which need not be those that were checked.
    """
    from huggingface_hub import hf_hub_download

    empty, folder = f"{staging}/none", f"{staging}/files"  # a file in its cache, maybe the damaged one, would be copied
    get = partial(hf_hub_download, want.repo, want.file, revision=want.revision, cache_dir=empty, local_dir=folder)
    with small_steps():
        path = Path(patiently(get, Path(staging)))
    if store.is_digest(name):
        compare(str(want), path.read_bytes(), name, "It is not kept")
    return path


def compare(what: str, data: bytes, expected: str, done: str) -> None:
    """Raise `WeightsError` unless the content has the hash `expected`, of the kind that it is; `done`: what is done then."""
    kind, found = store.digest(data, expected)
    if found != expected:
        raise WeightsError(
            f"{what} is not the file that was promised: expected {kind} {expected}, found {found} "
            f"({len(data)} bytes). {done}, and the next try downloads it afresh; "
            "if that fails too, a proxy or a mirror (HF_ENDPOINT) changes it"
        )


def verify(what: str, path: Path, expected: str) -> None:
    """Raise `WeightsError` and remove the cached file unless its sha256 is `expected`."""
    try:
        data = path.read_bytes()
        try:
            compare(what, data, expected, "It is removed from the cache")
        except WeightsError:
            store.remove(path, store.sha256(data))
            raise
    except OSError as error:
        raise WeightsError(f"{path} cannot be read or removed: {reason(error)}") from None


def _explain(want: Remote, error: Exception) -> WeightsError:
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
        return NoSuchFile(_no_such_file(want))
    if code == "RevisionNotFound":
        return WeightsError(f"{want.repo} has no revision {want.revision!r} on the hub")
    if code == "GatedRepo" or status == 403:
        return WeightsError(f"{want.repo} is gated ({status}): accept its terms on its hub page, and set HF_TOKEN")
    if code == "RepoNotFound" or status in (401, 404):
        return WeightsError(f"the hub does not show {want.repo} ({status}): check the name; if it is private, HF_TOKEN")
    return _unreachable(want, f"the hub answered {status}; it may be better later")


def _no_such_file(want: Remote) -> str:
    use = f", which {want.use}" if want.use else ""
    return f"{want.repo} has no {want.file} at revision {want.revision!r}{use}"


def instead(want: Remote) -> WeightsError:
    """What to say of a repository that has no weights which can be read."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        patiently(lambda: get_hf_file_metadata(hf_hub_url(want.repo, PICKLE, revision=want.revision)))
    except Exception:  # whatever it is, the answer is that there is no such file either
        return WeightsError(f"{_no_such_file(want)}: expected the weights of an LCNet")
    return WeightsError(
        f"{want.repo} has no {want.file}, only {PICKLE}, which is not loaded: "
        f"download it and run `lcnet convert {PICKLE} {WEIGHTS}`"
    )


def _unreachable(want: Remote, reason: str) -> WeightsError:
    return WeightsError(
        f"cannot get {want}: it is not in the cache {want.cache}, and {reason}. Ways out: "
        f"(1) with a network, `lcnet download {want.asked} --to DIR`, copy DIR here and load `local-dir:DIR`; "
        "(2) set HF_HOME to the folder of another cache that has it; (3) give the path of a model file that you have. "
        "`lcnet_050.cifar10` is bundled and needs no download."
    )

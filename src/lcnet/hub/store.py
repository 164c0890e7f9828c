"""One repository's folder in huggingface_hub's cache, `models--owner--repo`: what it has, how a file gets in and out.

Owns the layout that huggingface_hub documents: refs/<revision> names a commit, and snapshots/<commit>/<file> is a link
to blobs/<ETag>, or the file itself where there are no links. A hub's answers become names here and links may lead to
anybody's files, so only plain names are taken, and what lies outside of the folder is never written nor removed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ..errors import WeightsError

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_TRUE = ("1", "ON", "YES", "TRUE")


def check_answer(commit: str | None, etag: str | None) -> tuple[str, str]:
    """What a hub says of a file, if both can be names in the cache. Raises `OSError`: one that cannot is no hub's."""
    if commit is None or etag is None:
        raise OSError("what answers is not a Hugging Face hub (a proxy's page, or a wrong HF_ENDPOINT)")
    for header, value, form, meaning in (
        ("X-Repo-Commit", commit, COMMIT, "40 hexadecimal digits"),
        ("ETag", etag, _NAME, "letters, digits, '.', '_' and '-'"),
    ):
        if not form.fullmatch(value):
            raise OSError(
                f"what answers is not a Hugging Face hub: its {header} is {value[:100]!r}, expected {meaning}; "
                "check HF_ENDPOINT and the proxy"
            )
    return commit, etag


def flag(name: str) -> bool:
    """Whether an environment variable is set to what huggingface_hub takes for true."""
    return os.environ.get(name, "").upper() in _TRUE


def find(folder: Path, revision: str, file: str) -> Path | None:
    """The cached file of a branch, tag or commit."""
    commit = ""
    with suppress(OSError, ValueError):
        commit = (folder / "refs" / revision).read_text(encoding="ascii").strip()
    path = folder / "snapshots" / (commit if COMMIT.fullmatch(commit) else revision) / file
    with suppress(OSError):  # what cannot be looked at is not there
        return path if path.is_file() else None
    return None


def sha256(data: bytes) -> str:
    """The hash by which the hub names large files."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """That of a file, whatever its size. Raises `OSError`."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_digest(name: str) -> bool:
    """Whether an ETag is a hash of the content: a sha256 of large files (LFS, xet), git's of the others."""
    return bool(SHA256.fullmatch(name) or _GIT.fullmatch(name))


def digest(data: bytes, like: str) -> tuple[str, str]:
    """The kind of a hash such as `like`, and that of `data`."""
    if len(like) == 64:
        return "sha256", sha256(data)
    import hashlib

    return "git hash", hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def promised(path: Path) -> str | None:
    """The sha256 that names a snapshot's blob, where the cache has links."""
    name = path.readlink().name if path.is_symlink() else ""
    return name if SHA256.fullmatch(name) else None


def has(folder: Path, name: str) -> bool:
    """Whether a blob is there whose content is what its name, a sha256, promises."""
    with suppress(OSError):
        return bool(SHA256.fullmatch(name)) and sha256((folder / "blobs" / name).read_bytes()) == name
    return False


def put(folder: Path, commit: str, file: str, name: str, staging: Path, fresh: Path | None) -> Path:
    """Make a file the `file` of a commit, in place of what was there; returns its path there.

    `fresh` is the file and `name` its blob's; None: the blob is there already. `staging` is a folder on the same disk
    for what is not yet in place. Raises `OSError`, `WeightsError` if links would lead the file out of `folder`.
    """
    import shutil

    entry, blob = folder / "snapshots" / commit / file, folder / "blobs" / name
    for path in (entry, blob):
        check_inside(folder, path)
        path.parent.mkdir(parents=True, exist_ok=True)
    wanted = fresh is None or _is_free(blob, fresh)
    link = _link(staging / "link", os.path.relpath(blob, entry.parent)) if wanted else None
    if link is None:
        return (fresh or Path(shutil.copyfile(blob, staging / "copy"))).replace(entry)
    if fresh:
        fresh.replace(blob)
    return link.replace(entry)


def point(folder: Path, revision: str, commit: str) -> None:
    """Remember which commit a branch or tag was at. Raises as `put` does."""
    from ..files import write_atomically

    path = folder / "refs" / revision
    if revision != commit:
        check_inside(folder, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, commit.encode())


def remove(entry: Path, content: str) -> None:
    """Remove a snapshot's entry, whose content has the sha256 `content`: a link as a link, not what it leads to.

    Its blob goes too if its own name tells that it is damaged: any other content another snapshot may need.
    Raises `OSError`, `WeightsError` if the entry lies outside of its repository's folder.
    """
    folder = entry.parents[2]
    check_inside(folder, entry)
    blob = entry.parent / entry.readlink() if entry.is_symlink() else None
    entry.unlink()
    ours = blob is not None and blob.parent.resolve() == folder.resolve() / "blobs"
    if blob is not None and ours and SHA256.fullmatch(blob.name) and blob.name != content:
        blob.unlink(missing_ok=True)


def check_inside(folder: Path, path: Path) -> None:
    """Raise `WeightsError` if links lead a file of the repository's folder out of it."""
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise WeightsError(
            f"{path} leads out of {folder}, where nothing is written or removed: remove the link on the way, and try again"
        )


def _is_free(blob: Path, fresh: Path) -> bool:
    """Whether `fresh` may become the blob: a name that is no sha256 may be that of another file, by a hub's mistake."""
    import filecmp

    return bool(SHA256.fullmatch(blob.name)) or not blob.exists() or filecmp.cmp(blob, fresh, shallow=False)


def _link(path: Path, target: str) -> Path | None:
    """A new link, or None where there are none or they are not wanted."""
    if flag("HF_HUB_DISABLE_SYMLINKS"):
        return None
    with suppress(OSError, NotImplementedError):
        path.symlink_to(target)
        return path
    return None

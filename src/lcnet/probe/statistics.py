"""What a probe keeps of its pictures so that a class can be added without them: means of classes, and the scatter about them.

A .npz beside the model file, `NAME.statistics.npz`, with the sha256 of the file that it belongs to. No picture can be had from
it. The model needs it for nothing else.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_target, write_atomically
from ..text import plain, reason

_FIELDS = {"model": ("S", 1), "counts": ("f", 1), "means": ("f", 2), "scatter": ("f", 1), "strength": ("f", 1)}


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of K classes and D features: pictures, their mean, the covariance within classes, and the strength that was chosen."""

    counts: np.ndarray  # float64 [K]
    means: np.ndarray  # float64 [K,D]
    scatter: np.ndarray  # float64 [D,D]
    strength: float

    @classmethod
    def of(cls, x: np.ndarray, targets: np.ndarray, classes: int, strength: float) -> Statistics:
        """Those of features [N,D] and targets, int64 [N]."""
        counts = np.bincount(targets, minlength=classes).astype(np.float64)
        means = np.stack([x[targets == k].mean(axis=0, dtype=np.float64) for k in range(classes)])
        apart = x - means[targets]
        return cls(counts, means, apart.T @ apart / max(len(x) - classes, 1), strength)

    def drawn(self, pictures: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Features such as so many pictures of each class may have, float64 [M,D], normally distributed; and their classes."""
        rng, (classes, size) = np.random.default_rng(seed), self.means.shape
        values, vectors = np.linalg.eigh(self.scatter)
        spread = vectors * np.sqrt(np.maximum(values, 0))
        targets = np.repeat(np.arange(classes), pictures)
        return self.means[targets] + rng.standard_normal((len(targets), size)) @ spread.T, targets

    def with_class(self, x: np.ndarray) -> Statistics:
        """The same with one class more, of these features."""
        mean, old = x.mean(axis=0, dtype=np.float64), max(self.counts.sum() - len(self.counts), 1)
        apart, new = x - mean, max(len(x) - 1, 0)
        scatter = (self.scatter * old + apart.T @ apart) / (old + new)
        return Statistics(np.append(self.counts, len(x)), np.vstack([self.means, mean]), scatter, self.strength)


def place(model: Path) -> Path:
    """Where those of a model file are."""
    return model.with_name(f"{model.name.removesuffix('.safetensors')}.statistics.npz")


def check_place(model: Path, overwrite: bool) -> None:
    """Refuse, before any work, to replace what is no model's statistics. Raises `InputError`."""
    path = place(model)
    check_target(path, overwrite or _is_of_a_model(path))


def _is_of_a_model(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as file:
            return {f"{name}.npy" for name in _FIELDS} == set(file.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def save(model: Path, statistics: Statistics) -> None:
    """Write them beside a model file that is there."""
    upper = np.triu_indices(len(statistics.scatter))
    file = io.BytesIO()
    np.savez(
        file,
        model=np.array([_sha256(model)], "S64"),
        counts=statistics.counts.astype(np.float32),
        means=statistics.means.astype(np.float32),
        scatter=statistics.scatter[upper].astype(np.float32),
        strength=np.array([statistics.strength], np.float32),
    )
    write_atomically(place(model), file.getvalue())


def read(model: Path) -> Statistics:
    """Those of a model file. Raises `InputError` where there are none, or others'."""
    path = place(model)
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in _FIELDS}
    except FileNotFoundError:
        raise InputError(
            f"{plain(path)} is not there: `lcnet probe` writes it beside the model, and a class is added by what it says of "
            "the others; put it back, or probe again with all pictures"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{plain(path)} cannot be read: {reason(error)}; probe again with all pictures") from None
    problem = _problem(found)
    if not problem and found["model"][0].decode("ascii", "replace") != _sha256(model):
        problem = f"it belongs to another file than {plain(model)}"
    if problem:
        raise InputError(f"{plain(path)}: {problem}; put the model's own there, or probe again with all pictures")
    return _statistics(found)


def _problem(found: dict[str, np.ndarray]) -> str:
    for name, (kind, dimensions) in _FIELDS.items():
        array = found[name]
        if array.dtype.kind != kind or array.ndim != dimensions or not array.size:
            return f"it is damaged: {name} is an array {array.dtype} {list(array.shape)}"
        if kind == "f" and not np.isfinite(array).all():
            return f"it is damaged: {name} has NaN or Inf"
    size = found["means"].shape[1]
    whole = len(found["scatter"]) == size * (size + 1) // 2 and len(found["counts"]) == len(found["means"])
    return "" if whole and found["strength"][0] > 0 else "it is damaged: its arrays do not fit each other"


def _statistics(found: dict[str, np.ndarray]) -> Statistics:
    means = found["means"].astype(np.float64)
    scatter = np.zeros((means.shape[1], means.shape[1]))
    scatter[np.triu_indices(len(scatter))] = found["scatter"]
    scatter += np.triu(scatter, 1).T
    return Statistics(found["counts"].astype(np.float64), means, scatter, float(found["strength"][0]))


def _sha256(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()

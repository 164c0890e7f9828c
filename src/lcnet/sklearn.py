"""For scikit-learn: pictures in, embeddings or classes out, as estimators for its pipelines, searches and `n_jobs`.

An estimator holds only plain values: the model's name and, once fitted, the sha256 of its file; networks are kept by the
process, a few at a time. So it is cloned, pickled and sent to workers at no cost, and refuses another file under the name that
it was fitted with. Needs scikit-learn 1.6 or newer (extra `sklearn`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from . import hub
from .errors import ImageError, InputError, MissingExtraError, ModelFileError
from .runtime import Classifier as Engine
from .runtime import load
from .runtime.source import ModelPath
from .runtime.stream import stream
from .text import plain, short

try:
    from joblib.parallel import get_active_backend
    from sklearn import clone
    from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils import Tags  # of 1.6
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise MissingExtraError("lcnet.sklearn needs scikit-learn 1.6 or newer: pip install 'lcnet[sklearn]'") from None

__all__ = ["Classifier", "Embedder", "HeadClassifier"]

_MISSING = ("NAType", "NaTType")  # what pandas has where there is nothing, besides None and NaN
KEPT = 4  # networks that a process keeps


class _OnPictures(BaseEstimator):
    """What has a model by its name, and takes pictures."""

    def __init__(
        self, model: str = "lcnet_050", *, threads: int | None = None, precision: str = "fp32", decode: str = "exact"
    ) -> None:
        self.model, self.threads, self.precision, self.decode = model, threads, precision, decode

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit, tags.no_validation = False, True
        tags.input_tags.two_d_array, tags.input_tags.three_d_array, tags.input_tags.string = False, True, True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _remember(self) -> Engine:
        """Load the model, and promise that it will be this file."""
        engine, self.sha256_ = _engine(self)
        self.model_ = os.fspath(self.model)
        return engine

    def _engine(self) -> Engine:
        """The model. Raises `ModelFileError` if its file is not the one that was there when it was fitted."""
        engine, sha256 = _engine(self)
        promised = getattr(self, "sha256_", sha256)
        if promised != sha256 and self.model_ == os.fspath(self.model):
            raise ModelFileError(
                f"{plain(self.model)} is another file (sha256 {sha256[:12]}...) than this {type(self).__name__} was fitted "
                f"with ({promised[:12]}...): bring that one back, or fit again"
            )
        return engine

    def _values(self, X: Any, kind: str, width: Callable[[Engine], int]) -> np.ndarray:
        """What the model answers for each picture, float32 [N,width]."""
        engine, pictures = self._engine(), _pictures(X)
        values = np.empty((len(pictures), width(engine)), np.float32)
        items = stream(pictures, engine.preprocess, engine.answer(kind), errors="yield", workers=engine.threads)
        for number, item in enumerate(items):
            if item.error is not None:
                items.close()
                raise type(item.error)(f"picture {number} of X: {item.error}")
            values[number] = item.value
        return values

    def _embedded(self, X: Any) -> np.ndarray:
        return self._values(X, "embeddings", _hidden)


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _OnPictures):
    """Transforms pictures to embeddings, what a model's classifier reads: float32 [N,1280] as a rule.

    X: a list, array or column (of pandas or polars) of paths, bytes, Pillow images or uint8 [H,W,3], or uint8 [N,H,W,3].
    model: a name or the path of a file; threads: as of `lcnet.load`, but in joblib's workers by default 1. Needs no fit.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return _hidden(self._engine())

    def fit(self, X: Any, y: Any = None) -> Embedder:
        """Load the model, and remember which file it was; X is not looked at."""
        self._remember()
        return self

    def transform(self, X: Any) -> Any:
        """Return the embeddings. Raises `ImageError` for what cannot be read, with its place in X."""
        if hasattr(X, "to_frame"):  # of a column alone scikit-learn would lose the index
            return self.transform(X.to_frame())
        return self._embedded(X)


class Classifier(ClassifierMixin, _OnPictures):
    """A model's own classifier, as it is: nothing is trained.

    X and parameters as of `Embedder`. `classes_` are the model's labels, sorted as scikit-learn expects them, and so are the
    columns; labels that are the same text are one class. `predict` gives the most probable, whatever the thresholds.
    """

    def fit(self, X: Any, y: Any = None) -> Classifier:
        """Load the model, and remember which file it was. Raises `InputError` if y has what is no label of it."""
        self._sorted(self._remember())
        unknown = [] if y is None else sorted(set(np.asarray(y).ravel().tolist()) - set(self.classes_.tolist()), key=str)
        if unknown:
            raise InputError(
                f"y has {short(', '.join(map(repr, unknown)))}, which {plain(self.model)} has no class for: nothing is trained "
                "here, HeadClassifier learns classes"
            )
        return self

    @property
    def classes_(self) -> np.ndarray:
        """The labels, sorted: text, or numbers if the model has no labels."""
        classes: np.ndarray = self._sorted(self._engine())[0]
        return classes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, float32 [N,classes]."""
        return self._by_class(X, "probs", np.add)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits, float32 [N,classes]; of two classes, as scikit-learn has it, the second less the first [N]."""
        logits = self._by_class(X, "logits", np.logaddexp)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each picture."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _by_class(self, X: Any, kind: str, together: np.ufunc) -> np.ndarray:
        _, order, starts = self._sorted(self._engine())
        values = self._values(X, kind, lambda engine: engine.arch.num_classes)
        return np.asarray(together.reduceat(values[:, order], starts, axis=1))

    def _sorted(self, engine: Engine) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The labels that differ, the order of the logits that sorts them, and where in it each begins."""
        if not engine.arch.num_classes or engine.config.decision.multi_label:
            what = "gives several labels a picture" if engine.arch.num_classes else "has no classifier"
            raise InputError(f"{plain(self.model)} {what}: Embedder and HeadClassifier take it")
        names = np.array(engine.labels.names) if engine.labels else np.arange(engine.arch.num_classes)
        order = np.argsort(names, kind="stable")
        classes, starts = np.unique(names[order], return_index=True)
        return classes, order, starts


class HeadClassifier(ClassifierMixin, _OnPictures):
    """Learns classes on a model's embeddings: `head` is what learns them, by default a logistic regression of strength `C`.

    X and the other parameters as of `Embedder`. A search over `head__...` embeds the pictures again for each candidate; a
    Pipeline of `Embedder` and the head with `memory=` does so once.
    """

    def __init__(
        self,
        model: str = "lcnet_050",
        head: Any = None,
        *,
        C: float = 1.0,
        threads: int | None = None,
        precision: str = "fp32",
        decode: str = "exact",
    ) -> None:
        super().__init__(model, threads=threads, precision=precision, decode=decode)
        self.head, self.C = head, C

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")

    def fit(self, X: Any, y: Any, **options: Any) -> HeadClassifier:
        """Embed X and fit the head; options, such as `sample_weight`, are the head's. Raises as `Embedder` does."""
        from sklearn.linear_model import LogisticRegression

        self._remember()
        head = LogisticRegression(C=self.C, max_iter=1000) if self.head is None else clone(self.head)
        self.head_ = head.fit(self._embedded(X), y, **options)
        self.classes_ = self.head_.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each picture."""
        return self._asked("predict", X)

    @available_if(lambda self: _can(self, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class [N,classes], where the head has it."""
        return self._asked("predict_proba", X)

    @available_if(lambda self: _can(self, "decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> np.ndarray:
        """Return what the head has before it decides, where it has it."""
        return self._asked("decision_function", X)

    def _asked(self, method: str, X: Any) -> np.ndarray:
        check_is_fitted(self)
        if self.model_ != os.fspath(self.model):
            raise InputError(f"the head was fitted on {plain(self.model_)}, and model is {plain(self.model)} now: fit again")
        return np.asarray(getattr(self.head_, method)(self._embedded(X)))


def _can(estimator: HeadClassifier, method: str) -> bool:
    """Whether the head, which by default is a logistic regression, has a method."""
    head = getattr(estimator, "head_", estimator.head)
    return head is None or hasattr(head, method)


def _hidden(engine: Engine) -> int:
    return engine.arch.head_hidden_size


def _engine(estimator: _OnPictures) -> tuple[Engine, str]:
    """The network that an estimator's parameters ask for, and the sha256 of its file."""
    name, threads = estimator.model, estimator.threads
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(f"model is {type(name).__name__}, expected a name, or the path of a file")
    found = hub.locate(name)
    seen = ModelPath.of(found.path, found.config)
    threads = 1 if threads is None and _in_worker() else threads
    return _loaded(os.fspath(name), seen.path, seen.state, threads, estimator.precision, estimator.decode)


@lru_cache(maxsize=KEPT)
def _loaded(
    name: str, path: Path, state: tuple[int, int], threads: int | None, precision: str, decode: str
) -> tuple[Engine, str]:
    """A network, again if its file has changed (`state`), and the sha256 of that file."""
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return load(name, threads, precision=precision, decode=decode), digest


def _in_worker() -> bool:
    """Whether others beside this one use the processors: this is a job of joblib's, or a process that another one started."""
    from multiprocessing import parent_process

    return parent_process() is not None or bool(get_active_backend()[0].nesting_level)


def _pictures(X: Any) -> list[Any]:
    """The pictures in X. Raises `InputError`, and `ImageError` for a place that has none."""
    if isinstance(X, (str, bytes, os.PathLike)) or not hasattr(X, "__len__"):
        raise InputError(f"X is {type(X).__name__}, expected a list or a column of pictures: put one into a list")
    if hasattr(X, "columns"):
        X = X[_only(X.columns)]
    if isinstance(X, np.ndarray) and X.dtype != np.uint8 and X.ndim == 2 and X.shape[1] == 1:
        X = X[:, 0]
    if isinstance(X, np.ndarray) and X.ndim != (4 if X.dtype == np.uint8 else 1):
        raise InputError(f"X is {X.dtype} {list(X.shape)}, expected one column of pictures, or pixels uint8 [N,H,W,3]")
    found = list(X)
    for number, picture in enumerate(found):
        if picture is None or isinstance(picture, float) or type(picture).__name__ in _MISSING:
            raise ImageError(f"picture {number} of X is missing ({picture})")
    return found


def _only(columns: Any) -> Any:
    if len(columns) != 1:
        raise InputError(
            f"X has {len(columns)} columns ({short(', '.join(map(str, columns)))}), expected one, of pictures: "
            "ColumnTransformer picks it"
        )
    return columns[0]

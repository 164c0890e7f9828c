"""The network at work: images in; classes, logits, embeddings or feature maps out. Needs neither torch nor a compiler.

Owns loading (name -> folded, packed network) and the `Classifier`. Pixels are `image`'s, arithmetic the native core's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _native
from ..arch import Arch
from ..config import MIN_SIDE as MIN_SIZE
from ..config import Labels, ModelConfig, Preprocessing
from ..cpus import usable_cpus
from ..errors import InputError, ModelFileError
from ..modelfile import ModelFile
from ..sources.formats import MAX_PIXELS
from ..text import one_line, short
from .decision import Rule, accepted, answers, probabilities, rules
from .layers import native_layers
from .result import Prediction as Prediction
from .result import Result as Result
from .source import ModelPath

if TYPE_CHECKING:
    from .stream import Answer, Streamed

PRECISIONS = ("fp32", "bf16")
DECODES = ("exact", "fast")
KINDS = ("classify", "probs", "logits", "embeddings", "feature_maps")
CHUNK = 32  # images that are decoded before they run: bounds the memory of a long list
CHUNK_VALUES = 1 << 24  # of their inputs, 64 MiB, unless one image has more
_NO_CLASSIFIER = "this model has no classifier: it gives embeddings and feature maps only"


def load(
    name: str | os.PathLike[str],
    threads: int | None = None,
    isa: str | None = None,
    precision: str = "fp32",
    decode: str = "exact",
    cache_dir: str | os.PathLike[str] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Classifier:
    """Load a model by name (`lcnet_050`, `hf-hub:owner/repo`, `local-dir:DIR`) or by the path of its file.

    threads: processors to use, by default all that this process may use. isa: kernels to use (`lcnet info --cpu` lists
    them), by default the environment variable LCNET_ISA or the fastest that this CPU has. precision: `fp32`, or `bf16`
    where the CPU has it: activations and weights of the large layers in bfloat16, sums in float32; a quantised file runs in
    int8. decode: `exact`, or `fast`, which decodes JPEG files far larger than the input at a fraction of their size
    (docs/pixels.md says what that changes). max_pixels: a picture of more is an `ImageError`, by its header and before it is
    decoded; a server wants fewer than the default. Raises `WeightsError`, `ModelFileError`, or `InputError` for options that
    this CPU cannot serve.
    """
    from .. import hub

    found = hub.locate(name, cache_dir)
    return _made(ModelPath.of(found.path, found.config), (threads, isa, precision, decode, max_pixels))


def _made(source: ModelPath | ModelFile, options: tuple[Any, ...]) -> Classifier:
    """What a pickled `Classifier` becomes again."""
    made = Classifier(source.read() if isinstance(source, ModelPath) else source, *options)
    made._source = source
    return made


class Classifier:
    """A model ready to run. Immutable, and safe to use from many threads at once; a copy is the same object.

    Pickled, it carries the path of its file and its options, or if it was not made by `load` the weights, and is made again.
    Where a method takes `images`: a path, bytes, a binary file, a Pillow image, a uint8 array [H,W,3], or a list of these;
    or a float32 array [N,C,H,W] that is preprocessed already. Pictures that cannot be read raise `ImageError`; a network that
    makes NaN or Inf of finite numbers raises `ModelFileError`.
    """

    def __init__(
        self,
        model: ModelFile,
        threads: int | None = None,
        isa: str | None = None,
        precision: str = "fp32",
        decode: str = "exact",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.config: ModelConfig = model.config
        self._source: ModelPath | ModelFile = model
        self._options = (threads, isa, precision, decode, max_pixels)
        self._rules = rules(model.config)
        self.precision, self.decode, self.max_pixels = precision, decode, max_pixels
        _check_count("max_pixels", max_pixels)
        for name, value, known in (("precision", precision, PRECISIONS), ("decode", decode, DECODES)):
            if value not in known:
                raise InputError(f"{name} is {value!r}, expected {' or '.join(known)}")
        if model.config.quantization:
            if precision != "fp32":
                raise InputError(f"precision is {precision!r}, but the model is quantised: leave it at 'fp32' to run in int8")
            self.precision = "int8"
        threads = usable_cpus() if threads is None else threads
        if not isinstance(threads, int) or not 1 <= threads <= 1024:
            raise InputError(f"threads is {threads!r}, expected a whole number from 1 to 1024")
        try:
            self._engine = _native.Engine(native_layers(model), threads, isa or "", precision == "bf16")
        except ValueError as error:
            raise InputError(str(error)) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self._source, self._options)

    def __copy__(self) -> Classifier:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Classifier:
        return self

    @property
    def arch(self) -> Arch:
        """The architecture."""
        return self.config.arch

    @property
    def labels(self) -> Labels | None:
        """Class names in logit order, None if the model has none."""
        return self.config.labels

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become input."""
        return self.config.preprocessing

    @property
    def isa(self) -> str:
        """The kernels in use."""
        return self._engine.isa

    @property
    def threads(self) -> int:
        """The most threads that one call uses."""
        return self._engine.threads

    def __repr__(self) -> str:
        source = short(one_line(str(self.config.provenance.get("source", ""))))
        return f"<lcnet.Classifier {self.arch.name} {source} isa={self.isa} {self.precision} threads={self.threads}>"

    def classify(self, images: Any, top_k: int = 5, threshold: float | None = None) -> list[Result]:
        """Return the `top_k` most probable classes of each image; always a list, one `Result` an image.

        threshold: the least accepted probability, 0 to 1, of every class, in place of the model's own.
        """
        _check_count("top_k", top_k)
        by = self._rules_at(threshold)
        return [self._result(row, top_k, by) for row in self.probs(images)]

    def logits(self, images: Any) -> np.ndarray:
        """Return the values before softmax, float32 [N, num_classes]."""
        return self._collect(images, self.run, (self.arch.num_classes,))

    def probs(self, images: Any) -> np.ndarray:
        """Return the probabilities, float32 [N, num_classes]; the model's temperature is applied if it has one.

        They sum to 1, but for a multi-label model each is by itself.
        """
        return probabilities(self.logits(images), self.config.decision)

    def embeddings(self, images: Any) -> np.ndarray:
        """Return what the classifier reads, float32 [N, head_hidden_size]: usually 1280 (timm's `num_classes=0` output)."""
        return self._collect(images, lambda x: self._outputs(x, embeddings=True), (self.arch.head_hidden_size,))

    def feature_maps(self, images: Any, out_indices: Sequence[int] | None = None) -> list[np.ndarray]:
        """Return feature maps float32 [N,C,H,W] of strides 2, 4, 8, 16, 32 (timm's `features_only=True` output).

        A network with other strides has one for each of `arch.reductions`, and a PP-LCNetV2 none of stride 2. out_indices
        picks among them, in that order; negative ones count from the end.
        """
        wanted = self._indices(out_indices)
        parts = [self._maps(x, wanted) for x in self._batches(images)]
        if not parts:
            shapes = self.arch.feature_shapes(*self.preprocessing.input_size[1:])
            return [np.empty((0, *shapes[i]), np.float32) for i in wanted]
        return [np.concatenate(maps) if len(maps) > 1 else maps[0] for maps in zip(*parts, strict=True)]

    def preprocess(self, images: Any, seen: Any = None) -> np.ndarray:
        """Return the network's input for images, float32 [N,C,H,W]; all in memory at once.

        seen: called with each file, as a Pillow image, once it is decoded.
        """
        from ..image import as_list

        return self._batch(as_list(images), seen=seen)

    def stream(
        self,
        images: Any,
        kind: str = "classify",
        *,
        top_k: int = 5,
        out_indices: Sequence[int] | None = None,
        errors: str = "raise",
        recursive: bool = False,
        batch_size: int | None = None,
        workers: int | None = None,
        frames: str | int = "first",
        threshold: float | None = None,
    ) -> Generator[Streamed, None, None]:
        """Yield `Streamed(source, value, error, seconds)` for each image, in order, with threads and bounded memory.

        images: one or an iterable, which may never end and is read a little ahead, in a thread; paths may be folders
        (`recursive`: with those below), globs, zip and tar archives. kind: `classify` gives a `Result`, `probs` and `logits`
        float32 [num_classes], `embeddings` [head_hidden_size], `feature_maps` a list of [C,H,W]. errors: `raise` at an
        unreadable image, or `yield` it with its `error`. batch_size: images a worker takes at once at most.
        workers: threads that decode and run, by default as many as the model's; 0 does everything in the caller's. frames:
        of files with several `first`, `all`, or at most so many, evenly spaced; then each is a source of its own, `a.gif/#2`.
        threshold: as `classify` takes it. Closing the iterator stops the threads.
        """
        from ..sources import find
        from .stream import stream

        answer = self.answer(kind, top_k, out_indices, threshold)
        workers = self.threads if workers is None else workers
        sources = self.expand(find(images, recursive), frames)
        return stream(sources, self.preprocess, answer, errors, batch_size, workers)

    def expand(self, sources: Iterable[Any], frames: str | int = "first") -> Iterable[Any]:
        """Return sources for `stream` with the frames that are wanted in place of each file that has several."""
        from ..image.frames import FIRST, check_frames
        from .frames import expand

        check_frames(frames)
        return sources if frames == FIRST else expand(sources, frames, self.preprocessing, self.max_pixels)

    def answer(
        self, kind: str = "classify", top_k: int = 5, out_indices: Sequence[int] | None = None, threshold: float | None = None
    ) -> Answer:
        """Return the function from ready input, float32 [N,C,H,W], to N values as `stream` yields them for `kind`.

        Raises `InputError` for options that are wrong, or that this model cannot serve, now and not when it is called.
        """
        if kind not in KINDS:
            raise InputError(f"kind is {kind!r}, expected {' or '.join(map(repr, KINDS))}")
        _check_count("top_k", top_k)
        self._rules_at(threshold)
        if kind in ("classify", "probs", "logits") and not self.arch.num_classes:
            raise InputError(_NO_CLASSIFIER)
        if kind == "classify":
            return lambda x: self.classify(x, top_k, threshold)
        if kind == "feature_maps":
            self._indices(out_indices)
            return lambda x: [list(maps) for maps in zip(*self.feature_maps(x, out_indices), strict=True)]
        named: Answer = getattr(self, kind)
        return named

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the logits float32 [N, num_classes] of ready input, float32 [N,C,H,W] with H and W of at least 32."""
        if not self.arch.num_classes:
            raise InputError(_NO_CLASSIFIER)
        return self._outputs(x, logits=True)

    def forward_features(self, x: np.ndarray) -> np.ndarray:
        """Return the last feature map of ready input, unpooled: float32 [N, num_features, H/32, W/32] as a rule."""
        return self._maps(x, [len(self.arch.reductions) - 1])[0]

    def forward_head(self, features: np.ndarray, pre_logits: bool = False) -> np.ndarray:
        """Return logits, or with `pre_logits` the embeddings, of what `forward_features` returned.

        Raises `InputError` where the classifier reads other maps too.
        """
        if len(self.arch.pooled_stages) > 1:
            raise InputError(f"the classifier reads {', '.join(self.arch.classifier_input)}: the last map is not enough")
        features = _float32(features, "features", self.arch.num_features, 1)
        size = self.arch.head_hidden_size if pre_logits else self.arch.num_classes
        out = np.empty((len(features), size), np.float32)
        if out.size:
            self._engine.run_head(features, *((None, out) if pre_logits else (out, None)))
        return out

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Do what `run` does."""
        return self.run(x)

    def _outputs(self, x: np.ndarray, logits: bool = False, embeddings: bool = False) -> np.ndarray:
        x = self._input(x)
        size = self.arch.num_classes if logits else self.arch.head_hidden_size
        out = np.empty((len(x), size), np.float32)
        if len(x):
            self._engine.run(x, out if logits else None, out if embeddings else None, [])
        _check_finite([out], x)
        return out

    def _maps(self, x: np.ndarray, wanted: Sequence[int]) -> list[np.ndarray]:
        x = self._input(x)
        shapes = self.arch.feature_shapes(*x.shape[2:])
        maps = {i: np.empty((len(x), *shapes[i]), np.float32) for i in wanted}
        if len(x):
            self._engine.run(x, None, None, [maps.get(i) for i in range(len(shapes))])
        _check_finite(maps.values(), x)
        return [maps[i] for i in wanted]

    def _indices(self, out_indices: Sequence[int] | None) -> list[int]:
        count = len(self.arch.reductions)
        wanted = range(count) if out_indices is None else out_indices
        for i in wanted:
            if not isinstance(i, (int, np.integer)) or not -count <= i < count:
                raise InputError(f"out_indices has {i!r}, expected whole numbers from {-count} to {count - 1}")
        return [int(i) % count for i in wanted]

    def _input(self, x: Any) -> np.ndarray:
        return _float32(x, "input", self.arch.in_chans, MIN_SIZE)

    def _collect(self, images: Any, function: Any, empty: tuple[int, ...]) -> np.ndarray:
        parts = [function(x) for x in self._batches(images)]
        return np.concatenate(parts) if parts else np.empty((0, *empty), np.float32)

    def _batches(self, images: Any) -> Iterator[np.ndarray]:
        if _is_ready(images):
            yield images
            return
        from ..image import as_list

        sources = as_list(images)
        chunk = max(1, min(CHUNK, CHUNK_VALUES // math.prod(self.preprocessing.input_size)))
        for start in range(0, len(sources), chunk):
            yield self._batch(sources[start : start + chunk], start)

    def _batch(self, images: list[Any], first: int = 0, seen: Any = None) -> np.ndarray:
        from ..image import batch

        return batch(images, self.preprocessing, self.max_pixels, first, self.decode == "fast", seen)

    def _rules_at(self, threshold: float | None) -> tuple[Rule, ...]:
        """What decides, with one threshold for all classes if there is one. Raises `InputError`."""
        if threshold is None:
            return self._rules
        if not isinstance(threshold, (int, float)) or isinstance(threshold, bool) or not 0 <= threshold <= 1:
            raise InputError(f"threshold is {threshold!r}, expected a number from 0 to 1")
        return tuple(rule._replace(least=np.full_like(rule.least, threshold)) for rule in self._rules)

    def _result(self, probs: np.ndarray, top_k: int, by: tuple[Rule, ...]) -> Result:
        names = self.labels.names if self.labels else None
        ids = self.labels.ids if self.labels else None

        def predictions(order: Iterable[int]) -> tuple[Prediction, ...]:
            return tuple(Prediction(i, names[i] if names else str(i), ids[i] if ids else None, float(probs[i])) for i in order)

        chosen = accepted(probs[None], by)[0].nonzero()[0]
        taken = predictions(chosen[np.argsort(-probs[chosen], kind="stable")].tolist())
        answered = answers(self.config.decision.groups or (), (p.label for p in taken))
        return Result(predictions(_largest(probs, top_k)), taken, answered)


def _largest(values: np.ndarray, count: int) -> list[int]:
    """Return the indices of the `count` largest values, largest first, equal ones in their order."""
    some = np.arange(len(values))
    if count < len(values):  # with all that equal the last one, of which a partition would keep any
        some = np.flatnonzero(values >= np.partition(values, -count)[-count])
    order: list[int] = some[np.argsort(-values[some], kind="stable")][:count].tolist()
    return order


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {value!r}, expected a whole number of at least 1")


def _check_finite(outputs: Iterable[np.ndarray], x: np.ndarray) -> None:
    """Refuse the NaN or Inf that a network has made of finite numbers: they would be sorted and written as answers are."""
    if not all(np.isfinite(out).all() for out in outputs) and np.isfinite(x).all():
        raise ModelFileError("the network gives NaN or Inf: its weights are damaged, or far too large for its input")


def _is_ready(images: Any) -> bool:
    dtype = str(getattr(images, "dtype", ""))
    return getattr(images, "ndim", 0) == 4 and "float" in dtype


def _float32(x: Any, name: str, channels: int, min_size: int) -> np.ndarray:
    array = np.asarray(x)
    expected = f"expected float32 [N,{channels},H,W]" + (f" with H and W from {min_size} up" if min_size > 1 else "")
    if array.dtype != np.float32:
        raise InputError(f"{name} has dtype {array.dtype}, {expected}; images go to classify() as they are")
    if array.ndim != 4 or array.shape[1] != channels or min(array.shape[2:]) < min_size:
        raise InputError(f"{name} has shape {list(array.shape)}, {expected}")
    return np.ascontiguousarray(array)

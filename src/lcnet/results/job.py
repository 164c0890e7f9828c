"""A job: any number of pictures through one model into one output, counting what becomes of them.

The command line, Python and a cluster run the same: `Job.results` yields what is answered, `Job.write` puts it into an
`Output` or an `Update`. Sources are as `sources.find` yields them, the model is a `Classifier` as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain, islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from ..arch import reduction_name
from ..errors import InputError
from .rows import Arrays, Classes, Rows, Wide

if TYPE_CHECKING:
    from ..runtime import Classifier
    from ..runtime.stream import Streamed

Each = Callable[["Streamed"], None]


class Target(Protocol):
    """What a job writes to."""

    def left(self, sources: Iterator[Any]) -> Iterator[Any]:
        """The sources that are to be answered."""

    def write(self, source: Any, value: Any, error: Exception | None, seconds: float = 0.0) -> None:
        """Take one answer."""


class Job:
    """One run of a model. `done`, `failed`: pictures so far; `several`: files of which more frames could have been taken."""

    def __init__(self, model: Classifier, kind: str, frames: str | int = "first", look: int = 2, **options: Any) -> None:
        """kind and options: as `Classifier.answer` takes them. look: how many sources to wait for before threads start, 0 if
        they come slowly. Raises `InputError` for options that the model cannot serve.
        """
        self.model, self.frames, self.look = model, frames, look
        self.answer = model.answer(kind, **options)
        self.done = self.failed = self.several = 0
        self.lock = Lock()

    def results(self, sources: Iterable[Any]) -> Iterator[Streamed]:
        """Answer each source, in order; what cannot be read has its error."""
        yield from self._answered(self.model.expand(sources, self.frames))

    def write(
        self, sources: Iterable[Any], output: Target, each: Each | None = None, begin: Callable[[], None] | None = None
    ) -> None:
        """Answer what `output` has not, and write it there. `begin` is called before the first, `each` after every one."""
        left = output.left(iter(self.model.expand(sources, self.frames)))
        if begin is not None:
            begin()
        for item in self._answered(left):
            output.write(item.source, item.value, item.error, item.seconds)
            if each is not None:
                each(item)

    def _answered(self, sources: Iterable[Any]) -> Iterator[Streamed]:
        from ..runtime.stream import stream

        prepare = partial(self.model.preprocess, seen=self._see)
        some = settle(iter(sources), self.look)
        with closing(stream(some, prepare, self.answer, errors="yield", workers=self.model.threads)) as items:
            for item in items:
                self.failed += item.error is not None
                yield item
                self.done += 1

    def _see(self, image: Any) -> None:
        """Count files of several frames; called by several threads."""
        from ..image.frames import has_several

        if self.frames == "first" and has_several(image):
            with self.lock:
                self.several += 1


def rows_for(model: Classifier, kind: str, top_k: int = 5, out_indices: list[int] | None = None, wide: bool = False) -> Rows:
    """The rows of what a model answers: of `classify`, `embeddings` or `feature_maps`. wide: one line of CSV a picture."""
    arch = model.arch
    if kind == "classify":
        return (Wide if wide else Classes)(model.labels, arch.num_classes, top_k)
    if kind == "embeddings":
        return Arrays({"embeddings": (arch.head_hidden_size,)})
    if kind != "feature_maps":
        raise InputError(f"kind is {kind!r}, expected 'classify', 'embeddings' or 'feature_maps'")
    shapes = arch.feature_shapes(*model.preprocessing.input_size[1:])
    names = list(map(reduction_name, arch.reductions))
    wanted = range(len(names)) if out_indices is None else out_indices
    return Arrays({f"stride_{names[i]}": shapes[i] for i in wanted})


def settle(sources: Iterator[Any], look: int) -> Any:
    """The sources, as a list if there are fewer than `look`: for one picture no thread is started."""
    first = list(islice(sources, look))
    return first if len(first) < look else chain(first, sources)

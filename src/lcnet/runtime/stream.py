"""Many pictures through one model, in order: decoded and run in threads, with bounded memory however many they are.

One thread reads the sources, never more than a window ahead of what has been taken; each worker takes the next few that
are there, decodes them and runs the network on them together, so the cores are shared out evenly whichever part is the
slower. When sources come slowly a worker takes them one by one and the answers come at once.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, LcnetError, ModelFileError
from ..sources.found import Found

BATCH = 8  # pictures a worker takes at once: calls cost little against them, and their inputs stay in the cache
WINDOW = 3  # batches a worker: one at work, one waiting, one done but behind a slower picture
BATCH_VALUES = 1 << 24  # of the inputs that the network gets at once, 64 MiB, unless one has more
WINDOW_BYTES = 256 << 20  # of encoded pictures read ahead, such as those from a tar archive; one more may come on top
GRACE = 0.5  # seconds that closing waits for a source that is just being read: it may block for ever

Prepare = Callable[[list[Any]], np.ndarray]  # of one picture: its input, float32 [1,C,H,W]
Answer = Callable[[np.ndarray], Sequence[Any]]  # of input [N,C,H,W]: a value a picture


class Streamed(NamedTuple):
    """What became of one source: `value`, or `error` if it could not be read."""

    source: Any
    value: Any  # a `Result`, float32 [num_classes] or [features], or a list of float32 [C,H,W]; None with an error
    error: LcnetError | None
    seconds: float  # spent on this picture: decoding, and its share of the network


def stream(
    sources: Iterable[Any],
    prepare: Prepare,
    answer: Answer,
    errors: str = "raise",
    batch_size: int | None = None,
    workers: int = 0,
) -> Generator[Streamed, None, None]:
    """Return an iterator of one `Streamed` a source, in order; see `Classifier.stream` for the options.

    sources: single pictures, as `prepare` takes them in a list of one, or `Found`; paths are not expanded. Both functions
    are called in several threads at once.
    """
    if errors not in ("raise", "yield"):
        raise InputError(f"errors is {errors!r}, expected 'raise' or 'yield'")
    batch = _whole("batch_size", BATCH if batch_size is None else batch_size, 1)
    workers = _whole("workers", workers, 0)
    job = _StreamJob(prepare, answer)
    if not workers or (isinstance(sources, (list, tuple)) and len(sources) <= 1):
        return _in_turn(job, sources, errors)
    return _in_threads(_Line(job, sources, batch, workers), errors)


def _whole(name: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value!r}, expected a whole number of at least {least}")
    return value


class _Slot:
    """The place of one source in the window."""

    __slots__ = ("done", "error", "seconds", "source", "value", "weight")

    def __init__(self, source: Any) -> None:
        self.source, self.value, self.seconds, self.done = source, None, 0.0, False
        self.error: BaseException | None = None
        if isinstance(source, Found):
            source.prepare()
        held = source if isinstance(source, (bytes, bytearray)) else b""
        self.weight: int = source.weight if isinstance(source, Found) else getattr(source, "nbytes", len(held))

    def streamed(self, errors: str) -> Streamed:
        """The answer to hand out. Raises the error if it is to be raised, or is none that a picture can cause."""
        if isinstance(self.error, LcnetError) and errors == "yield":
            return Streamed(self.source, None, self.error, self.seconds)
        if self.error is not None:
            raise self.error
        return Streamed(self.source, self.value, None, self.seconds)


_Ready = tuple[_Slot, np.ndarray]  # and its input, float32 [1,C,H,W]


def _name(source: Any) -> str:
    from ..image.pixels import name_of

    return str(source) if isinstance(source, Found) else name_of(source)


class _StreamJob:
    """What is done to a few pictures: decode each, run the network on all."""

    def __init__(self, prepare: Prepare, answer: Answer) -> None:
        self.prepare, self.answer = prepare, answer

    def run(self, slots: Sequence[_Slot], stopped: Callable[[], bool] = lambda: False) -> None:
        """Fill in values and errors; returns early, with less than all, once `stopped`."""
        ready: list[_Ready] = []
        for slot in slots:
            if stopped():
                return
            x = self._input(slot)
            if x is not None:
                ready.append((slot, x))
            if sum(x.size for _, x in ready) >= BATCH_VALUES:
                self._answer(ready)
                ready = []
        if ready:
            self._answer(ready)

    def _answer(self, ready: Sequence[_Ready]) -> None:
        """Run the network on some inputs, and where one of them is at fault on each by itself, to find out which."""
        started = perf_counter()
        try:
            values = self.answer(np.concatenate([x for _, x in ready]) if len(ready) > 1 else ready[0][1])
        except ModelFileError as error:
            if len(ready) == 1:
                ready[0][0].error = type(error)(f"{_name(ready[0][0].source)}: {error}")
            else:
                for one in ready:
                    self._answer([one])
            return
        share = (perf_counter() - started) / len(ready)
        for (slot, _), value in zip(ready, values, strict=True):
            slot.value = value
            slot.seconds += share

    def _input(self, slot: _Slot) -> np.ndarray | None:
        started = perf_counter()
        try:
            return self.prepare([slot.source.open() if isinstance(slot.source, Found) else slot.source])
        except LcnetError as error:
            error.__cause__ = error.__context__ = None  # with their frames they would keep the picture in memory
            slot.error = error.with_traceback(None)
            return None
        finally:
            slot.seconds = perf_counter() - started


def _in_turn(job: _StreamJob, sources: Iterable[Any], errors: str) -> Generator[Streamed, None, None]:
    for source in sources:
        slot = _Slot(source)
        job.run([slot])
        yield slot.streamed(errors)


def _in_threads(line: _Line, errors: str) -> Generator[Streamed, None, None]:
    try:
        line.start()
        while (slot := line.take()) is not None:
            yield slot.streamed(errors)
    finally:
        line.close()


class _Line:
    """The window of sources between the thread that reads them, the workers, and the consumer.

    `window` holds all in order until they are taken, `waiting` those that no worker has yet. The lock is one, the three
    conditions say who should look: the reader for room, the workers for work, the consumer for its next answer.
    """

    def __init__(self, job: _StreamJob, sources: Iterable[Any], batch: int, workers: int) -> None:
        self.job, self.sources, self.batch, self.limit = job, sources, batch, workers
        self.lock = threading.RLock()  # an iterator may be collected, and so closed, while this very thread holds it
        self.room, self.work, self.ready = (threading.Condition(self.lock) for _ in range(3))
        self.window: deque[_Slot] = deque()
        self.waiting: deque[_Slot] = deque()
        self.held = self.idle = 0  # bytes in the window; workers with nothing to do
        self.ended = self.stopped = False
        self.reader = threading.Thread(target=self._read, name="lcnet reader", daemon=True)
        self.workers: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to read. The threads are daemons that are joined at exit: a blocked source must not keep a process."""
        atexit.register(self.close)
        self.reader.start()

    def take(self) -> _Slot | None:
        """Wait for the next answer in order; None after the last."""
        with self.lock:
            while not (self.window and self.window[0].done):
                if self.ended and not self.window:
                    return None
                self.ready.wait()
            slot = self.window.popleft()
            self.held -= slot.weight
            self.room.notify()
        return slot

    def close(self) -> None:
        """Stop the threads: a worker after the picture that it is decoding."""
        with self.lock:
            self.stopped = True
            self.room.notify_all()
            self.work.notify_all()
        atexit.unregister(self.close)
        mine = [thread for thread in (self.reader, *self.workers) if thread.ident is not None]
        if threading.current_thread() not in mine:  # the collector may close an iterator in any thread
            for thread in mine:
                thread.join(GRACE if thread is self.reader else None)

    def _read(self) -> None:
        try:
            sources = iter(self.sources)
            while self._has_room():
                self._admit(_Slot(next(sources)))
        except StopIteration:
            pass
        except BaseException as error:  # raised where the consumer is, after the answers before it
            slot = _Slot(None)
            slot.error, slot.done = error, True
            with self.lock:
                self.window.append(slot)
        with self.lock:
            self.ended = True
            self.work.notify_all()
            self.ready.notify()

    def _has_room(self) -> bool:
        """Wait until one more may be read; false once stopped."""
        most = WINDOW * self.batch * self.limit
        with self.lock:
            while not self.stopped and (len(self.window) >= most or self.held >= WINDOW_BYTES):
                self.room.wait()
            return not self.stopped

    def _admit(self, slot: _Slot) -> None:
        with self.lock:
            if self.idle <= len(self.waiting) and len(self.workers) < self.limit and not self.stopped:
                self._hire()
            self.window.append(slot)
            self.waiting.append(slot)
            self.held += slot.weight
            self.work.notify()

    def _hire(self) -> None:
        worker = threading.Thread(target=self._serve, name="lcnet worker", daemon=True)
        try:
            worker.start()
            self.workers.append(worker)
        except RuntimeError:  # the system gives no more threads: those that there are will do
            if not self.workers:
                raise

    def _serve(self) -> None:
        while slots := self._next_few():
            try:
                self.job.run(slots, lambda: self.stopped)
            except BaseException as error:  # no picture's fault: raised where the consumer is
                for slot in slots:
                    slot.error = slot.error or error
            with self.lock:
                for slot in slots:
                    slot.done = True
                self.ready.notify()

    def _next_few(self) -> list[_Slot]:
        """Wait for work: half of a fair share of what is there, so that all workers end at about the same time."""
        with self.lock:
            self.idle += 1
            while not (self.waiting or self.ended or self.stopped):
                self.work.wait()
            self.idle -= 1
            few = 0 if self.stopped else min(self.batch, -(-len(self.waiting) // (2 * self.limit)))
            return [self.waiting.popleft() for _ in range(few)]

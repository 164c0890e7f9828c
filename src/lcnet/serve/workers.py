"""The threads that work: each takes one picture at a time from one queue, in the order of coming.

A job belongs to the request that waits for its future, so an answer cannot reach another. It is dropped unopened when its
request has gone or is too late. A thread that dies fails its job and is replaced. Nothing waits for a batch to fill.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from time import perf_counter
from typing import Any

from ..system import give_way
from .refusals import Refused

NICE = 5  # how far the threads stand behind the event loop, which answers


class Job:
    """One call that a thread makes: `work()`; its value or error arrives in `future`, in the loop that made it."""

    __slots__ = ("dropped", "future", "loop", "queued", "started", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work, self.loop = work, asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.dropped, self.queued, self.started = False, perf_counter(), 0.0

    @property
    def waited(self) -> float:
        """Seconds in the queue."""
        return max(self.started - self.queued, 0.0)

    def drop(self) -> None:
        """Nobody waits for it any more: if no thread has taken it yet, none works on it."""
        self.dropped = True
        self.future.cancel()

    def do(self) -> None:
        """Work, in a thread."""
        self.started = perf_counter()
        try:
            value, error = self.work(), None
        except BaseException as caught:
            value, error = None, caught if isinstance(caught, Exception) else _died(caught)
            self._tell(value, error)
            if not isinstance(caught, Exception):
                raise
            return
        self._tell(value, error)

    def _tell(self, value: Any, error: Exception | None) -> None:
        with suppress(RuntimeError):  # of a loop that is closed: nobody waits
            self.loop.call_soon_threadsafe(self._settle, value, error)

    def _settle(self, value: Any, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.future.__await__()


def _died(error: BaseException) -> Refused:
    refused = Refused("internal", "the thread that worked on this has died: try again")
    refused.__cause__ = error
    return refused


class Workers:
    """`count` threads, started at the first job; `close` ends them when what is queued is done."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.replaced = 0  # threads that died
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken."""
        return self._jobs.qsize()

    def do(self, work: Callable[[], Any]) -> Job:
        """Queue a call; await what is returned for its value."""
        if not self._threads:
            self._start(self.count)
        job = Job(work)
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """End the threads, and wait for what they are at."""
        with self._lock:
            threads, self._threads = self._threads, set()
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join(timeout=5)

    def _start(self, count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._run, name="lcnet-serve", daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _run(self) -> None:
        give_way(NICE)
        try:
            for job in iter(self._jobs.get, None):
                if not job.dropped:
                    job.do()
                del job  # the picture, while the next is waited for
        except BaseException:
            self._replace()
            raise

    def _replace(self) -> None:
        with self._lock:
            known = threading.current_thread() in self._threads
            self._threads.discard(threading.current_thread())
        if known:
            self.replaced += 1
            self._start(1)


class Budget:
    """A number of pixels, say, that threads share: who needs more than is left waits for those who have some."""

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0
        self._changed = threading.Condition()

    @contextmanager
    def lent(self) -> Iterator[Callable[[int], None]]:
        """Give a function that takes some; all is given back at the end."""
        held = 0

        def take(amount: int) -> None:
            nonlocal held
            amount = min(amount, self.total)  # what is more than all waits until it is alone
            with self._changed:
                self._changed.wait_for(lambda: self.taken + amount <= self.total)
                self.taken += amount
                held += amount

        try:
            yield take
        finally:
            if held:
                with self._changed:
                    self.taken -= held
                    self._changed.notify_all()

"""What is done with one picture: decoded, scaled, run; and with a request's: in the threads, until its deadline, and no
longer than its client stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from starlette.requests import Request

from ..errors import TooLargeError
from ..image import batch
from ..runtime import Classifier
from .bodies import Picture, chunks
from .limits import Limits
from .refusals import Refused, forget, refusal
from .waiting import Awaited
from .workers import Budget, Job, Workers

Answer = Callable[[np.ndarray], Any]


@dataclass
class Done:
    """What became of one picture: a value, or why there is none, and the seconds that it took."""

    value: Any = None
    error: Refused | None = None
    cause: BaseException | None = None
    waited: float = 0.0
    decode: float = 0.0
    network: float = 0.0
    pixels: int = 0

    def fail(self, error: Exception, data: bytes = b"") -> None:
        """There is no value, because of an error, which is kept where it is ours."""
        self.error = refusal(error, data)
        if self.error.status >= 500:
            self.cause = error
        else:
            forget(error)


class Work:
    """Pictures and other work of requests, on the threads of one process."""

    def __init__(self, limits: Limits) -> None:
        assert limits.threads is not None and limits.max_pixels_in_flight is not None
        self.limits, self.count = limits, limits.threads
        self.workers = Workers(limits.threads)
        self.pixels = Budget(limits.max_pixels_in_flight)

    async def pictures(self, request: Request, pictures: list[Picture], model: Classifier, answer: Answer) -> list[Done]:
        """Answer each picture. Raises as `each` does."""
        return await self.each(request, [partial(self.picture, picture, model, answer) for picture in pictures])

    async def each(self, request: Request, works: list[Callable[[], Done]]) -> list[Done]:
        """Do all, as many at once as there are threads. Raises `Refused` at the deadline, and `Gone`."""
        done: list[Done] = []
        with self._awaited(request):
            for some in chunks(works, self.count):
                jobs = [self.workers.do(work) for work in some]
                try:
                    done.extend([await _done(job) for job in jobs])
                finally:
                    for job in jobs:
                        job.drop()
        return done

    async def call(self, request: Request, work: Callable[[], Any]) -> Any:
        """Do anything else in a thread. Raises what it raises, `Refused` at the deadline, and `Gone`."""
        with self._awaited(request):
            job = self.workers.do(work)
            try:
                return await job
            finally:
                job.drop()

    def _awaited(self, request: Request) -> Awaited:
        limit = self.limits.timeout
        late = f"there was no answer within {limit:g} seconds: try again when less is asked"
        return Awaited(request, limit, Refused("deadline", late))

    def picture(self, picture: Picture, model: Classifier, answer: Answer) -> Done:
        """Answer one picture, in a thread."""
        if picture.error:
            return Done(error=picture.error)
        done, start = Done(), perf_counter()
        try:
            ready = self._ready(picture.data, model, done)
            done.decode = (middle := perf_counter()) - start
            done.value = answer(ready)[0]
            done.network = perf_counter() - middle
        except Exception as error:
            done.fail(error, picture.data)
        return done

    def ready_made(self, x: np.ndarray, answer: Answer) -> Done:
        """Answer what is the network's input already, in a thread."""
        done, start = Done(), perf_counter()
        try:
            done.value = answer(x)[0]
            done.network = perf_counter() - start
        except Exception as error:
            done.fail(error)
        return done

    def _ready(self, data: bytes, model: Classifier, done: Done) -> np.ndarray:
        """A picture as the network's input; its pixels are counted by its header, and borrowed while it is decoded."""
        most = self.limits.max_pixels
        with self.pixels.lent() as take:

            def look(image: Any) -> None:
                done.pixels = image.width * image.height
                if done.pixels > most:
                    size = f"{image.width} x {image.height}"
                    raise TooLargeError(f"it has {size} pixels, taken are at most {most}: make it smaller")
                take(done.pixels)

            fast = model.decode == "fast"
            return batch([data], model.preprocessing, model.max_pixels, fast=fast, check=look)


async def _done(job: Job) -> Done:
    try:
        done: Done = await job
    except Refused as error:  # its thread has died
        done = Done(error=error, cause=error.__cause__)
    done.waited = job.waited
    return done

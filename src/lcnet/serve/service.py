"""What all routes share: models, threads, permits, numbers, and the other processes that serve the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from ..formats import json_text
from ..text import quoted, suggest
from . import bodies
from .admission import Gate, Pass
from .bodies import Picture
from .exchange import Exchange
from .limits import Limits
from .logs import Log
from .metrics import Metrics
from .models import Models, Served
from .refusals import Refused
from .uncertain import Keeper
from .work import Answer, Done, Work


class Service:
    """One process's part of a server."""

    def __init__(self, models: Models, limits: Limits, log: Log, keeper: Keeper | None = None) -> None:
        self.models, self.limits, self.log, self.keeper = models, limits, log, keeper
        self.gate, self.work, self.metrics = Gate(limits), Work(limits), Metrics()
        self.peers: Peers = Peers(self)
        self.draining = False
        self.served = self.swaps = 0  # requests; times that models were replaced
        self.metrics.models(models.all())
        watch = self.metrics.watch
        watch("lcnet_in_flight", "Requests with a permit", lambda: self.gate.inside)
        watch("lcnet_queue_length", "Pictures that wait for a thread", lambda: self.work.workers.waiting)
        watch("lcnet_body_bytes_in_flight", "Bytes of bodies held", lambda: self.gate.bytes)
        watch("lcnet_decoding_pixels", "Pixels being decoded", lambda: self.work.pixels.taken)
        watch("lcnet_threads_replaced", "Threads that died", lambda: self.work.workers.replaced)

    def admitted(self, request: Request) -> Pass:
        """Let a request in, or raise `Refused`, before its body is read."""
        exchange = exchange_of(request)
        if exchange.unclear:
            raise Refused("bad_request", "how long the body is cannot be told: send one Content-Length, or chunks")
        return self.gate.admit(exchange.length)

    async def body(self, request: Request, admitted: Pass) -> bytes:
        """The body of a request that was let in."""
        return await bodies.read(request.receive, exchange_of(request), admitted, self.limits)

    def hold(self, request: Request, admitted: Pass, size: int) -> None:
        """Count the bytes of an answer with those of its body. Raises `Refused`."""
        most = self.limits.max_bytes_in_flight
        if most is not None and size > most:
            raise Refused("too_large", f"the answer would have {size} bytes, at most {most} are held: ask for less at once")
        admitted.reserve(exchange_of(request).bytes + size)

    async def taken_apart(self, request: Request, body: bytes, parse: Any) -> Any:
        """What `parse` makes of a body: in a thread if it is large, so that nobody else waits for it."""
        if len(body) <= bodies.SMALL:
            return parse()
        return await self.work.call(request, parse)

    async def answers(self, request: Request, pictures: list[Picture], served: Served, answer: Answer) -> list[Done]:
        """Answer pictures, and count them. A single picture's error is raised as the request's."""
        return await self.counted(request, served, self.work.pictures(request, pictures, served.model, answer))

    async def counted(self, request: Request, served: Served, doing: Awaitable[list[Done]]) -> list[Done]:
        """What becomes of a request's pictures, counted. A single one's error is raised as the request's."""
        exchange = exchange_of(request)
        exchange.model = served.name
        done = await doing
        exchange.pictures = len(done)
        exchange.count(done)
        for one in done:
            if one.error and one.error.status >= 500:
                self.log.failure(exchange, one.cause)
        if len(done) == 1 and done[0].error:
            raise done[0].error
        return done

    def results(self, served: Served, pictures: list[Picture], done: Sequence[Done]) -> None:
        """Count what was answered, and keep what is uncertain."""
        for picture, one in zip(pictures, done, strict=True):
            if one.error is None:
                self.metrics.result(served.name, one.value)
                if self.keeper is not None:
                    self.keeper.offer(picture.data, served.name, one.value, served.model.config.decision.multi_label)


class Peers:
    """The processes that serve together: here only this one. `supervise` has one that speaks with a parent."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def joined(self, server: Any) -> None:
        """Called when this process takes requests."""

    def ready(self) -> bool:
        """Whether all serve."""
        return not self.service.draining

    async def metrics(self) -> bytes:
        """The numbers of all."""
        return self.service.metrics.text()

    async def reload(self, names: Sequence[str]) -> None:
        """Read models again, in all processes or in none. Raises `Refused`."""
        fresh = await asyncio.get_running_loop().run_in_executor(None, self.service.models.read_again, names)
        self.swap(fresh)

    def swap(self, fresh: Iterable[Served]) -> None:
        """Let models that were read answer from now on."""
        self.service.models.replace(list(fresh))
        self.service.swaps += 1
        self.service.metrics.models(self.service.models.all())


def exchange_of(request: Request) -> Exchange:
    """What is known of a request."""
    found: Exchange = request.scope["lcnet.exchange"]
    return found


class Query:
    """The options of a request's address: known ones, each once. Raises `Refused` for others."""

    def __init__(self, request: Request, known: Sequence[str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in _pairs(request.scope["query_string"]):
            if name not in known:
                what = suggest(name, known) or f": there is {', '.join(known) or 'none here'}"
                raise Refused("argument", f"there is no option '{quoted(name)}'{what}")
            if name in self._values:
                raise Refused("argument", f"{name} is given twice")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """A text, None where it is not given."""
        return self._values.get(name)

    def count(self, name: str, default: int) -> int:
        """A whole number of at least 1."""
        given = self._values.get(name, str(default))
        if not given.isascii() or not given.isdigit() or not 1 <= len(given) <= 9 or int(given) < 1:
            raise Refused("argument", f"{name} is '{quoted(given)}', expected a whole number of at least 1")
        return int(given)

    def fraction(self, name: str) -> float | None:
        """A number from 0 to 1, None where it is not given."""
        given = self._values.get(name)
        try:
            value = None if given is None else float(given)
        except ValueError:
            value = -1.0
        if value is not None and not 0 <= value <= 1:
            raise Refused("argument", f"{name} is '{quoted(given)}', expected a number from 0 to 1")
        return value

    def one_of(self, name: str, values: Sequence[str]) -> str:
        """One of some texts, by default the first."""
        given = self._values.get(name, values[0])
        if given not in values:
            raise Refused("argument", f"{name} is '{quoted(given)}', expected {' or '.join(values)}")
        return given


@lru_cache(64)  # clients ask the same again and again
def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query. Raises `Refused`."""
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=32, errors="strict")
    except ValueError:
        raise Refused("argument", "the query cannot be read: expected name=value, joined by &") from None


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON, whose text any terminal can show."""
    return Response(json_text(value).encode(), status, headers, "application/json")


def values(done: Sequence[Done]) -> list[Any]:
    """The values of all pictures, for a form where an error has no place to stand. Raises `Refused` for the first."""
    for place, one in enumerate(done):
        if one.error:
            raise Refused(one.error.code, f"picture {place}: {one.error.message}")
    return [one.value for one in done]

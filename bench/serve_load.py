"""The clients of bench/serve.py, as a process of their own: `Load` as JSON on the command line, what was seen on stdout.

Clients keep their connections. Closed: each sends its next request when the last is answered. Open (`rate`): requests
are sent at their times whatever the server does, each on a connection that waits for nothing. Beside them one client
asks for the server's health, 20 times a second.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

PROBED = 0.05  # seconds from one question for health to the next
CHECKED = 0.005  # seconds between two looks at the clock, of an open load
PATIENCE = 60.0  # seconds for what is open at the end
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """The bytes of `request`, a file, for `seconds` that count after `warm` that do not. rate: of an open load."""

    port: int
    request: str
    health: str
    connections: int
    seconds: float
    warm: float
    rate: float | None = None


class Connection(asyncio.Protocol):
    """One connection: `send` a request, and `answered(self, status, seconds)` is called, with status 0 if it was lost."""

    def __init__(self, answered: Callable[[Connection, int, float], None]) -> None:
        self._answered, self._found = answered, bytearray()
        self._begun: float | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send(self, request: bytes) -> None:
        self._begun = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._found += data
        end = self._found.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(self._found, 0, end + 2)
        if len(self._found) >= end + 4 + int(length[1] if length else 0):
            status = int(self._found[9:12])
            self._found.clear()
            self._settle(status)

    def connection_lost(self, error: Exception | None) -> None:
        self._settle(0)

    @property
    def lost(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def _settle(self, status: int) -> None:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            self._answered(self, status, perf_counter() - begun)


class Clients:
    """All connections of a load, and when what was answered: (time, status, seconds)."""

    def __init__(self, load: Load) -> None:
        self.load, self.request = load, Path(load.request).read_bytes()
        self.seen: list[tuple[float, int, float]] = []
        self.probes: list[float] = []
        self._open: set[asyncio.Future[None]] = set()

    async def run(self) -> dict[str, Any]:
        """Send all of the load; return what was seen."""
        self._start = perf_counter() + self.load.warm
        self._end = self._start + self.load.seconds
        probe = asyncio.create_task(self._probe())
        if self.load.rate is None:
            await asyncio.gather(*(self._client() for _ in range(self.load.connections)))
        else:
            await self._at_their_times(self.load.rate)
        await probe
        return self._summary()

    async def _connect(self, answered: Callable[[Connection, int, float], None]) -> Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: Connection(answered), "127.0.0.1", self.load.port))[1]

    def _note(self, status: int, seconds: float) -> None:
        self.seen.append((perf_counter(), status, seconds))

    async def _client(self) -> None:
        while perf_counter() < self._end:
            over = asyncio.get_running_loop().create_future()

            def answered(connection: Connection, status: int, seconds: float, over: asyncio.Future[None] = over) -> None:
                self._note(status, seconds)
                if perf_counter() < self._end and not connection.lost:
                    connection.send(self.request)
                elif not over.done():
                    over.set_result(None)

            connection = await self._connect(answered)
            connection.send(self.request)
            with suppress(TimeoutError):  # a server that does not answer any more: what it did answer counts
                await asyncio.wait_for(over, PATIENCE + self.load.seconds)
            connection.close()

    async def _at_their_times(self, rate: float) -> None:
        idle: list[Connection] = []
        begun, sent, answers = perf_counter(), 0, 0

        def answered(connection: Connection, status: int, seconds: float) -> None:
            nonlocal answers
            answers += 1
            self._note(status, seconds)
            if not connection.lost:
                idle.append(connection)

        while (now := perf_counter()) < self._end:
            while sent < (now - begun) * rate:
                connection = idle.pop() if idle else await self._connect(answered)
                if not connection.lost:
                    connection.send(self.request)
                    sent += 1
            await asyncio.sleep(CHECKED)
        late = perf_counter() + PATIENCE
        while answers < sent and perf_counter() < late:
            await asyncio.sleep(CHECKED)

    async def _probe(self) -> None:
        request = f"GET {self.load.health} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        while perf_counter() < self._end:
            over: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()

            def answered(_: Connection, status: int, seconds: float, over: asyncio.Future[tuple[int, float]] = over) -> None:
                over.set_result((status, seconds))

            connection = await self._connect(answered)
            connection.send(request)
            with suppress(TimeoutError):
                status, seconds = await asyncio.wait_for(over, PATIENCE)
                self.probes.append(seconds if status == 200 else PATIENCE)
            connection.close()
            await asyncio.sleep(PROBED)

    def _counted(self, good: bool) -> list[tuple[float, float]]:
        """When the requests of this kind were answered, and after how many seconds; those that were open at the end too."""
        return [(at, seconds) for at, status, seconds in self.seen if at >= self._start and (status == 200) == good]

    def _summary(self) -> dict[str, Any]:
        good, refused = (self._counted(ok) for ok in (True, False))
        statuses = [status for _, status, _ in self.seen]
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "answers": statuses.count(200),
            "statuses": {str(s): statuses.count(s) for s in sorted(set(statuses))},
            "per_second": sum(at <= self._end for at, _ in good) / self.load.seconds,
            "refused_per_second": sum(at <= self._end for at, _ in refused) / self.load.seconds,
            **percentiles("", [s * 1e3 for _, s in good]),
            **percentiles("refused_", [s * 1e3 for _, s in refused]),
            **percentiles("health_", [s * 1e3 for s in self.probes]),
            "client_cpu": used.ru_utime + used.ru_stime,
        }


def percentiles(name: str, values: list[float]) -> dict[str, float]:
    """The 50th and 99th, where there are some values."""
    if not values:
        return {}
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
    return {f"{name}p50": cuts[49], f"{name}p99": cuts[98]}


def main() -> None:
    """Send, and print."""
    with suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(Clients(Load(**json.loads(sys.argv[1]))).run())))


if __name__ == "__main__":
    main()
